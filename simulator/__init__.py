"""Runs the product without an AWS account: virtual time, an embedded account, simulated instances."""
