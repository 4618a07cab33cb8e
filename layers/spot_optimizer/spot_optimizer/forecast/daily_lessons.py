"""The daily lesson: what came of the forecasts whose time has passed since the day before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.calibration import Calibration, Observed
from spot_optimizer.forecast.features import WINDOW_S, compute_features
from spot_optimizer.forecast.model_artifact import Model
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
from spot_optimizer.vocabulary import DAY_S, HOUR_S

LOOK_BACK_S = DAY_S + max(HORIZONS_H) * HOUR_S
"""The oldest forecast whose time passed within the last day was made this long ago."""
HISTORY_S = LOOK_BACK_S + WINDOW_S
"""How much history the lesson needs."""


@dataclass(frozen=True)
class Lessons:
    """What a market has taught a model so far."""

    model: str
    """Checksum of the model's boosters: another model's lessons are no use."""
    learned_until_s: int
    """Up to when the passed forecasts have been learned from; 0: none yet."""
    calibration: Calibration

    @classmethod
    def none(cls, model: Model) -> "Lessons":
        """The corrections that the model came with."""
        return cls(model.metadata.checksum, 0, model.calibration)

    def age_days(self, now_s: int) -> float:
        """Since the last lesson; infinite without any."""
        return (now_s - self.learned_until_s) / DAY_S if self.learned_until_s else float("inf")

    def continued(
        self,
        model: Model,
        changes: PriceChanges,
        on_demand_usd_per_hour: Mapping[str, float],
        now_s: int,
    ) -> "Lessons":
        """With the lesson of the last whole UTC day, if it is due and the history long enough.

        Days that were missed are forgotten by, but not made up for."""
        until_s = now_s // DAY_S * DAY_S
        if self.learned_until_s >= until_s or not is_long_enough(changes, now_s):
            return self
        missed = (until_s - self.learned_until_s) // DAY_S - 1 if self.learned_until_s else 0
        learned = learn_day(
            model,
            self.calibration.forget(float(missed)),
            changes,
            on_demand_usd_per_hour,
            until_s,
        )
        return Lessons(self.model, until_s, learned)

    def to_bytes(self) -> bytes:
        """The same bytes for the same lessons."""
        head = {"model": self.model, "learned_until_s": self.learned_until_s}
        line = json.dumps(head, sort_keys=True).encode()
        return line + b"\n" + self.calibration.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Lessons":
        """What ``to_bytes`` wrote. Raises DamagedState."""
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            model, learned_until_s = str(head["model"]), int(head["learned_until_s"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedState(f"lessons: the first line cannot be read: {error}") from error
        return cls(model, learned_until_s, Calibration.from_bytes(rest))


def is_long_enough(changes: PriceChanges, now_s: int) -> bool:
    """Whether most pools are known since long enough for the lesson of the last whole UTC day."""
    if not changes.pools:
        return False
    return bool(np.median(changes.known_since_s) <= now_s // DAY_S * DAY_S - HISTORY_S)


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
        outcomes.rise_lead_h[:, is_known],
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
