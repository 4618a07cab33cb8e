"""Price forecasts: models, their corrections, and the accuracy of what they forecast."""
