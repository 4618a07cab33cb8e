"""Target groups and elastic addresses, handed over or back."""
