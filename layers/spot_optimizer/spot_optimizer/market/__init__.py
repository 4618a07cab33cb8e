"""Market data: spot prices, instance types, on-demand prices, the Spot Advisor."""
