"""Build the market snapshot: prices, forecasts and safety of every pool at one moment."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from spot_optimizer.forecast.forecaster import Forecaster
from spot_optimizer.forecast.safety_history import NO_BUCKET, SafetyHistory
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.volatility import (
    rise_volatility,
    rise_volatility_worst,
    volatility,
)
from spot_optimizer.vocabulary import DAY_S, HOUR_S, WEEK_S


def build_snapshot(
    changes: PriceChanges,
    *,
    as_of: datetime,
    now: datetime,
    advisor_buckets: Mapping[str, int],
    forecaster: Forecaster,
    instability: Floats,
    degraded: str,
    previous: SafetyHistory,
    confirm_safe_minutes: float,
) -> tuple[MarketSnapshot, SafetyHistory]:
    """The market at ``now``, and the safety history to pass to the next call.

    ``as_of`` is when prices were last collected. ``advisor_buckets`` is by instance type.
    ``instability`` has shape (P,) over ``changes.pools``, 0 to 1. ``degraded`` says why the fallback
    made the forecast; it is empty if the model did. Prices after ``now`` have no influence. Raises
    ValueError if an instability is not a probability.
    """
    _check_instability(instability, changes)
    now_s = int(now.timestamp())
    buckets = np.array(
        [advisor_buckets.get(pool.instance_type, NO_BUCKET) for pool in changes.pools],
        dtype=np.int8,
    )
    history = previous.with_observation(changes.pools, now_s, instability, buckets)
    worst_instability, worst_bucket = history.worst(now_s, confirm_safe_minutes)
    forecast = forecaster.forecast(changes, now_s, HOUR_S)
    snapshot = MarketSnapshot(
        as_of=as_of,
        forecaster=forecaster.name,
        degraded=degraded,
        pools=changes.pools,
        price=changes.price_at(now_s),
        forecast_p05=forecast.p05,
        forecast_p50=forecast.p50,
        forecast_p95=forecast.p95,
        forecast_mean=forecast.mean,
        rise_volatility_24h=rise_volatility(changes, now_s, DAY_S),
        volatility_7d=volatility(changes, now_s, WEEK_S),
        instability=instability,
        advisor_bucket=buckets,
        rise_volatility_worst_recent=rise_volatility_worst(
            changes, now_s, DAY_S, confirm_safe_minutes
        ),
        instability_worst_recent=worst_instability,
        advisor_bucket_worst_recent=worst_bucket,
        history_s=np.maximum(now_s - changes.known_since_s, 0).astype(np.float64),
    )
    return snapshot, history


def _check_instability(instability: Floats, changes: PriceChanges) -> None:
    shape = (len(changes.pools),)
    if instability.shape != shape:
        raise ValueError(f"instability has shape {instability.shape}, allowed is {shape}")
    is_probability = (instability >= 0) & (instability <= 1)
    if not is_probability.all():
        worst = int(np.argmin(is_probability))
        raise ValueError(
            f"instability of {changes.pools[worst]} = {instability[worst]}, allowed are 0 to 1"
        )
