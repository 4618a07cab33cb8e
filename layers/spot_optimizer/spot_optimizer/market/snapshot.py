"""The market at one moment: what ``refresh_market`` writes and ``decide`` reads."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.vocabulary import Pool

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MarketSnapshot:
    """Columns over P pools, all of shape (P,), prices in USD per hour, NaN where unknown.

    The ``*_worst_recent`` columns hold the worst value of the last ``confirm_safe_minutes``: a pool is
    confirmed safe when its worst recent values are safe, whatever thresholds a workload sets.
    """

    as_of: datetime
    """When prices were last collected; its age decides whether they may be trusted."""
    forecaster: str
    """Name and version of what made the forecast, for the record."""
    degraded: str
    """Why the forecast is the fallback's, empty when it is not."""
    pools: tuple[Pool, ...]
    price: Floats
    forecast_p05: Floats
    """The forecast columns are for one hour ahead."""
    forecast_p50: Floats
    forecast_p95: Floats
    forecast_mean: Floats
    volatility_24h: Floats
    """Time-weighted standard deviation / mean of the price over 24 h."""
    rise_volatility_24h: Floats
    """The same with falls left out: a pool that gets cheaper is not unsafe."""
    volatility_7d: Floats
    instability: Floats
    """Probability of a rise of >= 3 % within 12 h."""
    advisor_bucket: NDArray[np.int8]
    """Spot Advisor: 0 to 4 = <5, 5-10, 10-15, 15-20, >20 % interrupted a month; -1 without an entry."""
    rise_volatility_worst_recent: Floats
    instability_worst_recent: Floats
    advisor_bucket_worst_recent: NDArray[np.int8]
    history_s: Floats
    """Seconds of price history behind each pool: a pool younger than the confirmation is unconfirmed."""

    def index_of(self, pool: Pool) -> int | None:
        """Row of a pool, or None when the market knows no price of it."""
        return self._rows.get(pool)

    @cached_property
    def _rows(self) -> dict[Pool, int]:
        return {pool: row for row, pool in enumerate(self.pools)}
