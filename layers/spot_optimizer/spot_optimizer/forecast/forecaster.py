"""The port behind which prices are forecast, and what a forecast is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats, PriceChanges

PRICE_TICK_USD = 0.0001
"""Spot prices move in these steps (measured: in 2024, 71 % of the changes are a single one)."""


@dataclass(frozen=True)
class Forecast:
    """Prices one horizon ahead, each of shape (P,), USD per hour, NaN where the price is unknown.

    ``p05 <= p50 <= p95`` for every pool.
    """

    p05: NDArray[np.float64]
    p50: NDArray[np.float64]
    p95: NDArray[np.float64]
    mean: NDArray[np.float64]


class Forecaster(Protocol):
    """Says what the price of every pool will be; never looks at what happened after ``at_s``."""

    @property
    def name(self) -> str:
        """Name and version, for the record."""
        ...

    def forecast(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Forecast:
        """Prices at ``at_s + horizon_s`` (epoch seconds) as foreseen at ``at_s``."""
        ...


UNKNOWN_INSTABILITY = 0.5


def unknown_instability(changes: PriceChanges) -> Floats:
    """Shape (P,): the instability of every pool where no model says otherwise (spec section 3)."""
    return np.full(len(changes.pools), UNKNOWN_INSTABILITY)
