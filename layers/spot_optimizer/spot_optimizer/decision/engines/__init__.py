"""The engines that judge a workload, on one contract."""
