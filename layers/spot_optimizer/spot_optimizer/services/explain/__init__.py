"""Explains decisions."""
