"""Forecasts of a trained model after calibration."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

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
    """Input of a model: N pools or pool-hours with a known price."""

    values: NDArray[np.float32]
    """Shape (N, F)."""
    price: Floats
    return_24h: Floats
    family: NDArray[np.str_]

    def take(self, chosen: NDArray[np.bool_]) -> "Rows":
        """The chosen rows."""
        return Rows(*(getattr(self, f.name)[chosen] for f in fields(self)))


@dataclass(frozen=True)
class RowForecast:
    """Forecasts of N rows for one horizon."""

    forecast: Forecast
    change: Floats
    """Shape (N,): probability that the price changes within the horizon."""
    mean_move: Floats
    """Shape (N,): expected log move."""


def forecast_rows(
    raw: RawForecast, rows: Rows, calibration: Calibration, horizon: int
) -> RowForecast:
    """Calibrated prices at ``HORIZONS_H[horizon]`` from the boosters' predictions.

    The median is the last price if a change is less likely than not, else half way between the
    booster's median and the mean (measured: absolute error is lower than with either, on every
    set). The 90 % interval is that of the prices that change; it always contains the last price.
    Median and limits are whole ticks from the last price; the mean is not rounded.
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
    """Rows of the pools and moments of ``block`` with a known price, and which those are, (P, T)."""
    is_known = np.isfinite(block.price)
    families = np.array([family_of(pool) for pool in changes.pools], dtype=np.str_)
    family = np.broadcast_to(families[:, None], is_known.shape)[is_known]
    rows = Rows(block.values[is_known], block.price[is_known], block.return_24h[is_known], family)
    return rows, is_known


@dataclass
class ModelForecaster:
    """A ``Forecaster`` for one region; all horizons of a moment share one prediction."""

    model: Model
    calibration: Calibration
    on_demand_usd_per_hour: Mapping[str, float]
    history: PriceChanges | None = None
    """A longer history of the same region than the series to forecast; features look back further."""
    _last: "tuple[PriceChanges, int, _Prediction] | None" = field(default=None, init=False)

    @property
    def name(self) -> str:
        """See ``Forecaster.name``."""
        return self.model.metadata.name

    def forecast(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Forecast:
        """See ``Forecaster.forecast``. Raises ValueError if the model was not trained for the
        horizon."""
        prediction = self._predict(changes, at_s)
        forecast = self._forecast_rows(prediction, horizon_s).forecast
        columns = (forecast.p05, forecast.p50, forecast.p95, forecast.mean)
        return Forecast(*(prediction.spread(column) for column in columns))

    def change(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Floats:
        """Shape (P,): probability that each pool's price changes within the horizon; NaN if the price
        is unknown. Raises ValueError if the model was not trained for the horizon."""
        prediction = self._predict(changes, at_s)
        return prediction.spread(self._forecast_rows(prediction, horizon_s).change)

    def instability(self, changes: PriceChanges, at_s: int) -> Floats:
        """Shape (P,): probability that each pool's price rises by >= 3 % within 12 h;
        ``UNKNOWN_INSTABILITY`` if the price is unknown."""
        prediction = self._predict(changes, at_s)
        rise = self.calibration.probability(len(HORIZONS_H), prediction.raw.rise[0])
        spread = prediction.spread(rise)
        return np.where(np.isfinite(spread), spread, UNKNOWN_INSTABILITY)

    def _forecast_rows(self, prediction: "_Prediction", horizon_s: int) -> RowForecast:
        if horizon_s % HOUR_S or horizon_s // HOUR_S not in HORIZONS_H:
            allowed = ", ".join(str(hours * HOUR_S) for hours in HORIZONS_H)
            raise ValueError(f"horizon_s = {horizon_s}, allowed are {allowed}")
        horizon = HORIZONS_H.index(horizon_s // HOUR_S)
        return forecast_rows(prediction.raw, prediction.rows, self.calibration, horizon)

    def _predict(self, changes: PriceChanges, at_s: int) -> "_Prediction":
        if self._last is None or self._last[0] is not changes or self._last[1] != at_s:
            past = changes if self.history is None else self.history
            block = compute_features(past, np.array([at_s]), self.on_demand_usd_per_hour)
            rows, is_known = select_rows(past, block)
            raw = predict_rows(self.model.boosters, rows.values)
            number = {pool: row for row, pool in enumerate(past.pools)}
            asked = np.array([number.get(pool, -1) for pool in changes.pools], dtype=np.int64)
            self._last = (changes, at_s, _Prediction(rows, raw, is_known[:, 0], asked))
        return self._last[2]


@dataclass(frozen=True)
class _Prediction:
    """What the model predicted for all pools of the history at one moment."""

    rows: Rows
    raw: RawForecast
    is_known: NDArray[np.bool_]
    asked: Times
    """Shape (P,): row of each requested pool in the history, -1 if the history lacks it."""

    def spread(self, known: Floats) -> Floats:
        """Shape (P,): ``known`` values by requested pool, NaN for pools without a known price."""
        every = np.full(len(self.is_known) + 1, np.nan)
        every[:-1][self.is_known] = known
        return every[self.asked]
