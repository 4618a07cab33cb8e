"""Two models over the same past days, as if each had been forecasting then."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.accuracy import Came, Sums
from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.daily_lessons import observed
from spot_optimizer.forecast.features import WINDOW_S, compute_features
from spot_optimizer.forecast.model_artifact import Model
from spot_optimizer.forecast.model_forecaster import Rows, forecast_rows, select_rows
from spot_optimizer.forecast.outcomes import Outcomes, compute_outcomes
from spot_optimizer.forecast.raw_forecast import (
    HORIZONS_H,
    RISE_HOURS,
    RawForecast,
    predict_rows,
)
from spot_optimizer.market.prices import Floats, PriceChanges, Times
from spot_optimizer.vocabulary import DAY_S, HOUR_S

DAYS = 7
REHEARSAL_S = DAYS * DAY_S + WINDOW_S
"""How much history a whole rehearsal needs."""
DAYS_LEAST = 2
"""The 24 h forecasts of the last day have no outcome yet."""
ROWS_MAX = 60_000
"""Pool-hours per model: more only cost time, for those of neighbouring hours are alike."""


class TooShortHistory(ValueError):
    """Prices that reach back too little to rehearse; the text says how far they would have to."""


def rehearse(
    models: Mapping[str, Model],
    changes: PriceChanges,
    on_demand_usd_per_hour: Mapping[str, float],
    until_s: int,
) -> dict[str, dict[int, Sums]]:
    """By model and horizon: how well each forecasts the last seven days, or as many of them as the
    history allows.

    Every model begins with the corrections that it came with and learns each day from the forecasts
    whose time has passed, so that one that has long been live has no head start. Raises
    TooShortHistory and UnusableModel.
    """
    start_s = _start(changes, until_s)
    every_h = max(1, -(-len(changes.pools) * (until_s - start_s) // HOUR_S // ROWS_MAX))
    times_s = np.arange(start_s, until_s - HOUR_S + 1, every_h * HOUR_S, dtype=np.int64)
    block = compute_features(changes, times_s, on_demand_usd_per_hour)
    rows, is_known = select_rows(changes, block)
    outcomes = compute_outcomes(changes, times_s, until_s)
    past = _Past(
        made_s=np.broadcast_to(times_s, is_known.shape)[is_known],
        rows=rows,
        outcomes=Outcomes(
            outcomes.move[:, is_known],
            outcomes.changed[:, is_known],
            outcomes.rose[:, is_known],
            outcomes.rise_lead_h[:, is_known],
        ),
    )
    return {name: _rehearsed(model, past, every_h) for name, model in models.items()}


@dataclass(frozen=True)
class _Past:
    """N pool-hours with what came of them."""

    made_s: Times
    rows: Rows
    outcomes: Outcomes

    def take(self, chosen: NDArray[np.bool_]) -> "_Past":
        rows, came = self.rows, self.outcomes
        return _Past(
            self.made_s[chosen],
            Rows(
                rows.values[chosen],
                rows.price[chosen],
                rows.return_24h[chosen],
                rows.family[chosen],
            ),
            Outcomes(
                came.move[:, chosen],
                came.changed[:, chosen],
                came.rose[:, chosen],
                came.rise_lead_h[:, chosen],
            ),
        )


def _start(changes: PriceChanges, until_s: int) -> int:
    """The first moment to forecast: most pools must have been known for two weeks by then."""
    known_since_s = float(np.median(changes.known_since_s)) if changes.pools else np.inf
    start_s = until_s - DAYS * DAY_S
    while start_s - WINDOW_S < known_since_s:
        start_s += DAY_S
        if start_s > until_s - DAYS_LEAST * DAY_S:
            raise TooShortHistory(
                f"it takes {(WINDOW_S // DAY_S) + DAYS_LEAST} days of prices to compare models"
            )
    return start_s


def _rehearsed(model: Model, past: _Past, every_h: int) -> dict[int, Sums]:
    raw = predict_rows(model.boosters, past.rows.values)
    calibration = model.calibration
    found: dict[int, Sums] = dict.fromkeys(HORIZONS_H, Sums())
    first_s = int(past.made_s.min())
    for day_s in range(first_s, int(past.made_s.max()) + 1, DAY_S):
        if day_s > first_s:
            calibration = _learned(calibration, past, raw, day_s, every_h)
        of_day = (past.made_s >= day_s) & (past.made_s < day_s + DAY_S)
        day, said = past.take(of_day), raw.take(of_day)
        for h, hours in enumerate(HORIZONS_H):
            found[hours] += _scored(day, said, calibration, h)
    return found


def _learned(
    calibration: Calibration, past: _Past, raw: RawForecast, day_s: int, every_h: int
) -> Calibration:
    """A day's lesson; a row weighs as many hours as it stands for."""
    recent = (past.made_s < day_s) & (past.made_s >= day_s - 2 * DAY_S)
    data = past.take(recent)
    seen = observed(raw.take(recent), data.rows, data.outcomes, data.made_s, day_s)
    return calibration.forget(1.0).weighed(1 / every_h).learn(seen).weighed(float(every_h))


