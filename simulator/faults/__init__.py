"""Faults of AWS, put on the wire between the product and its account."""
