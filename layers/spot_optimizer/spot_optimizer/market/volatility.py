"""Volatility of a price: time-weighted standard deviation / mean over a window.

Prices are piecewise constant, so the figures are exact sums over the changes, not samples of a
grid: with x_i the price of piece i and d_i the seconds that it lasts within the window,

    mean = sum(d_i x_i) / sum(d_i)
    volatility = sqrt(sum(d_i (x_i - mean)^2) / sum(d_i)) / mean

For a pool whose history starts within the window, the window starts with the history.
"""

import math

import numpy as np

from spot_optimizer.market.prices import GRID_STEP_S, Floats, PriceChanges

_RISE_UNIT_USD = 1e-9
"""A thousandth of the last digit of AWS's spot prices, which have six decimals."""


def volatility(changes: PriceChanges, at_s: int, window_s: int) -> Floats:
    """Shape (P,): volatility over the ``window_s`` up to ``at_s``; NaN if the price is unknown."""
    window = _Window(changes, at_s, window_s)
    return window.deviation_over_mean(changes.price - window.opening_price[changes.pool_index])


def rise_volatility(changes: PriceChanges, at_s: int, window_s: int) -> Floats:
    """Shape (P,): volatility of the price without its falls; NaN if the price is unknown.

    Within the window the price p(t) is replaced by x(t) = p at the window's start + the sum of all
    rises up to t; the result is the volatility of x. A price that only falls has 0, one that only
    rises has its plain volatility, and one that swings has at least one rise per swing.
    """
    window = _Window(changes, at_s, window_s)
    # Integers: one cumulative sum runs through all pools, and rounding must not leak between them.
    rise = np.zeros(len(changes.price), dtype=np.int64)
    rise[1:] = np.rint(np.maximum(np.diff(changes.price), 0.0) / _RISE_UNIT_USD)
    risen = np.cumsum(rise)
    risen_since_opening = risen - risen[window.opening_row][changes.pool_index]
    return window.deviation_over_mean(risen_since_opening.astype(np.float64) * _RISE_UNIT_USD)


def rise_volatility_worst(
    changes: PriceChanges, at_s: int, window_s: int, recent_minutes: float
) -> Floats:
    """Shape (P,): the highest rise volatility of the last ``recent_minutes``, sampled every 5.

    Times before a pool's first price do not count.
    """
    recent_s = round(recent_minutes * 60)
    ages_s = {*range(0, recent_s, GRID_STEP_S), recent_s}
    worst = np.full(len(changes.pools), np.nan)
    for age_s in sorted(ages_s):
        worst = np.fmax(worst, rise_volatility(changes, at_s - age_s, window_s))
    return worst


class _Window:
    """The part of each piece in (``at_s - window_s``, ``at_s``], and each pool's opening price.

    Values are relative to the opening price, so that a constant price has a deviation of exactly 0.
    """

    def __init__(self, changes: PriceChanges, at_s: int, window_s: int) -> None:
        if window_s <= 0:
            raise ValueError(f"window_s = {window_s} must be above 0")
        start_s = at_s - window_s
        opening = changes.rows_at(np.array([start_s]))[:, 0]
        self.opening_row = np.where(opening >= 0, opening, changes.first_row[:-1])
        self.opening_price = changes.price[self.opening_row]
        self.is_known = changes.known_since_s <= at_s
        self._pool_index = changes.pool_index
        end_s = np.full(len(changes.time_s), at_s)
        is_last = np.zeros(len(changes.time_s), dtype=bool)
        is_last[changes.first_row[1:] - 1] = True
        end_s[~is_last] = np.minimum(changes.time_s[1:][~is_last[:-1]], at_s)
        self.duration_s = np.maximum(end_s - np.maximum(changes.time_s, start_s), 0)

    def deviation_over_mean(self, value: Floats) -> Floats:
        """Shape (P,): of ``value`` (N,) relative to the opening price; 0 if no time has passed."""
        lasted_s = np.maximum(self._sum(np.ones_like(value)), math.ulp(0.0))
        mean = self._sum(value) / lasted_s
        deviation = np.sqrt(self._sum((value - mean[self._pool_index]) ** 2) / lasted_s)
        return np.where(self.is_known, deviation / (self.opening_price + mean), np.nan)

    def _sum(self, value: Floats) -> Floats:
        pools = len(self.opening_price)
        weights = self.duration_s * value
        return np.bincount(self._pool_index, weights, minlength=pools).astype(np.float64)
