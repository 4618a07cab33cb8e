"""How a machine is reproduced: launch template, subnets, parity, and what cures a refused launch."""
