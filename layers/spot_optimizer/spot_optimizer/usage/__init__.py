"""What workloads use: sketches that survive a change of type."""
