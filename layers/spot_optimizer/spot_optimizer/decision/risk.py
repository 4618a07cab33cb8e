"""The risk of each pool: 1 - the score of the engine ``risk_score``."""

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.snapshot import Floats, MarketSnapshot

ADVISOR_WEIGHT, STABILITY_WEIGHT, GAP_WEIGHT, HOUR_WEIGHT = 0.60, 0.25, 0.10, 0.05
VOLATILITY_WITHOUT_STABILITY = 0.15
ADVISOR_BUCKET_WORST = 4
NEGLIGIBLE_RISK = 0.02
"""Smaller differences of risk do not count."""

_ADVISOR_SCORES = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
_ADVISOR_SCORE_UNKNOWN = 0.5


def advisor_scores(buckets: NDArray[np.int8]) -> Floats:
    """Spot Advisor buckets 0 to 4 as scores from 1.0 linearly down to 0.0; 0.5 for none (-1). (P,)"""
    known = (buckets >= 0) & (buckets <= ADVISOR_BUCKET_WORST)
    return np.where(known, _ADVISOR_SCORES[np.where(known, buckets, 0)], _ADVISOR_SCORE_UNKNOWN)


def risk_scores(market: MarketSnapshot, on_demand: Floats, *, quiet_hour: bool) -> Floats:
    """Risk of each pool, shape (P,), 0 (none) to 1, never NaN.

    ``on_demand`` is the list price of each pool's own type, USD per hour, shape (P,). Unknown inputs
    count as bad: an unknown volatility as no stability, an unknown price as no gap to on-demand.
    """
    stability = np.nan_to_num(
        np.maximum(0.0, 1 - market.volatility_7d / VOLATILITY_WITHOUT_STABILITY)
    )
    gap = np.clip(np.nan_to_num(1 - market.price / on_demand), 0.0, 1.0)
    score = (
        ADVISOR_WEIGHT * advisor_scores(market.advisor_bucket)
        + STABILITY_WEIGHT * stability
        + GAP_WEIGHT * gap
        + HOUR_WEIGHT * float(quiet_hour)
    )
    risk: Floats = 1.0 - score
    return risk
