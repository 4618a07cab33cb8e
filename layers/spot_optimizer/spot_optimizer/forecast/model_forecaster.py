"""Forecasts of a trained model, corrected by what came of its former ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.features import FeatureBlock, compute_features
from spot_optimizer.forecast.forecaster import UNKNOWN_INSTABILITY, Forecast
from spot_optimizer.forecast.groups import family_of
from spot_optimizer.forecast.model_artifact import Model
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RawForecast, predict_rows
from spot_optimizer.forecast.ticks import moved_ticks, price_after
from spot_optimizer.market.prices import Floats, PriceChanges, Times
from spot_optimizer.vocabulary import HOUR_S


@dataclass(frozen=True)
class Rows:
    """N pools or pool-hours with a known price, as a model sees them."""

    values: NDArray[np.float32]
    """Shape (N, F)."""
    price: Floats
    return_24h: Floats
    family: NDArray[np.str_]


@dataclass(frozen=True)
class RowForecast:
    """One horizon, over N rows."""

    forecast: Forecast
    change: Floats
    """Shape (N,): probability that the price changes within the horizon."""
    mean_move: Floats
    """Shape (N,): expected log move."""


def forecast_rows(
    raw: RawForecast, rows: Rows, calibration: Calibration, horizon: int
) -> RowForecast:
    """Prices of ``HORIZONS_H[horizon]`` from what the boosters said.

    The median is the last price where a change is less likely than not, else half way between the
    booster's median and the mean: two views whose errors differ (measured: absolute error is lower
    than with either, on every set). The 90 % interval is that
    of the prices that change and always holds the last price, so that it covers both. Median and
    limits are whole ticks from the last price; the mean is no price and is not rounded.
    """
    change = calibration.probability(horizon, raw.change[horizon])
    mean_move = calibration.mean_move(raw, horizon, rows.return_24h)
    factor = calibration.interval_factor(horizon, rows.family)
    low = price_after(rows.price, factor * moved_ticks(rows.price, raw.low[horizon]))
    high = price_after(rows.price, factor * moved_ticks(rows.price, raw.high[horizon]))
    middle = (raw.median[horizon] + mean_move) / 2
    median_ticks = np.where(change < 0.5, 0.0, moved_ticks(rows.price, middle))
    median = np.clip(price_after(rows.price, median_ticks), low, high)
    mean = rows.price * np.exp(mean_move)
    return RowForecast(Forecast(low, median, high, mean), change, mean_move)


def select_rows(changes: PriceChanges, block: FeatureBlock) -> tuple[Rows, NDArray[np.bool_]]:
    """The pools and moments of ``block`` with a known price, and which those are, (P, T)."""
    is_known = np.isfinite(block.price)
    families = np.array([family_of(pool) for pool in changes.pools], dtype=np.str_)
    family = np.broadcast_to(families[:, None], is_known.shape)[is_known]
    rows = Rows(block.values[is_known], block.price[is_known], block.return_24h[is_known], family)
    return rows, is_known


@dataclass
class ModelForecaster:
    """A ``Forecaster`` for one region; all horizons of a moment share one look at the market."""

    model: Model
    calibration: Calibration
    on_demand_usd_per_hour: Mapping[str, float]
    history: PriceChanges | None = None
    """A longer past of the same region than the series that are asked about."""
    _last: "tuple[PriceChanges, int, _Looked] | None" = field(default=None, init=False)

    @property
    def name(self) -> str:
        """See ``Forecaster.name``."""
        return self.model.metadata.name

    def forecast(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Forecast:
        """See ``Forecaster.forecast``. Raises ValueError on a horizon that was not learned."""
        looked = self._look(changes, at_s)
        said = self._rows(looked, horizon_s).forecast
        return Forecast(
            *(looked.spread(column) for column in (said.p05, said.p50, said.p95, said.mean))
        )

    def change(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Floats:
        """Shape (P,): probability that each pool's price changes within the horizon, NaN where the
        price is unknown. Raises ValueError on a horizon that was not learned."""
        looked = self._look(changes, at_s)
        return looked.spread(self._rows(looked, horizon_s).change)

    def instability(self, changes: PriceChanges, at_s: int) -> Floats:
        """Shape (P,): probability that each pool's price rises by >= 3 % within 12 h; 0.5 where
        the price is unknown (spec section 3)."""
        looked = self._look(changes, at_s)
        rise = self.calibration.probability(len(HORIZONS_H), looked.raw.rise[0])
        spread = looked.spread(rise)
        return np.where(np.isfinite(spread), spread, UNKNOWN_INSTABILITY)

    def _rows(self, looked: "_Looked", horizon_s: int) -> RowForecast:
        if horizon_s % HOUR_S or horizon_s // HOUR_S not in HORIZONS_H:
            allowed = ", ".join(str(hours * HOUR_S) for hours in HORIZONS_H)
            raise ValueError(f"horizon_s = {horizon_s}, allowed are {allowed}")
        horizon = HORIZONS_H.index(horizon_s // HOUR_S)
        return forecast_rows(looked.raw, looked.rows, self.calibration, horizon)

    def _look(self, changes: PriceChanges, at_s: int) -> "_Looked":
        if self._last is None or self._last[0] is not changes or self._last[1] != at_s:
            past = changes if self.history is None else self.history
            block = compute_features(past, np.array([at_s]), self.on_demand_usd_per_hour)
            rows, is_known = select_rows(past, block)
            raw = predict_rows(self.model.boosters, rows.values)
            number = {pool: row for row, pool in enumerate(past.pools)}
            asked = np.array([number.get(pool, -1) for pool in changes.pools], dtype=np.int64)
            self._last = (changes, at_s, _Looked(rows, raw, is_known[:, 0], asked))
        return self._last[2]


@dataclass(frozen=True)
class _Looked:
    rows: Rows
    raw: RawForecast
    is_known: NDArray[np.bool_]
    asked: Times
    """Shape (P,): where each asked pool stands among those looked at, -1 where it does not."""

    def spread(self, known: Floats) -> Floats:
        """Shape (P,) over the asked pools from the values of the known ones, NaN for the others."""
        every = np.full(len(self.is_known) + 1, np.nan)
        every[:-1][self.is_known] = known
        return every[self.asked]
