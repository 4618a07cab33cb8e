"""Fill gaps in prices that AWS no longer returns, by the method for the gap's length.

Methods and confidences: docs/market-data.md and ``gaps.py``.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.gap_methods import Method, method_for
from spot_optimizer.market.gaps import BUCKET_S
from spot_optimizer.market.prices import Floats
from spot_optimizer.vocabulary import HOUR_S

NEIGHBORS = HOUR_S // BUCKET_S
"""Buckets in the hour on each side of a medium gap."""

Rows = NDArray[np.int64]


def fill_gap(
    known: Floats, rows: Rows, first: int, buckets: int, peer_group: Sequence[int]
) -> Floats:
    """Shape (len(rows), buckets): prices for buckets ``first`` to ``first + buckets`` of ``rows``.

    ``known`` (P, T) holds reported and imported prices only, NaN for others: filled prices are never
    used to fill. ``peer_group`` (P,) numbers the instance types. The result is NaN where the method
    lacks data, and for a blackout.
    """
    method = method_for(buckets)
    if method is Method.LINEAR:
        return _linear(known, rows, first, buckets)
    if method is Method.INVERSE_DISTANCE:
        return _inverse_distance(known, rows, first, buckets)
    if method is Method.PEERS:
        return _moved_like_peers(known, rows, first, buckets, np.asarray(peer_group))
    return np.full((len(rows), buckets), np.nan)


def _linear(known: Floats, rows: Rows, first: int, buckets: int) -> Floats:
    """Linear interpolation between the prices on both sides."""
    before, after = known[rows, first - 1], known[rows, first + buckets]
    share = np.arange(1, buckets + 1) / (buckets + 1)
    filled: Floats = before[:, None] + (after - before)[:, None] * share
    return filled


def _inverse_distance(known: Floats, rows: Rows, first: int, buckets: int) -> Floats:
    """Mean of the known prices in the hour on each side, with weights 1 / (minutes + 1)."""
    last = first + buckets
    beside = np.concatenate(
        (
            np.arange(max(first - NEIGHBORS, 0), first),
            np.arange(last, min(last + NEIGHBORS, known.shape[1])),
        )
    )
    minutes = np.abs(np.arange(first, last)[:, None] - beside) * (BUCKET_S / 60)
    prices = known[np.ix_(rows, beside)]
    is_known = np.isfinite(prices)
    weight = 1 / (minutes + 1)
    total = is_known @ weight.T
    weighted: Floats = np.where(is_known, prices, 0.0) @ weight.T
    filled = weighted / np.where(total > 0, total, np.nan)
    has_both_sides = np.isfinite(known[rows, first - 1]) & np.isfinite(known[rows, last])
    return np.where(has_both_sides[:, None], filled, np.nan)


def _moved_like_peers(
    known: Floats, rows: Rows, first: int, buckets: int, peer_group: NDArray[np.int64]
) -> Floats:
    """Last price x median relative move of the peers (same type, other zones) since then."""
    filled = np.full((len(rows), buckets), np.nan)
    for place, row in enumerate(rows):
        # The group includes the pool itself, which has no known price here and so does not count.
        peers = np.flatnonzero(peer_group == peer_group[row])
        move = known[peers, first : first + buckets] / known[peers, first - 1, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no peer is known: the result is NaN
            filled[place] = known[row, first - 1] * np.nanmedian(move, axis=0)
    return filled
