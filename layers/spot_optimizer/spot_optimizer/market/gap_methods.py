"""What fills a gap in the prices, by its length, and how reliable that is (docs/market-data.md)."""

from collections.abc import Mapping
from enum import IntEnum


class Method(IntEnum):
    """Source of a bucket's price."""

    NONE = 0
    """Empty: a blackout, or no data to fill it with."""
    REPORTED = 1
    """Reported by AWS."""
    IMPORTED = 2
    """From a file of the user."""
    LINEAR = 3
    INVERSE_DISTANCE = 4
    PEERS = 5
    """Last price x median relative move of the same type in other zones."""


CONFIDENCE: Mapping[Method, float] = {
    Method.REPORTED: 1.00,
    Method.IMPORTED: 0.95,
    Method.LINEAR: 0.85,
    Method.INVERSE_DISTANCE: 0.75,
    Method.PEERS: 0.70,
}
"""Confidence of a price by its method; an empty bucket has none."""

SHORT_BUCKETS_MAX = 2
MEDIUM_BUCKETS_MAX = 6
LONG_BUCKETS_MAX = 48
GAP_KINDS = ("short", "medium", "long", "blackout")


def gap_kind(buckets: int) -> str:
    """``short``, ``medium``, ``long`` or ``blackout`` by the number of buckets."""
    limits = (SHORT_BUCKETS_MAX, MEDIUM_BUCKETS_MAX, LONG_BUCKETS_MAX)
    return GAP_KINDS[sum(buckets > limit for limit in limits)]


def method_for(buckets: int) -> Method:
    """Method for a gap of this many buckets."""
    return {
        "short": Method.LINEAR,
        "medium": Method.INVERSE_DISTANCE,
        "long": Method.PEERS,
        "blackout": Method.NONE,
    }[gap_kind(buckets)]
