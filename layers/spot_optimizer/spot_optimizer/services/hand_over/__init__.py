"""Hands target groups and elastic addresses over to the replacement, or back."""
