"""Refresh the market: collect prices, forecast them, score the forecasts, validate models."""
