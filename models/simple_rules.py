"""Simple rules as yardsticks for a model, with the few numbers that are fitted to training data."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.market.prices import Floats

AGE_EDGES_H = (1, 2, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 9, 10, 11, 12, 14, 16, 20, 24)
GAP_EDGES_H = (5, 6, 7, 9, 13, 24, 72)
_CELL_PRIOR = 20.0


@dataclass(frozen=True)
class SimpleRules:
    """The fitted numbers of the rules."""

    drift_24h: tuple[float, ...]
    """By horizon: the share of the log move of the last 24 h that repeats."""
    drift_last_change: tuple[float, ...]
    """By horizon: the share of the last log change that repeats."""
    cadence: Floats
    """Shape (H, 21, 8): P(change) by time since the last change and mean gap between changes."""

    @classmethod
    def learn(cls, data: Dataset, weight: Floats) -> "SimpleRules":
        """Fit the rules to training rows with weights."""
        drift: list[float] = []
        last: list[float] = []
        tables = []
        cell = _cells(data.values)
        shape = (len(AGE_EDGES_H) + 1, len(GAP_EDGES_H) + 1)
        for h in range(len(HORIZONS_H)):
            known = np.isfinite(data.move[h])
            y, w = data.move[h][known], weight[known]
            for learned, x in (
                (drift, data.return_24h[known]),
                (last, last_change(data.values)[known]),
            ):
                learned.append(float((w * x) @ y / max((w * x) @ x, 1e-12)))
            happened = data.changed[h][known]
            base = float((w @ happened) / w.sum())
            size = shape[0] * shape[1]
            rows = np.bincount(cell[known], weights=w, minlength=size)
            hits = np.bincount(cell[known], weights=w * happened, minlength=size)
            tables.append(((hits + _CELL_PRIOR * base) / (rows + _CELL_PRIOR)).reshape(shape))
        return cls(tuple(drift), tuple(last), np.array(tables))

    def cadence_probability(self, horizon: int, values: NDArray[np.float32]) -> Floats:
        """Shape (N,): P(change) from the cadence table."""
        return np.asarray(self.cadence[horizon].ravel()[_cells(values)])

    def to_json(self) -> bytes:
        """JSON, rounded to five decimals."""
        body = {
            "drift_24h": [round(k, 5) for k in self.drift_24h],
            "drift_last_change": [round(k, 5) for k in self.drift_last_change],
            "cadence": np.round(self.cadence, 5).tolist(),
        }
        return (json.dumps(body, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, body: bytes) -> "SimpleRules":
        """Read what ``to_json`` wrote."""
        read = json.loads(body)
        return cls(
            tuple(read["drift_24h"]), tuple(read["drift_last_change"]), np.array(read["cadence"])
        )


def last_change(values: NDArray[np.float32]) -> Floats:
    """Shape (N,): the last log change, 0 if unknown."""
    return np.nan_to_num(values[:, FEATURES.index("change_1")].astype(np.float64))


def pool_frequency(hours: int, values: NDArray[np.float32]) -> Floats:
    """Shape (N,): P(change) if changes are random at the pool's rate of the last week."""
    week = np.nan_to_num(values[:, FEATURES.index("changes_168h")].astype(np.float64))
    return np.asarray(1 - np.exp(-hours * week / 168))


def _cells(values: NDArray[np.float32]) -> NDArray[np.int64]:
    age = values[:, FEATURES.index("age_h")]
    gap = values[:, FEATURES.index("gap_mean_8_h")]
    row = np.searchsorted(AGE_EDGES_H, age, side="right")
    column = np.where(np.isnan(gap), len(GAP_EDGES_H), np.searchsorted(GAP_EDGES_H, gap))
    return (row * (len(GAP_EDGES_H) + 1) + column).astype(np.int64)
