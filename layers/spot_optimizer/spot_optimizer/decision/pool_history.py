"""Pool history: refused launches and interruptions of the stack's own instances, and their hours.

Refused launches count for hours, because capacity comes back; interruptions count for months.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from spot_optimizer.vocabulary import Pool

REFUSAL_HALF_LIFE = timedelta(hours=1)
REFUSAL_WEIGHT_MAX = 0.5
"""One refusal keeps planned switches away for one hour, two at once for two, four for three."""
REFUSAL_MEMORY = timedelta(hours=12)
"""After this time even a hundred refusals weigh less than a tenth."""
INTERRUPTION_MEMORY = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class PoolHistory:
    """Figures by pool; 0 for pools that are missing."""

    refusals: Mapping[Pool, float] = field(default_factory=dict)
    """Weight of refused launches: 1 each, halved every REFUSAL_HALF_LIFE."""
    interruptions: Mapping[Pool, float] = field(default_factory=dict)
    """Number of the stack's instances interrupted within INTERRUPTION_MEMORY."""
    instance_hours: Mapping[Pool, float] = field(default_factory=dict)
    """Hours for which the stack's spot instances have run, at most INTERRUPTION_MEMORY each."""


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One refused launch or one interruption in a pool."""

    pool: Pool
    at: datetime


def pool_history_of(
    now: datetime,
    *,
    refusals: Iterable[PoolEvent],
    interruptions: Iterable[PoolEvent],
    running: Iterable[tuple[Pool, datetime]],
) -> PoolHistory:
    """The history at ``now``. ``running`` are the stack's spot instances: pool and launch time.

    An event after ``now`` (clocks differ) counts as an event at ``now``.
    """
    weights: dict[Pool, float] = {}
    for event in refusals:
        age = max(now - event.at, timedelta())
        if age <= REFUSAL_MEMORY:
            weights[event.pool] = weights.get(event.pool, 0.0) + 0.5 ** (age / REFUSAL_HALF_LIFE)
    counts: dict[Pool, float] = {}
    for event in interruptions:
        if now - event.at <= INTERRUPTION_MEMORY:
            counts[event.pool] = counts.get(event.pool, 0.0) + 1.0
    hours: dict[Pool, float] = {}
    for pool, launched_at in running:
        age = min(max(now - launched_at, timedelta()), INTERRUPTION_MEMORY)
        hours[pool] = hours.get(pool, 0.0) + age / timedelta(hours=1)
    return PoolHistory(weights, counts, hours)
