"""Whether a replacement is ready, and the same as its original."""
