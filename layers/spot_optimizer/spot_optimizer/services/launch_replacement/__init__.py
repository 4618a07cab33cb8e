"""The launch of a replacement."""
