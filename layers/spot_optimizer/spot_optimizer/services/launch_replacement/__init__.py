"""Launches a replacement."""
