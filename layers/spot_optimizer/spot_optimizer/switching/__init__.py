"""How an instance is reproduced: adoption, launch template, subnets, comparison, refused launches."""
