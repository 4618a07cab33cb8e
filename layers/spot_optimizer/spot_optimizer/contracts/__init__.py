"""Contracts: everything that crosses a boundary, one module for each boundary."""
