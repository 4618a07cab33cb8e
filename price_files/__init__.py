"""Read recorded prices from files in the common formats, column spellings and zone notations."""
