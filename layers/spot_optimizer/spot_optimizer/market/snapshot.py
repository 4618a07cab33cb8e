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
    """Columns over P pools, all of shape (P,), prices in USD per hour, NaN if unknown.

    The ``*_worst_recent`` columns hold the worst value of the last ``confirm_safe_minutes``: a pool is
    confirmed safe if its worst recent values are safe by the workload's own thresholds.
    """

    as_of: datetime
    """When prices were last collected; a decision needs them to be recent."""
    forecaster: str
    """Name of the forecaster, for the decision record."""
    degraded: str
    """Why the fallback made the forecast; empty if the model did."""
    pools: tuple[Pool, ...]
    price: Floats
    forecast_p05: Floats
    """The forecast columns are for one hour ahead."""
    forecast_p50: Floats
    forecast_p95: Floats
    forecast_mean: Floats
    rise_volatility_24h: Floats
    """As ``volatility_7d`` but over 24 h and without falls: a pool that gets cheaper is not unsafe."""
    volatility_7d: Floats
    """Time-weighted standard deviation / mean of the price over 7 days."""
    instability: Floats
    """Probability of a rise of >= 3 % within 12 h."""
    advisor_bucket: NDArray[np.int8]
    """Spot Advisor: 0 to 4 = <5, 5-10, 10-15, 15-20, >20 % interrupted a month; -1 without an entry."""
    rise_volatility_worst_recent: Floats
    instability_worst_recent: Floats
    advisor_bucket_worst_recent: NDArray[np.int8]
    history_s: Floats
    """Seconds of price history of each pool. A pool with less than the confirmation time is not
    confirmed safe."""

    def index_of(self, pool: Pool) -> int | None:
        """Row of a pool; None if the snapshot has no price for it."""
        return self._rows.get(pool)

    @cached_property
    def _rows(self) -> dict[Pool, int]:
        return {pool: row for row, pool in enumerate(self.pools)}
