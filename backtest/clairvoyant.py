"""What who knows the future would do: the exact optimum over pools and on-demand.

With ``c[t, p]`` the bill of an hour, ``s[t, p]`` what it costs to leave place p by a switch when
hour t begins, ``h[t, p]`` whether p is interrupted at the end of hour t, and I the cost of that::

    stay[t, p] = c[t, p] + (I + best[t + 1] if h[t, p] else rest[t + 1, p])
    rest[t, p] = min(stay[t, p], s[t, p] + best[t])        best[t] = min over p of stay[t, p]

What a switch costs depends on the place that is left alone, so the best place to go to is the same
from everywhere, and an hour takes one pass over the places: O(T x P). After an interruption the next
place is free to choose, as it is for every policy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.billing import Paths, Terms
from spot_optimizer.market.prices import Floats

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best way from every place and hour on, for D draws of interruptions, or one without any.
    T hours, K + 1 places, the last on-demand."""

    rest_usd: Floats
    """Shape (D, K + 1): the least that all hours cost from each place on."""
    best: NDArray[np.int64]
    """Shape (D, T): the place to go to when an hour begins, for who leaves his own."""
    leaves: Bools
    """Shape (D, T, K + 1): whether it pays to leave a place when the hour begins."""

    def paths(self, first: int, hits: Bools) -> Paths:
        """The ways from place ``first``, shape (D, T), through interruptions ``hits`` (D, T, K + 1).

        Where the optimum did not see them coming, an interrupted run goes on from the best place.
        """
        draws, hours, _ = hits.shape
        draw = np.arange(draws)
        known = draw if len(self.best) == draws else np.zeros_like(draw)
        place, left = np.empty((draws, hours), np.int64), np.empty((draws, hours), np.int64)
        here, is_free = np.full(draws, first), np.zeros(draws, np.bool_)
        for hour in range(hours):
            leaves = self.leaves[known, hour, here] & ~is_free
            left[:, hour] = np.where(leaves, here, -1)
            here = np.where(leaves | is_free, self.best[known, hour], here)
            place[:, hour], is_free = here, hits[draw, hour, here]
        return Paths(place, left)


def optimum(
    price: Floats, billed: Floats, hits: Bools | None, on_demand_usd_per_hour: float, terms: Terms
) -> Optimum:
    """The optimum of one requirement; ``price`` and ``billed`` have shape (T, K + 1), ``hits``
    (D, T, K + 1).

    ``hits`` None: it does not see interruptions coming. A place whose price is unknown (NaN) in an
    hour cannot be chosen then.
    """
    hours, places = billed.shape
    draws = 1 if hits is None else len(hits)
    rest = np.zeros((draws, places))
    best = np.empty((draws, hours), np.int64)
    leaves = np.empty((draws, hours, places), np.bool_)
    lost = terms.interruption_hours * on_demand_usd_per_hour
    free = np.zeros((draws, 1))
    for hour in range(hours - 1, -1, -1):
        after = rest if hits is None else np.where(hits[:, hour], lost + free, rest)
        stay = np.where(np.isnan(billed[hour]), np.inf, billed[hour] + after)
        best[:, hour] = np.argmin(stay, axis=1)
        free = np.take_along_axis(stay, best[:, hour, None], axis=1)
        overlap = np.nan_to_num(price[hour], nan=0.0)
        move = terms.switch_usd(overlap, on_demand_usd_per_hour) + free
        leaves[:, hour] = move < stay
        rest = np.minimum(stay, move)
    return Optimum(rest, best, leaves)
