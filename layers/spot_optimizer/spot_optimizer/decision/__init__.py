"""What to do with a workload. Pure: no clock, no AWS, no randomness."""
