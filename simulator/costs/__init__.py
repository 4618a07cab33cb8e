"""What a stack costs to run: calls counted in the embedded account, priced by a dated table."""
