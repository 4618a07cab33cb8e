"""What several functions share between the pure core and AWS."""
