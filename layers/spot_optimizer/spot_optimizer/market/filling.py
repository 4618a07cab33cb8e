"""What stands in for prices that nobody can tell any more (spec section 2, the table of gaps)."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.gaps import BUCKET_S, Method, method_for
from spot_optimizer.market.prices import Floats

NEIGHBOURS = 3600 // BUCKET_S
"""Buckets in the hour on each side of a medium gap."""

Rows = NDArray[np.int64]


def fill_gap(
    known: Floats, rows: Rows, first: int, buckets: int, peer_group: Sequence[int]
) -> Floats:
    """Shape (len(rows), buckets): prices for buckets ``first`` to ``first + buckets`` of ``rows``.

    ``known`` (P, T) holds the prices that were reported or imported, NaN for all others: filled
    ones never beget filled ones. ``peer_group`` (P,) numbers the instance types. NaN where the
    method has nothing to go by, and throughout a blackout.
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
    """On the line between the prices at either side, by time."""
    before, after = known[rows, first - 1], known[rows, first + buckets]
    share = np.arange(1, buckets + 1) / (buckets + 1)
    filled: Floats = before[:, None] + (after - before)[:, None] * share
    return filled


def _inverse_distance(known: Floats, rows: Rows, first: int, buckets: int) -> Floats:
    """Mean of what is known in the hour on each side, with weights 1 / (minutes + 1)."""
    last = first + buckets
    beside = np.concatenate(
        (
            np.arange(max(first - NEIGHBOURS, 0), first),
            np.arange(last, min(last + NEIGHBOURS, known.shape[1])),
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
    """Last price x median of how far the peers' prices are from theirs at that time."""
    filled = np.full((len(rows), buckets), np.nan)
    for place, row in enumerate(rows):
        # The pool itself is among them, but has no known price here and so no say.
        peers = np.flatnonzero(peer_group == peer_group[row])
        move = known[peers, first : first + buckets] / known[peers, first - 1, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no peer is known: NaN is the answer
            filled[place] = known[row, first - 1] * np.nanmedian(move, axis=0)
    return filled
