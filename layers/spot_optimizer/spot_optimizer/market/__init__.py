"""What the market offers: prices, instance types, on-demand prices, the Spot Advisor."""
