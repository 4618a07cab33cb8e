"""Training and evaluation of the forecasting model, offline."""
