"""The id of the simulated account if none is asked for."""

DEFAULT_ACCOUNT_ID = "123456789012"
"""That of AWS's own examples."""
