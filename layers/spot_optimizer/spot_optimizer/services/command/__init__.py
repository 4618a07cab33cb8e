"""Carries out manual requests."""
