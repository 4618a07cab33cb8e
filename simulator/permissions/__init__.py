"""IAM as AWS evaluates it: what a call demands, what a role is granted, and whether that is enough."""
