"""Usage of workloads, in sketches that remain valid after a change of type."""
