"""The risk of each pool: 1 - the score of the ``risk_score`` engine (spec section 4)."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.snapshot import Floats, MarketSnapshot

ADVISOR_WEIGHT, STABILITY_WEIGHT, GAP_WEIGHT, HOUR_WEIGHT = 0.60, 0.25, 0.10, 0.05
VOLATILITY_WITHOUT_STABILITY = 0.15
ADVISOR_BUCKET_WORST = 4
QUIET_FROM_HOUR, QUIET_UNTIL_HOUR = 20, 8
NEGLIGIBLE_RISK = 0.02
"""Differences of risk under this count as none (spec section 1)."""

_ADVISOR_SCORES = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
_ADVISOR_SCORE_UNKNOWN = 0.5

REGION_TIME_ZONES = {
    "af-south-1": "Africa/Johannesburg",
    "ap-east-1": "Asia/Hong_Kong",
    "ap-east-2": "Asia/Taipei",
    "ap-northeast-1": "Asia/Tokyo",
    "ap-northeast-2": "Asia/Seoul",
    "ap-northeast-3": "Asia/Tokyo",
    "ap-south-1": "Asia/Kolkata",
    "ap-south-2": "Asia/Kolkata",
    "ap-southeast-1": "Asia/Singapore",
    "ap-southeast-2": "Australia/Sydney",
    "ap-southeast-3": "Asia/Jakarta",
    "ap-southeast-4": "Australia/Melbourne",
    "ap-southeast-5": "Asia/Kuala_Lumpur",
    "ap-southeast-6": "Pacific/Auckland",
    "ap-southeast-7": "Asia/Bangkok",
    "ca-central-1": "America/Toronto",
    "ca-west-1": "America/Edmonton",
    "cn-north-1": "Asia/Shanghai",
    "cn-northwest-1": "Asia/Shanghai",
    "eu-central-1": "Europe/Berlin",
    "eu-central-2": "Europe/Zurich",
    "eu-north-1": "Europe/Stockholm",
    "eu-south-1": "Europe/Rome",
    "eu-south-2": "Europe/Madrid",
    "eu-west-1": "Europe/Dublin",
    "eu-west-2": "Europe/London",
    "eu-west-3": "Europe/Paris",
    "eusc-de-east-1": "Europe/Berlin",
    "il-central-1": "Asia/Jerusalem",
    "me-central-1": "Asia/Dubai",
    "me-south-1": "Asia/Bahrain",
    "me-west-1": "Asia/Riyadh",
    "mx-central-1": "America/Mexico_City",
    "sa-east-1": "America/Sao_Paulo",
    "sa-west-1": "America/Santiago",
    "us-east-1": "America/New_York",
    "us-east-2": "America/New_York",
    "us-gov-east-1": "America/New_York",
    "us-gov-west-1": "America/Los_Angeles",
    "us-west-1": "America/Los_Angeles",
    "us-west-2": "America/Los_Angeles",
}
"""Where a region stands, by the city or state in its AWS name (botocore's partitions)."""


def is_quiet_hour(now: datetime, region: str) -> bool:
    """Whether it is 20:00 to 08:00 in the region's local time.

    A region that is not in the table, or a machine without time zone data, counts in UTC: the hour
    weighs the same for all pools of a region, so it moves no ranking.
    """
    try:
        zone: tzinfo = ZoneInfo(REGION_TIME_ZONES.get(region, "UTC"))
    except ZoneInfoNotFoundError:
        zone = UTC
    hour = now.astimezone(zone).hour
    return hour >= QUIET_FROM_HOUR or hour < QUIET_UNTIL_HOUR


def advisor_scores(buckets: NDArray[np.int8]) -> Floats:
    """Spot Advisor bucket 0 to 4 -> 1.0 falling linearly to 0.0; without an entry (-1) 0.5. (P,)"""
    known = (buckets >= 0) & (buckets <= ADVISOR_BUCKET_WORST)
    return np.where(known, _ADVISOR_SCORES[np.where(known, buckets, 0)], _ADVISOR_SCORE_UNKNOWN)


def risk_scores(market: MarketSnapshot, on_demand: Floats, *, quiet_hour: bool) -> Floats:
    """Risk of each pool, shape (P,), 0 (none) to 1, never NaN.

    ``on_demand`` is the list price of each pool's own type, USD per hour, shape (P,). What is
    unknown counts as bad: an unknown volatility as no stability, an unknown price as no gap.

    Source: spec section 4, ``risk_score``.
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
