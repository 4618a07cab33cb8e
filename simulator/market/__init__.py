"""Spot prices for the embedded account: generated, recorded, and measured."""