def _scored(day: _Past, raw: RawForecast, calibration: Calibration, horizon: int) -> Sums:
    said = forecast_rows(raw, day.rows, calibration, horizon)
    unsaid: Floats = np.full(len(day.made_s), np.nan)
    is_rise = HORIZONS_H[horizon] == RISE_HOURS
    return Sums.of(
        day.rows.price,
        said.forecast,
        said.change,
        calibration.probability(len(HORIZONS_H), raw.rise[0]),
        Came(
            price=day.rows.price * np.exp(day.outcomes.move[horizon]),
            changed=day.outcomes.changed[horizon],
            rose=day.outcomes.rose[0] if is_rise else unsaid,
        ),
    )


OVERALL_MOST = 1.02
"""A candidate may lose this much more than the live model, over all measures together: noise."""
SINGLE_MOST = 1.15
"""And so much more by any one measure."""

_TICK_OF_PRICE = 1e-4
"""Log error that counts as none: where nothing moves, no model is worse than another."""
_BRIER_OF_NONE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the live model, on the same forecasts."""

    overall: float
    """Geometric mean of the ratios: above 1 the candidate loses more."""
    ratios: Mapping[str, float]
    """Measure and horizon -> loss of the candidate / loss of the live model."""
    forecasts: float
    changed: float

    @property
    def worse(self) -> str:
        """Why the candidate is worse; empty when it is not."""
        if self.overall > OVERALL_MOST:
            return (
                f"worse than the live model: {self.overall:.3f} times its loss over all measures, "
                f"allowed is {OVERALL_MOST}"
            )
        name, ratio = max(self.ratios.items(), key=lambda pair: pair[1])
        if ratio > SINGLE_MOST:
            return (
                f"worse than the live model: {ratio:.3f} times its {name}, allowed is {SINGLE_MOST}"
            )
        return ""


def compare(candidate: Mapping[int, Sums], live: Mapping[int, Sums]) -> Comparison:
    """Loss by loss: squared error, interval, probability of a change, and of a rise."""
    ratios: dict[str, float] = {}
    for hours in HORIZONS_H:
        mine, others = candidate[hours], live[hours]
        rows = max(mine.forecasts, 1.0)
        for name, none in (
            ("squared", rows * _TICK_OF_PRICE**2),
            ("pinball", rows * _TICK_OF_PRICE * 0.1),
            ("change_brier", rows * _BRIER_OF_NONE),
            ("rise_brier", rows * _BRIER_OF_NONE),
        ):
            if name == "rise_brier" and not mine.rise_told:
                continue
            ratio = (getattr(mine, name) + none) / (getattr(others, name) + none)
            ratios[f"{_LOSSES[name]} at {hours} h"] = round(ratio, 4)
    overall = float(np.exp(np.mean(np.log(list(ratios.values())))))
    whole = candidate[HORIZONS_H[0]]
    return Comparison(round(overall, 4), ratios, whole.forecasts, whole.changed)


_LOSSES = {
    "squared": "squared error",
    "pinball": "pinball loss of the interval",
    "change_brier": "Brier score of a change",
    "rise_brier": "Brier score of a rise",
}
