"""Accuracy of past forecasts: compare issued forecasts with actual prices and sum their errors.

Errors are of the log price, so that an expensive pool counts as much as a cheap one. The yardstick
is the last price: skill = 1 - loss / loss of the last price.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spot_optimizer.forecast.forecaster import Forecast
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISE_HOURS
from spot_optimizer.forecast.training_labels import compute_outcomes
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.vocabulary import HOUR_S

LEVELS = (0.05, 0.95)
"""Quantile levels of the 90 % interval's limits."""

_ROUNDING = 1e-6
"""Prices are whole ticks of 0.0001; stored in single precision they are off by this at most."""

_LOG_MOVE_MAX = 10.0
"""Log moves are clipped here, so that a forecast of infinity has a finite loss."""


def score_forecasts(
    issued: IssuedForecasts, changes: PriceChanges, horizon: int, known_until_s: int
) -> Mapping[str, "AccuracySums"]:
    """By model: the errors of ``issued`` at ``HORIZONS_H[horizon]``.

    ``changes`` holds the prices up to ``known_until_s``. Pools that ``changes`` no longer has are
    skipped. Raises ValueError if the horizon ends after ``known_until_s``.
    """
    end_s = issued.made_s + HORIZONS_H[horizon] * HOUR_S
    if end_s > known_until_s:
        raise ValueError(f"known_until_s = {known_until_s} is before the horizon's end {end_s}")
    actual = _actuals(issued, changes, horizon, known_until_s)
    return {
        model: AccuracySums.of(
            issued.price,
            Forecast(
                p05=issued.low[m, horizon],
                p50=issued.median[m, horizon],
                p95=issued.high[m, horizon],
                mean=issued.mean[m, horizon],
            ),
            issued.change[m, horizon],
            issued.instability[m],
            actual,
        )
        for m, model in enumerate(issued.models)
    }


@dataclass(frozen=True)
class Actuals:
    """Actual prices for N forecasts of one horizon; NaN if unknown."""

    price: Floats
    """Shape (N,): at the horizon's end, USD per hour."""
    changed: Floats
    """Shape (N,): 1 if the price changed at least once within the horizon, else 0."""
    rose: Floats
    """Shape (N,): 1 if the price was higher by 3 % at any time within 12 h, else 0. NaN at the
    other horizons."""


