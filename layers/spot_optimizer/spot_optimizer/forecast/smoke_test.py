"""Smoke test of a model: its forecasts of a synthetic market must be plausible."""

import numpy as np

from spot_optimizer.forecast.features import WINDOW_S
from spot_optimizer.forecast.model_artifact import Model, UnusableModel
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

_POOLS = tuple(Pool(f"m5.{size}", "us-east-1a") for size in ("large", "xlarge", "2xlarge"))
_STRIDE_S = 5 * HOUR_S
_FAR = 20.0
"""A forecast above this many times the price, or below the price divided by it, is implausible."""


@np.errstate(over="ignore")
def smoke_test(model: Model) -> None:
    """Forecast all horizons for three pools with two weeks of prices. Raises UnusableModel that names
    the implausible forecast."""
    rows = [
        (pool, time_s, round(0.03 * (number + 1) + 0.0001 * (time_s // _STRIDE_S % 7), 4))
        for number, pool in enumerate(_POOLS)
        for time_s in range(_STRIDE_S, WINDOW_S, _STRIDE_S)
    ]
    changes, _ = PriceChanges().merge(rows, {})
    forecaster = ModelForecaster(model, model.calibration, {})
    price = changes.price_at(WINDOW_S)
    for hours in HORIZONS_H:
        forecast = forecaster.forecast(changes, WINDOW_S, hours * HOUR_S)
        change = forecaster.change(changes, WINDOW_S, hours * HOUR_S)
        parts = np.array([forecast.p05, forecast.p50, forecast.p95, forecast.mean])
        if not np.isfinite(parts).all() or (parts <= 0).any():
            raise UnusableModel(f"smoke test: a price at {hours} h is not positive: {parts}")
        if not (np.abs(np.log(parts / price)) < np.log(_FAR)).all():
            raise UnusableModel(
                f"smoke test: a price at {hours} h is off by more than {_FAR:g} times: {parts}"
            )
        if not ((forecast.p05 <= forecast.p50) & (forecast.p50 <= forecast.p95)).all():
            raise UnusableModel(f"smoke test: the quantiles at {hours} h are not in order")
        if not ((change >= 0) & (change <= 1)).all():
            raise UnusableModel(f"smoke test: P(change within {hours} h) = {change}")
    instability = forecaster.instability(changes, WINDOW_S)
    if not ((instability >= 0) & (instability <= 1)).all():
        raise UnusableModel(f"smoke test: instability = {instability}")
