"""Manual requests."""
