"""The product run without an AWS account: virtual time, an embedded account, a world of machines."""
