"""Compare an uploaded model with the live one: both forecast the same past days."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.accuracy_of_past_forecasts import AccuracySums, Actuals
from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.daily_lessons import label_forecasts, learn_hours
from spot_optimizer.forecast.features import WINDOW_S, compute_features
from spot_optimizer.forecast.model_artifact import Model
from spot_optimizer.forecast.model_forecaster import Rows, forecast_rows, select_rows
from spot_optimizer.forecast.raw_forecast import (
    HORIZONS_H,
    RISE_HOURS,
    RawForecast,
    predict_rows,
)
from spot_optimizer.forecast.training_labels import Outcomes, compute_outcomes
from spot_optimizer.market.prices import PriceChanges, Times
from spot_optimizer.vocabulary import DAY_S, HOUR_S

COMPARISON_DAYS = 7
COMPARISON_HISTORY_S = COMPARISON_DAYS * DAY_S + WINDOW_S
"""How much history a comparison over all its days needs."""
COMPARISON_DAYS_MIN = 2
"""The 24 h forecasts of the last day have no actual price yet."""
ROWS_MAX = 60_000
"""Pool-hours per model. More only cost time, because neighboring hours are alike."""

OVERALL_RATIO_MAX = 1.02
"""The candidate may lose this much more than the live model over all measures: noise."""
SINGLE_RATIO_MAX = 1.15
"""The candidate may lose this much more by any single measure."""

_LOSSES = {
    "squared": "squared error",
    "pinball": "pinball loss of the interval",
    "change_brier": "Brier score of a change",
    "rise_brier": "Brier score of a rise",
}
_LOG_ERROR_NEGLIGIBLE = 1e-4
"""Added to both losses per row: in a market that does not move, no model is worse than another."""
_BRIER_NEGLIGIBLE = 1e-4


class TooShortHistory(ValueError):
    """There are too few days of prices to compare models; the text says how many it takes."""


@dataclass(frozen=True)
class Comparison:
    """Losses of a candidate relative to the live model, on the same forecasts."""

    overall: float
    """Geometric mean of the ratios: above 1 the candidate loses more."""
    ratios: Mapping[str, float]
    """Measure and horizon -> loss of the candidate / loss of the live model."""
    forecasts: float
    changed: float

    @property
    def why_worse(self) -> str:
        """Why the candidate is worse than the live model; empty if it is not."""
        if self.overall > OVERALL_RATIO_MAX:
            return (
                f"worse than the live model: {self.overall:.3f} times its loss over all measures, "
                f"allowed is {OVERALL_RATIO_MAX}"
            )
        name, ratio = max(self.ratios.items(), key=lambda pair: pair[1])
        if ratio > SINGLE_RATIO_MAX:
            return (
                f"worse than the live model: {ratio:.3f} times its {name}, "
                f"allowed is {SINGLE_RATIO_MAX}"
            )
        return ""


def compare_models(
    candidate: Model,
    live: Model,
    changes: PriceChanges,
    on_demand_usd_per_hour: Mapping[str, float],
    until_s: int,
) -> Comparison:
    """Compare two models over the last seven days, or as many of them as the history allows.

    Both start with the corrections in their files and learn each day from the forecasts whose
    horizon has ended, so the live model has no head start. Raises TooShortHistory and UnusableModel.
    """
    start_s = _start_s(changes, until_s)
    every_h = max(1, -(-len(changes.pools) * (until_s - start_s) // HOUR_S // ROWS_MAX))
    times_s = np.arange(start_s, until_s - HOUR_S + 1, every_h * HOUR_S, dtype=np.int64)
    past = _labeled_past(changes, times_s, on_demand_usd_per_hour, until_s)
    return _compare_sums(_replay(candidate, past, every_h), _replay(live, past, every_h))


@dataclass(frozen=True)
class _LabeledPast:
    """N pool-hours with their outcomes."""

    made_s: Times
    rows: Rows
    outcomes: Outcomes

    def take(self, chosen: NDArray[np.bool_]) -> "_LabeledPast":
        return _LabeledPast(self.made_s[chosen], self.rows.take(chosen), self.outcomes.take(chosen))


def _start_s(changes: PriceChanges, until_s: int) -> int:
    """The first moment to forecast: most pools must have two weeks of prices before it."""
    known_since_s = float(np.median(changes.known_since_s)) if changes.pools else np.inf
    start_s = until_s - COMPARISON_DAYS * DAY_S
    while start_s - WINDOW_S < known_since_s:
        start_s += DAY_S
        if start_s > until_s - COMPARISON_DAYS_MIN * DAY_S:
            raise TooShortHistory(
                f"it takes {(WINDOW_S // DAY_S) + COMPARISON_DAYS_MIN} days of prices to compare"
                " models"
            )
    return start_s


def _labeled_past(
    changes: PriceChanges, times_s: Times, on_demand: Mapping[str, float], until_s: int
) -> _LabeledPast:
    block = compute_features(changes, times_s, on_demand)
    rows, is_known = select_rows(changes, block)
    made_s = np.broadcast_to(times_s, is_known.shape)[is_known]
    outcomes = compute_outcomes(changes, times_s, until_s).take(is_known)
    return _LabeledPast(made_s, rows, outcomes)


def _replay(model: Model, past: _LabeledPast, every_h: int) -> dict[int, AccuracySums]:
    """By horizon: the errors that a model would have made, day by day."""
    raw = predict_rows(model.boosters, past.rows.values)
    calibration = model.calibration
    sums: dict[int, AccuracySums] = dict.fromkeys(HORIZONS_H, AccuracySums())
    first_s = int(past.made_s.min())
    for day_s in range(first_s, int(past.made_s.max()) + 1, DAY_S):
        if day_s > first_s:
            calibration = _learn_day(calibration, past, raw, day_s, every_h)
        of_day = (past.made_s >= day_s) & (past.made_s < day_s + DAY_S)
        day, raw_of_day = past.take(of_day), raw.take(of_day)
        for h, hours in enumerate(HORIZONS_H):
            sums[hours] += _score_day(day, raw_of_day, calibration, h)
    return sums


def _learn_day(
    calibration: Calibration, past: _LabeledPast, raw: RawForecast, day_s: int, every_h: int
) -> Calibration:
    recent = (past.made_s < day_s) & (past.made_s >= day_s - 2 * DAY_S)
    data = past.take(recent)
    labeled = label_forecasts(raw.take(recent), data.rows, data.outcomes, data.made_s, day_s)
    return learn_hours(calibration, [labeled], every_h)


def _score_day(
    day: _LabeledPast, raw: RawForecast, calibration: Calibration, horizon: int
) -> AccuracySums:
    forecast = forecast_rows(raw, day.rows, calibration, horizon)
    has_rise = HORIZONS_H[horizon] == RISE_HOURS
    return AccuracySums.of(
        day.rows.price,
        forecast.forecast,
        forecast.change,
        calibration.probability(len(HORIZONS_H), raw.rise[0]),
        Actuals(
            price=day.rows.price * np.exp(day.outcomes.move[horizon]),
            changed=day.outcomes.changed[horizon],
            rose=day.outcomes.rose[0] if has_rise else np.full(len(day.made_s), np.nan),
        ),
    )


def _compare_sums(
    candidate: Mapping[int, AccuracySums], live: Mapping[int, AccuracySums]
) -> Comparison:
    """Ratios of squared error, interval loss, and Brier scores of a change and of a rise."""
    ratios: dict[str, float] = {}
    for hours in HORIZONS_H:
        of_candidate, of_live = candidate[hours], live[hours]
        rows = max(of_candidate.forecasts, 1.0)
        for name, negligible in (
            ("squared", rows * _LOG_ERROR_NEGLIGIBLE**2),
            ("pinball", rows * _LOG_ERROR_NEGLIGIBLE * 0.1),
            ("change_brier", rows * _BRIER_NEGLIGIBLE),
            ("rise_brier", rows * _BRIER_NEGLIGIBLE),
        ):
            if name == "rise_brier" and not of_candidate.rise_forecasts:
                continue
            loss, loss_of_live = getattr(of_candidate, name), getattr(of_live, name)
            ratio = (loss + negligible) / (loss_of_live + negligible)
            ratios[f"{_LOSSES[name]} at {hours} h"] = round(ratio, 4)
    overall = float(np.exp(np.mean(np.log(list(ratios.values())))))
    at_first = candidate[HORIZONS_H[0]]
    return Comparison(round(overall, 4), ratios, at_first.forecasts, at_first.changed)
