"""Interruptions, drawn once for all policies."""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.decision.hourly_hazard import MONTH_HOURS, hourly_hazard
from spot_optimizer.forecast.safety_history import NO_BUCKET
from spot_optimizer.market.prices import Floats
from spot_optimizer.vocabulary import Pool

BUCKET_LIMITS = (0.05, 0.10, 0.15, 0.20)
"""Shares interrupted in a month at which the Spot Advisor's buckets end."""


def rates_of_advisor(pools: Sequence[Pool], buckets: Mapping[str, int]) -> Floats:
    """Shape (P,): interruptions per hour by each type's bucket, as the product reads it; a type
    without an entry counts as the middle one."""
    row = np.array([buckets.get(p.instance_type, NO_BUCKET) for p in pools], dtype=np.int8)
    nothing = np.zeros(len(pools))
    return hourly_hazard(
        row, interruptions=nothing, instance_hours=nothing, instability=nothing + np.nan
    )


def rate_of_share(share: float) -> float:
    """Interruptions per hour where this share of instances is interrupted within a month."""
    return float(-np.log1p(-share) / MONTH_HOURS)


def bucket_of_share(share: float) -> int:
    """The Spot Advisor's bucket for such a share."""
    return int(np.searchsorted(BUCKET_LIMITS, share, side="right"))


def draw_hits(
    pools: Sequence[Pool], rate_per_hour: Floats, start_s: int, hours: int, runs: int, seed: int
) -> NDArray[np.bool_]:
    """Shape (R, L, P + 1): whether EC2 interrupts an instance in a pool at the end of each of a run's L
    hours. The last place is on-demand, which is never interrupted.

    A uniform number for each pool and hour, whatever else is in the market: every policy that is in
    the pool at that hour is interrupted where it is below the hour's probability, and a higher rate
    only adds interruptions. The R runs of a requirement have draws of their own, or one unlucky
    hour of a favorite pool would decide the whole comparison.
    """
    probability = -np.expm1(-rate_per_hour)
    hits = np.zeros((runs, hours, len(pools) + 1), np.bool_)
    for column, pool in enumerate(pools):
        rng = np.random.default_rng((seed, crc32(str(pool).encode()), start_s))
        hits[:, :, column] = rng.random((runs, hours)) < probability[column]
    return hits
