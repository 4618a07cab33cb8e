"""How good forecasts were: sums over forecasts whose time has come, and the figures they give.

Errors are of the log price, so that a dear pool counts as much as a cheap one. Each is set against
the last price, which is what a forecast has to beat: skill = 1 - loss / loss of the last price.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spot_optimizer.forecast.forecaster import Forecast
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts
from spot_optimizer.forecast.outcomes import compute_outcomes
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISE_HOURS
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.vocabulary import HOUR_S

LEVELS = (0.05, 0.95)
"""Of the interval's limits."""


_ROUNDING = 1e-6
"""Prices are whole ticks of 0.0001; what was kept in single precision is this far off at most."""

_FARTHEST = 10.0
"""Log move beyond which a forecast is not worse for being farther off: infinity has a finite loss."""


@dataclass(frozen=True)
class Came:
    """What became of N forecasts of one horizon; NaN where it is not known."""

    price: Floats
    """Shape (N,): at the horizon's end, USD per hour."""
    changed: Floats
    """Shape (N,): 1 where it changed at least once on the way, else 0."""
    rose: Floats
    """Shape (N,): 1 where it was higher by 3 % at any time within 12 h."""


@dataclass(frozen=True)
class Sums:
    """Sums over the forecasts of one horizon whose outcome is known."""

    forecasts: float = 0.0
    squared: float = 0.0
    """Of the log error of the mean, in the square."""
    squared_last: float = 0.0
    """The same of the last price."""
    absolute: float = 0.0
    """Of the log error of the median."""
    absolute_last: float = 0.0
    pinball: float = 0.0
    """Of both limits of the interval: the loss that its quantiles make least."""
    covered: float = 0.0
    """Forecasts whose interval held what came."""
    changed: float = 0.0
    """Forecasts of prices that changed within the horizon."""
    covered_changed: float = 0.0
    change_told: float = 0.0
    """Forecasts that said how likely a change is."""
    change_brier: float = 0.0
    change_happened: float = 0.0
    rise_told: float = 0.0
    """Forecasts that said how likely a rise is: counted with the horizon of 12 h."""
    rise_brier: float = 0.0
    rise_happened: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))

    @classmethod
    def of(
        cls, price: Floats, said: Forecast, change: Floats, instability: Floats, came: Came
    ) -> "Sums":
        """Over N forecasts made at ``price``; ``change`` and ``instability`` are NaN where nothing
        was said, ``came.rose`` is NaN at horizons that it does not belong to."""
        known = np.isfinite(price) & np.isfinite(came.price) & ~np.isnan(said.mean)
        moved = np.log(came.price[known] / price[known])
        low, middle, high, mean = (
            np.clip(np.log(part[known] / price[known]), -_FARTHEST, _FARTHEST)
            for part in (said.p05, said.p50, said.p95, said.mean)
        )
        covered = (low - _ROUNDING <= moved) & (moved <= high + _ROUNDING)
        changed = came.changed[known] == 1
        told = _probability(change[known], came.changed[known])
        rise = _probability(instability[known], came.rose[known])
        return cls(
            forecasts=float(known.sum()),
            squared=float(((moved - mean) ** 2).sum()),
            squared_last=float((moved**2).sum()),
            absolute=float(np.abs(moved - middle).sum()),
            absolute_last=float(np.abs(moved).sum()),
            pinball=_pinball(LEVELS[0], low, moved) + _pinball(LEVELS[1], high, moved),
            covered=float(covered.sum()),
            changed=float(changed.sum()),
            covered_changed=float((covered & changed).sum()),
            change_told=told[0],
            change_brier=told[1],
            change_happened=told[2],
            rise_told=rise[0],
            rise_brier=rise[1],
            rise_happened=rise[2],
        )

    @property
    def skill(self) -> float | None:
        """Of the mean, by the squared error; None where no price moved."""
        return _skill(self.squared, self.squared_last)

    @property
    def coverage_of_changes(self) -> float | None:
        """Share of the prices that changed which the 90 % interval held."""
        return self.covered_changed / self.changed if self.changed else None

    @property
    def change_skill(self) -> float | None:
        """Brier skill against the share that did change, None where all or none did."""
        return _skill(self.change_brier, _base(self.change_told, self.change_happened))

    def figures(self) -> dict[str, float]:
        """What people read, without what cannot be told."""
        found: dict[str, float | None] = {
            "forecasts": self.forecasts,
            "changed": self.changed,
            "skill": self.skill,
            "skill_of_median": _skill(self.absolute, self.absolute_last),
            "coverage": _share(self.covered, self.forecasts),
            "coverage_of_changes": self.coverage_of_changes,
            "pinball": _share(self.pinball, self.forecasts),
            "change_brier": _share(self.change_brier, self.change_told),
            "change_base_rate": _share(self.change_happened, self.change_told),
            "change_skill": self.change_skill,
            "instability_brier": _share(self.rise_brier, self.rise_told),
            "instability_base_rate": _share(self.rise_happened, self.rise_told),
        }
        return {name: round(value, 6) for name, value in found.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """The sums by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def score(
    issued: IssuedForecasts, changes: PriceChanges, horizon: int, known_until_s: int
) -> Mapping[str, Sums]:
    """By model: how what was foretold for ``HORIZONS_H[horizon]`` compares to what came.

    ``changes`` holds the prices up to ``known_until_s``, which must lie behind the horizon's end.
    Pools that ``changes`` does not know any more are left out.
    """
    end_s = issued.made_s + HORIZONS_H[horizon] * HOUR_S
    if end_s > known_until_s:
        raise ValueError(f"known_until_s = {known_until_s} is before the horizon's end {end_s}")
    known = changes.restrict({pool.instance_type for pool in issued.pools})
    number = {pool: row for row, pool in enumerate(known.pools)}
    row = np.array([number.get(pool, -1) for pool in issued.pools], dtype=np.int64)
    outcomes = compute_outcomes(known, np.array([issued.made_s]), known_until_s)
    unsaid = np.full(len(row), np.nan)
    came = Came(
        price=_spread(known.price_at(end_s), row),
        changed=_spread(outcomes.changed[horizon, :, 0], row),
        rose=_spread(outcomes.rose[0, :, 0], row) if HORIZONS_H[horizon] == RISE_HOURS else unsaid,
    )
    return {
        model: Sums.of(
            issued.price,
            Forecast(
                p05=issued.low[m, horizon],
                p50=issued.median[m, horizon],
                p95=issued.high[m, horizon],
                mean=issued.mean[m, horizon],
            ),
            issued.change[m, horizon],
            issued.instability[m],
            came,
        )
        for m, model in enumerate(issued.models)
    }


def _spread(of_known: Floats, row: Any) -> Floats:
    padded = np.append(of_known, np.nan)
    return np.asarray(padded[row], dtype=np.float64)


def _probability(said: Floats, happened: Floats) -> tuple[float, float, float]:
    """How many were told, their squared errors, how many came true."""
    told = np.isfinite(said) & np.isfinite(happened)
    error = said[told] - happened[told]
    return float(told.sum()), float((error**2).sum()), float(happened[told].sum())


def _pinball(level: float, limit: Floats, came: Floats) -> float:
    over = came - limit
    return float(np.maximum(level * over, (level - 1) * over).sum())


def _skill(loss: float, rival: float) -> float | None:
    return 1 - loss / rival if rival > 0 else None


def _base(told: float, happened: float) -> float:
    """Summed Brier score of saying the base rate each time."""
    return happened * (1 - happened / told) if told else 0.0


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
