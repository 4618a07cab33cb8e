"""The daily lesson: what came of the forecasts whose time has passed since the day before."""

from collections.abc import Mapping

import numpy as np

from spot_optimizer.forecast.artifact import Model
from spot_optimizer.forecast.calibration import Calibration, Observed
from spot_optimizer.forecast.features import WINDOW_S, compute_features
from spot_optimizer.forecast.forecaster import HOUR_S
from spot_optimizer.forecast.model_forecaster import Rows, select_rows
from spot_optimizer.forecast.outcomes import Outcomes, compute_outcomes
from spot_optimizer.forecast.raw_forecast import (
    HORIZONS_H,
    RISE_HOURS,
    RISES,
    RawForecast,
    predict_rows,
)
from spot_optimizer.market.prices import PriceChanges, Times

DAY_S = 24 * HOUR_S
LOOK_BACK_S = DAY_S + max(HORIZONS_H) * HOUR_S
"""The oldest forecast whose time passed within the last day was made this long ago."""
HISTORY_S = LOOK_BACK_S + WINDOW_S
"""How much history the lesson needs."""


def learn_day(
    model: Model,
    calibration: Calibration,
    changes: PriceChanges,
    on_demand_usd_per_hour: Mapping[str, float],
    until_s: int,
) -> Calibration:
    """``calibration`` a day later: with the hourly forecasts whose time passed in the 24 h up to
    ``until_s``, made again as they were made then, for features look back only."""
    times_s = np.arange(until_s - LOOK_BACK_S, until_s, HOUR_S, dtype=np.int64)
    block = compute_features(changes, times_s, on_demand_usd_per_hour)
    rows, is_known = select_rows(changes, block)
    outcomes = compute_outcomes(changes, times_s, until_s)
    made_s = np.broadcast_to(times_s, is_known.shape)[is_known]
    known = Outcomes(
        outcomes.move[:, is_known],
        outcomes.changed[:, is_known],
        outcomes.rose[:, is_known],
        outcomes.rise_lead_h[is_known],
    )
    raw = predict_rows(model.boosters, rows.values)
    return calibration.forget(1.0).learn(observed(raw, rows, known, made_s, until_s))


def observed(
    raw: RawForecast, rows: Rows, outcomes: Outcomes, made_s: Times, until_s: int
) -> Observed:
    """Of N forecasts made at ``made_s`` (N,): those whose time passed in the day up to ``until_s``.

    ``outcomes`` has the rows as its last axis."""

    def is_due(hours: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        end_s = made_s + hours * HOUR_S
        due: np.ndarray[tuple[int], np.dtype[np.bool_]] = (end_s <= until_s) & (
            end_s > until_s - DAY_S
        )
        return due

    due = np.array([is_due(hours) for hours in HORIZONS_H])
    due_rise = np.array([is_due(RISE_HOURS)] * len(RISES))
    return Observed(
        raw=raw,
        price=rows.price,
        return_24h=rows.return_24h,
        family=rows.family,
        move=np.where(due, outcomes.move, np.nan),
        changed=np.where(due, outcomes.changed, np.nan),
        rose=np.where(due_rise, outcomes.rose, np.nan),
    )