@dataclass(frozen=True)
class AccuracySums:
    """Sums of errors over the forecasts of one horizon whose actual price is known."""

    forecasts: float = 0.0
    """Number of forecasts."""
    squared: float = 0.0
    """Squared log error of the mean."""
    squared_last: float = 0.0
    """Squared log error of the last price."""
    absolute: float = 0.0
    """Absolute log error of the median."""
    absolute_last: float = 0.0
    """Absolute log error of the last price."""
    pinball: float = 0.0
    """Pinball loss of both limits of the 90 % interval."""
    covered: float = 0.0
    """Forecasts whose 90 % interval contained the actual price."""
    changed: float = 0.0
    """Forecasts of prices that changed within the horizon."""
    covered_changed: float = 0.0
    change_forecasts: float = 0.0
    """Forecasts with a probability of a change."""
    change_brier: float = 0.0
    change_happened: float = 0.0
    rise_forecasts: float = 0.0
    """Forecasts with a probability of a rise; counted at the horizon of 12 h."""
    rise_brier: float = 0.0
    rise_happened: float = 0.0

    def __add__(self, other: "AccuracySums") -> "AccuracySums":
        return AccuracySums(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(AccuracySums))
        )

    @classmethod
    def of(
        cls,
        price: Floats,
        forecast: Forecast,
        change: Floats,
        instability: Floats,
        actual: Actuals,
    ) -> "AccuracySums":
        """Errors of N forecasts made at ``price``; ``change`` and ``instability`` are NaN if the
        forecaster gives none."""
        known = np.isfinite(price) & np.isfinite(actual.price) & ~np.isnan(forecast.mean)
        moved = np.log(actual.price[known] / price[known])
        low, middle, high, mean = (
            np.clip(np.log(part[known] / price[known]), -_LOG_MOVE_MAX, _LOG_MOVE_MAX)
            for part in (forecast.p05, forecast.p50, forecast.p95, forecast.mean)
        )
        covered = (low - _ROUNDING <= moved) & (moved <= high + _ROUNDING)
        changed = actual.changed[known] == 1
        of_change = _brier_sums(change[known], actual.changed[known])
        of_rise = _brier_sums(instability[known], actual.rose[known])
        return cls(
            forecasts=float(known.sum()),
            squared=float(((moved - mean) ** 2).sum()),
            squared_last=float((moved**2).sum()),
            absolute=float(np.abs(moved - middle).sum()),
            absolute_last=float(np.abs(moved).sum()),
            pinball=float(pinball_loss(LEVELS[0], low, moved).sum())
            + float(pinball_loss(LEVELS[1], high, moved).sum()),
            covered=float(covered.sum()),
            changed=float(changed.sum()),
            covered_changed=float((covered & changed).sum()),
            change_forecasts=of_change[0],
            change_brier=of_change[1],
            change_happened=of_change[2],
            rise_forecasts=of_rise[0],
            rise_brier=of_rise[1],
            rise_happened=of_rise[2],
        )

    @property
    def skill(self) -> float | None:
        """Skill of the mean by squared error; None if no price moved."""
        return _skill(self.squared, self.squared_last)

    @property
    def coverage_of_changes(self) -> float | None:
        """Share of the changed prices that the 90 % interval contained; None without any."""
        return _share(self.covered_changed, self.changed)

    @property
    def change_skill(self) -> float | None:
        """Brier skill against the base rate of changes; None if all or none of the prices changed."""
        return _skill(
            self.change_brier, _base_rate_brier(self.change_forecasts, self.change_happened)
        )

    def figures(self) -> dict[str, float]:
        """The figures for people; one that cannot be computed is missing."""
        figures: dict[str, float | None] = {
            "forecasts": self.forecasts,
            "changed": self.changed,
            "skill": self.skill,
            "skill_of_median": _skill(self.absolute, self.absolute_last),
            "coverage": _share(self.covered, self.forecasts),
            "coverage_of_changes": self.coverage_of_changes,
            "pinball": _share(self.pinball, self.forecasts),
            "change_brier": _share(self.change_brier, self.change_forecasts),
            "change_base_rate": _share(self.change_happened, self.change_forecasts),
            "change_skill": self.change_skill,
            "instability_brier": _share(self.rise_brier, self.rise_forecasts),
            "instability_base_rate": _share(self.rise_happened, self.rise_forecasts),
        }
        return {name: round(value, 6) for name, value in figures.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """The sums by their stored names."""
        return {_STORED_NAMES.get(f.name, f.name): getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "AccuracySums":
        """Read what ``to_json`` gave, by stored or attribute name. Raises TypeError on others."""
        attributes = {old: new for new, old in _STORED_NAMES.items()}
        return cls(**{attributes.get(name, name): value for name, value in stored.items()})


_STORED_NAMES = {"change_forecasts": "change_told", "rise_forecasts": "rise_told"}
"""Attribute -> its name in stored scores, which version 0.1.0 reads too."""


def _actuals(
    issued: IssuedForecasts, changes: PriceChanges, horizon: int, known_until_s: int
) -> Actuals:
    """Actual prices in the order of ``issued.pools``."""
    known = changes.restrict({pool.instance_type for pool in issued.pools})
    number = {pool: row for row, pool in enumerate(known.pools)}
    row = np.array([number.get(pool, -1) for pool in issued.pools], dtype=np.int64)
    outcomes = compute_outcomes(known, np.array([issued.made_s]), known_until_s)
    has_rise = HORIZONS_H[horizon] == RISE_HOURS
    return Actuals(
        price=_pick(known.price_at(issued.made_s + HORIZONS_H[horizon] * HOUR_S), row),
        changed=_pick(outcomes.changed[horizon, :, 0], row),
        rose=_pick(outcomes.rose[0, :, 0], row) if has_rise else np.full(len(row), np.nan),
    )


def _pick(of_known: Floats, row: Any) -> Floats:
    """``of_known`` at each ``row``, NaN at -1."""
    padded = np.append(of_known, np.nan)
    return np.asarray(padded[row], dtype=np.float64)


def _brier_sums(probability: Floats, happened: Floats) -> tuple[float, float, float]:
    """Number of known pairs, their summed squared errors, and how many happened."""
    known = np.isfinite(probability) & np.isfinite(happened)
    error = probability[known] - happened[known]
    return float(known.sum()), float((error**2).sum()), float(happened[known].sum())


def pinball_loss(level: float, limit: Floats, actual: Floats) -> Floats:
    """Shape (N,): the loss that the quantile ``level`` minimizes."""
    over = actual - limit
    return np.maximum(level * over, (level - 1) * over)


def _skill(loss: float, reference_loss: float) -> float | None:
    return 1 - loss / reference_loss if reference_loss > 0 else None


def _base_rate_brier(forecasts: float, happened: float) -> float:
    """Summed Brier score of always forecasting the base rate."""
    return happened * (1 - happened / forecasts) if forecasts else 0.0


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
