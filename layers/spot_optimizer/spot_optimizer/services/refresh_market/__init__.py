"""The market: prices, forecasts, scores, models."""
