"""The guards between a decision and its switch. Pure functions."""
