"""Confidence intervals by block bootstrap: whole weeks and families are drawn, because rows within
one are alike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import Ranked
from spot_optimizer.market.prices import Floats, Times
from spot_optimizer.vocabulary import WEEK_S

DRAWS = 400
RANKED_DRAWS = 60


@dataclass(frozen=True)
class Blocks:
    """B blocks, one per week, market and family."""

    block: NDArray[np.int64]
    """Shape (N,): block of each row."""
    draws: Floats
    """Shape (D, B): how often each block was drawn."""

    @classmethod
    def of(
        cls, made_s: Times, market: NDArray[np.int64], family: NDArray[np.str_], seed: int
    ) -> "Blocks":
        _, number = np.unique(family, return_inverse=True)
        week = (made_s - made_s.min()) // WEEK_S
        key = (market * (week.max() + 1) + week) * (number.max() + 1) + number
        _, block = np.unique(key, return_inverse=True)
        count = int(block.max()) + 1
        chosen = np.random.default_rng(seed).integers(0, count, size=(DRAWS, count))
        draws = np.array([np.bincount(row, minlength=count) for row in chosen], dtype=np.float64)
        return cls(block.astype(np.int64), draws)

    def interval_of_skill(
        self, loss: Floats, reference: Floats, rows: NDArray[np.bool_]
    ) -> tuple[float, float]:
        """90 % interval of 1 - sum(loss) / sum(reference); both (n,) over the chosen ``rows``."""
        sums = [
            self.draws @ np.bincount(self.block[rows], weights=part, minlength=self.draws.shape[1])
            for part in (loss, reference)
        ]
        return _interval(1 - sums[0] / np.maximum(sums[1], 1e-300))

    def interval_of_mean(self, value: Floats, rows: NDArray[np.bool_]) -> tuple[float, float]:
        """90 % interval of the mean of ``value`` over the chosen ``rows``."""
        blocks = self.draws.shape[1]
        total = self.draws @ np.bincount(self.block[rows], weights=value, minlength=blocks)
        count = self.draws @ np.bincount(self.block[rows], minlength=blocks)
        return _interval(total / np.maximum(count, 1))

    def interval_of_ranking(
        self,
        ranked: Ranked,
        measure: Callable[[Floats, Floats], float],
        rows: NDArray[np.bool_],
    ) -> tuple[float, float]:
        """90 % interval of a measure of hits and false alarms."""
        block = self.block[rows]
        return _interval(
            np.array([measure(*ranked.counts(d[block])) for d in self.draws[:RANKED_DRAWS]])
        )


def _interval(drawn: Floats) -> tuple[float, float]:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.05, 0.95))
    return float(low), float(high)
