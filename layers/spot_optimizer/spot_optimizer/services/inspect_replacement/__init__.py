"""Whether a replacement is ready and equals its original."""
