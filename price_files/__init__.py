"""Open price files by their path: CSV, JSON and parquet, in any common spelling."""
