"""The Protocol of forecasters, and their result."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats, PriceChanges

PRICE_TICK_USD = 0.0001
"""Step of spot prices (measured: in 2024, 71 % of the changes are a single step)."""


@dataclass(frozen=True)
class Forecast:
    """Prices one horizon ahead, each of shape (P,), USD per hour, NaN if the price is unknown.

    ``p05 <= p50 <= p95`` for every pool.
    """

    p05: NDArray[np.float64]
    p50: NDArray[np.float64]
    p95: NDArray[np.float64]
    mean: NDArray[np.float64]


class Forecaster(Protocol):
    """Forecasts the price of every pool; never looks at prices after ``at_s``."""

    @property
    def name(self) -> str:
        """Name and version, for the record."""
        ...

    def forecast(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Forecast:
        """Prices at ``at_s + horizon_s`` (epoch seconds), as forecast at ``at_s``."""
        ...


UNKNOWN_INSTABILITY = 0.5


def unknown_instability(changes: PriceChanges) -> Floats:
    """Shape (P,): the instability of every pool if no model forecasts it."""
    return np.full(len(changes.pools), UNKNOWN_INSTABILITY)
