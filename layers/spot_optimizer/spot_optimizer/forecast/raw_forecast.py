"""Raw forecast: what the boosters of a model predict for each row, before calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.market.prices import Floats

HORIZONS_H = (1, 6, 12, 24)
RISES = (0.03, 0.01)
"""Relative rises within ``RISE_HOURS``. The first defines instability: a rise by >= 3 % within 12 h."""
RISE_HOURS = 12

PARTS = ("change", "move", "low", "median", "high")
"""Boosters of each horizon: P(change within it); given a change, the log move and its 5 % and 95 %
quantile; and the median of the move, change or not. The quantiles and the median are in units of
``move_unit``, the mean move in units of ``MOVE_SCALE``."""


def booster_names() -> tuple[str, ...]:
    """Names of all boosters of a model."""
    of_horizons = tuple(f"{part}_{hours}h" for hours in HORIZONS_H for part in PARTS)
    return of_horizons + tuple(f"rise_{round(100 * rise)}" for rise in RISES)


class Predictor(Protocol):
    """A loaded booster."""

    def predict(self, rows: NDArray[np.float32]) -> Floats:
        """Shape (N,) from rows of shape (N, F)."""
        ...


@dataclass(frozen=True)
class RawForecast:
    """Predictions for H horizons, R rises and N rows."""

    change: Floats
    """Shape (H, N): probability of a change within the horizon."""
    move: Floats
    """Shape (H, N): log move expected if there is a change."""
    low: Floats
    """Shape (H, N): its 5 % quantile, never above 0; nearer to 0 if a change is unlikely."""
    median: Floats
    """Shape (H, N): median of the log move, change or not."""
    high: Floats
    """Shape (H, N): its 95 % quantile, never below 0; nearer to 0 if a change is unlikely."""
    rise: Floats
    """Shape (R, N): probability of each of ``RISES`` within 12 h."""
    step: Floats
    """Shape (N,): the usual move of the pool, in the direction of its last change."""

    def take(self, chosen: NDArray[np.bool_]) -> "RawForecast":
        """The chosen rows."""
        return RawForecast(*(getattr(self, f.name)[..., chosen] for f in fields(self)))


def predict_rows(boosters: Mapping[str, Predictor], rows: NDArray[np.float32]) -> RawForecast:
    """Predict ``rows`` (N, F) with ``boosters`` (all of ``booster_names``)."""

    def of(part: str, hours: Sequence[int] = HORIZONS_H) -> Floats:
        predicted = [np.asarray(boosters[f"{part}_{h}h"].predict(rows)) for h in hours]
        return np.array(predicted, dtype=np.float64).reshape(len(hours), len(rows))

    unit = move_unit(rows)
    change = of("change")
    reach = np.minimum(change / np.array(_REACH_FROM)[:, None], 1.0)
    rise = [np.asarray(boosters[f"rise_{round(100 * r)}"].predict(rows)) for r in RISES]
    return RawForecast(
        change=change,
        move=of("move") * MOVE_SCALE,
        low=np.minimum(of("low") * unit, 0.0) * reach,
        median=of("median") * unit,
        high=np.maximum(of("high") * unit, 0.0) * reach,
        rise=np.array(rise, dtype=np.float64).reshape(len(RISES), len(rows)),
        step=np.nan_to_num(np.sign(rows[:, _LAST].astype(np.float64))) * unit,
    )


MOVE_SCALE = 0.01
"""The mean move is trained in percent, for numerical reasons."""

_REACH_FROM = (0.1, 0.3, 0.3, 0.3)
"""By horizon: below this probability of a change the limits are narrowed in proportion. Otherwise
pools that rarely move would have the widest intervals (measured: narrowing halves the pinball loss
at 6 h, at the same coverage of the changes)."""

_LAST = FEATURES.index("change_1")
_SIZE = FEATURES.index("change_size_mean_8")
_TICK = FEATURES.index("tick_share")
_UNIT_MIN = 0.001


def move_unit(rows: NDArray[np.float32]) -> Floats:
    """Shape (N,): the usual size of a move of each row's pool, as a log ratio.

    Quantiles are learned in this unit, so that they apply to calm and volatile markets alike.
    """
    size = np.nan_to_num(rows[:, _SIZE].astype(np.float64))
    return np.maximum(np.maximum(size, rows[:, _TICK] / 2), _UNIT_MIN)
