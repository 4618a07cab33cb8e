"""What EC2 says about an instance, and the answer to it."""
