"""What a pool will cost: forecasters behind one Protocol."""
