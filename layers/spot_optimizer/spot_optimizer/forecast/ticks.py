"""Arithmetic in ticks: spot prices are multiples of 0.0001 USD per hour."""

import numpy as np

from spot_optimizer.forecast.forecaster import PRICE_TICK_USD
from spot_optimizer.market.prices import Floats

_DECIMALS = 4


def to_tick(price: Floats) -> Floats:
    """The nearest whole tick."""
    return np.round(np.round(price / PRICE_TICK_USD) * PRICE_TICK_USD, _DECIMALS)


def moved_ticks(price: Floats, log_move: Floats) -> Floats:
    """A log move in ticks, not rounded."""
    return price * np.expm1(log_move) / PRICE_TICK_USD


def price_after(price: Floats, ticks: Floats) -> Floats:
    """``price`` moved by whole ticks; never below one tick, unless ``price`` already is."""
    moved = np.round(price + np.round(ticks) * PRICE_TICK_USD, 6)
    return np.maximum(moved, np.minimum(price, PRICE_TICK_USD))
