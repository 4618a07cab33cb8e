"""Train the boosters: the rows, labels, weights and settings of each."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from spot_optimizer.forecast.boosters import Booster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, MOVE_SCALE, RISES, move_unit
from spot_optimizer.market.prices import Floats

Progress = Callable[[int, int, str], None]
"""Steps done, total steps, description of the current step."""

STEPS = 4 * len(HORIZONS_H) + len(RISES)
"""Progress steps of ``BoosterTrainer``."""

_COMMON: dict[str, Any] = {
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "max_bin": 255,
    "bagging_freq": 1,
    "bagging_fraction": 0.7,
    "feature_fraction": 0.6,
}
_CHANGE = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.08,
    "min_data_in_leaf": 200,
    "bagging_fraction": 0.35,  # all rows are used, and there are many
}
_MOVE = {
    "objective": "regression",
    "num_leaves": 63,
    "learning_rate": 0.04,
    "min_data_in_leaf": 250,
    "feature_fraction": 0.5,
}
_LIMIT = {"objective": "quantile", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 300}
_MEDIAN = {
    "objective": "regression_l1",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
}
_RISE = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.04,
    "min_data_in_leaf": 150,
    "feature_fraction": 0.4,
    "lambda_l2": 10.0,
}
_ROUNDS = {"change": 100, "move": 150, "low": 80, "high": 80, "median": 80, "rise": 180}
_UNITS_MAX = 30.0
"""Moves are clipped at this many usual moves, or a few would dominate the quantiles."""
_MEDIAN_FROM = 0.35
"""Rows that are less likely to change have the last price as median anyway."""


class BoosterTrainer:
    """Trains all boosters on the same rows."""

    def __init__(
        self,
        data: Dataset,
        weight: Floats,
        seed: int,
        threads: int,
        progress: Progress,
        done: int,
        steps: int,
    ) -> None:
        self._data, self._weight = data, weight
        self._common = {**_COMMON, "seed": seed, "num_threads": threads}
        self._progress, self._done, self._steps = progress, done, steps
        self._unit = move_unit(data.values)

    def texts(self) -> dict[str, str]:
        """LightGBM's text of every booster, by name."""
        texts: dict[str, str] = {}
        for h, hours in enumerate(HORIZONS_H):
            self._train_horizon(h, hours, texts)
        for r, rise in enumerate(RISES):
            self._report(f"rise by {100 * rise:g} % within 12 h")
            known = np.isfinite(self._data.rose[r])
            texts[f"rise_{round(100 * rise)}"] = self._text(
                _RISE, "rise", known, self._data.rose[r][known], self._weight[known]
            )
        return texts

    def _train_horizon(self, h: int, hours: int, texts: dict[str, str]) -> None:
        data, weight, unit = self._data, self._weight, self._unit
        known = np.isfinite(data.changed[h])
        changed = known & (data.changed[h] == 1)
        self._report(f"change within {hours} h")
        texts[f"change_{hours}h"] = self._text(
            _CHANGE, "change", known, data.changed[h][known], weight[known]
        )
        self._report(f"move over {hours} h")
        texts[f"move_{hours}h"] = self._text(
            _MOVE, "move", changed, data.move[h][changed] / MOVE_SCALE, weight[changed]
        )
        moved = np.clip(data.move[h] / unit, -_UNITS_MAX, _UNITS_MAX)
        self._report(f"limits over {hours} h")
        for part, level in (("low", 0.05), ("high", 0.95)):
            texts[f"{part}_{hours}h"] = self._text(
                {**_LIMIT, "alpha": level}, part, changed, moved[changed], weight[changed]
            )
        self._report(f"median over {hours} h")
        probability = Booster(texts[f"change_{hours}h"]).predict(data.values)
        likely = known & (probability >= _MEDIAN_FROM)
        if likely.sum() < 1_000:
            likely = known
        texts[f"median_{hours}h"] = self._text(
            _MEDIAN, "median", likely, moved[likely], (weight * np.minimum(unit, 0.05))[likely]
        )

    def _text(
        self,
        settings: dict[str, Any],
        part: str,
        chosen: NDArray[np.bool_],
        label: Floats,
        weight: Floats,
    ) -> str:
        rows = lightgbm.Dataset(
            self._data.values[chosen],
            label=label,
            weight=weight / weight.mean(),
            params={"verbosity": -1},
            free_raw_data=True,
        )
        booster = lightgbm.train({**self._common, **settings}, rows, _ROUNDS[part])
        text = str(booster.model_to_string())
        # After the trees come the settings, which a booster does not need.
        return text.split("\nparameters:", maxsplit=1)[0] + "\n"

    def _report(self, what: str) -> None:
        self._progress(self._done, self._steps, f"learning {what}")
        self._done += 1
