"""Daily lessons: once a day a model's corrections learn from the forecasts whose horizon has ended."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.calibration import Calibration, LabeledForecasts
from spot_optimizer.forecast.features import WINDOW_S, compute_features
from spot_optimizer.forecast.model_artifact import Model
from spot_optimizer.forecast.model_forecaster import Rows, select_rows
from spot_optimizer.forecast.raw_forecast import (
    HORIZONS_H,
    RISE_HOURS,
    RISES,
    RawForecast,
    predict_rows,
)
from spot_optimizer.forecast.training_labels import Outcomes, compute_outcomes
from spot_optimizer.market.prices import PriceChanges, Times
from spot_optimizer.vocabulary import DAY_S, HOUR_S

LOOK_BACK_S = DAY_S + max(HORIZONS_H) * HOUR_S
"""The oldest forecast whose horizon ended within the last day was made this long ago."""
HISTORY_S = LOOK_BACK_S + WINDOW_S
"""How much history a lesson needs."""


@dataclass(frozen=True)
class Lessons:
    """A model's corrections after all lessons in this market."""

    model: str
    """Checksum of the model's boosters: lessons of one model are useless to another."""
    learned_until_s: int
    """End of the last day learned from; 0 before the first lesson."""
    calibration: Calibration

    @classmethod
    def none(cls, model: Model) -> "Lessons":
        """Before the first lesson: the corrections in the model's files."""
        return cls(model.metadata.checksum, 0, model.calibration)

    def age_days(self, now_s: int) -> float:
        """Days since the last lesson; infinite before the first."""
        return (now_s - self.learned_until_s) / DAY_S if self.learned_until_s else float("inf")

    def with_lesson_if_due(
        self,
        model: Model,
        changes: PriceChanges,
        on_demand_usd_per_hour: Mapping[str, float],
        now_s: int,
    ) -> "Lessons":
        """Add the lesson of the last whole UTC day, if it is due and the history is long enough.

        Missed days are not learned later, but the older lessons fade by them."""
        until_s = now_s // DAY_S * DAY_S
        if self.learned_until_s >= until_s or not has_enough_history(changes, now_s):
            return self
        missed = (until_s - self.learned_until_s) // DAY_S - 1 if self.learned_until_s else 0
        learned = learn_from_day(
            model,
            self.calibration.forget(float(missed)),
            changes,
            on_demand_usd_per_hour,
            until_s,
        )
        return Lessons(self.model, until_s, learned)

    def to_bytes(self) -> bytes:
        """A JSON line, then an npz archive; equal lessons give equal bytes."""
        head = {"model": self.model, "learned_until_s": self.learned_until_s}
        line = json.dumps(head, sort_keys=True).encode()
        return line + b"\n" + self.calibration.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Lessons":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            model, learned_until_s = str(head["model"]), int(head["learned_until_s"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedState(f"lessons: the first line cannot be read: {error}") from error
        return cls(model, learned_until_s, Calibration.from_bytes(rest))


def has_enough_history(changes: PriceChanges, now_s: int) -> bool:
    """Whether most pools have the history that the lesson of the last whole UTC day needs."""
    if not changes.pools:
        return False
    return bool(np.median(changes.known_since_s) <= now_s // DAY_S * DAY_S - HISTORY_S)


def learn_from_day(
    model: Model,
    calibration: Calibration,
    changes: PriceChanges,
    on_demand_usd_per_hour: Mapping[str, float],
    until_s: int,
) -> Calibration:
    """Learn from the hourly forecasts whose horizon ended in the 24 h up to ``until_s``.

    The forecasts are recomputed, not read: features only look back, so they are the same."""
    times_s = np.arange(until_s - LOOK_BACK_S, until_s, HOUR_S, dtype=np.int64)
    block = compute_features(changes, times_s, on_demand_usd_per_hour)
    rows, is_known = select_rows(changes, block)
    outcomes = compute_outcomes(changes, times_s, until_s).take(is_known)
    made_s = np.broadcast_to(times_s, is_known.shape)[is_known]
    raw = predict_rows(model.boosters, rows.values)
    return learn_hours(calibration, [label_forecasts(raw, rows, outcomes, made_s, until_s)])


def learn_hours(
    calibration: Calibration, labeled: Iterable[LabeledForecasts], every_h: int = 1
) -> Calibration:
    """One daily lesson. If only every ``every_h``-th hour is labeled, each row weighs as many hours."""
    learned = calibration.forget(1.0).scaled(1 / every_h)
    for part in labeled:
        learned = learned.learn(part)
    return learned.scaled(float(every_h))


def label_forecasts(
    raw: RawForecast, rows: Rows, outcomes: Outcomes, made_s: Times, until_s: int
) -> LabeledForecasts:
    """Label N forecasts made at ``made_s`` (N,) if their horizon ended in the day up to ``until_s``.

    ``outcomes`` has the rows as its last axis. Forecasts of other days get NaN as label."""

    def is_due(hours: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        end_s = made_s + hours * HOUR_S
        due: np.ndarray[tuple[int], np.dtype[np.bool_]] = (end_s <= until_s) & (
            end_s > until_s - DAY_S
        )
        return due

    due = np.array([is_due(hours) for hours in HORIZONS_H])
    due_rise = np.array([is_due(RISE_HOURS)] * len(RISES))
    return LabeledForecasts(
        raw=raw,
        price=rows.price,
        return_24h=rows.return_24h,
        family=rows.family,
        move=np.where(due, outcomes.move, np.nan),
        changed=np.where(due, outcomes.changed, np.nan),
        rose=np.where(due_rise, outcomes.rose, np.nan),
    )
