"""Measures of forecasts. All take row weights, so that a bootstrap can count a block several times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Ranked:
    """Probabilities in falling order, once sorted for many measures and weights. Ties are one step."""

    order: NDArray[np.int64]
    happened: Floats
    """In that order."""
    ends: NDArray[np.int64]
    """Last position of each group of equal probabilities."""
    said: Floats

    @classmethod
    def of(cls, said: Floats, happened: Floats) -> "Ranked":
        order = np.argsort(-said, kind="stable")
        ranked = said[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        return cls(order, happened[order], ends, ranked)

    def counts(self, weight: Floats | None = None) -> tuple[Floats, Floats]:
        """True and false alarms if the threshold is at each step."""
        w = np.ones(len(self.order)) if weight is None else weight[self.order]
        hits = np.cumsum(w * self.happened)[self.ends]
        return hits, np.cumsum(w)[self.ends] - hits


def auc(hits: Floats, alarms: Floats) -> float:
    """Area under the ROC curve: how often a row that happened is ranked above one that did not."""
    if not hits[-1] or not alarms[-1]:
        return float("nan")
    sensitivity = np.concatenate(([0.0], hits / hits[-1]))
    false_rate = np.concatenate(([0.0], alarms / alarms[-1]))
    return float(np.trapezoid(sensitivity, false_rate))


def average_precision(hits: Floats, alarms: Floats) -> float:
    """Mean precision over the steps at which recall grows, weighted by the growth."""
    if not hits[-1]:
        return float("nan")
    precision = hits / np.maximum(hits + alarms, 1e-12)
    growth = np.diff(np.concatenate(([0.0], hits))) / hits[-1]
    return float(precision @ growth)


def best_f1_threshold(ranked: Ranked) -> tuple[float, float]:
    """The threshold of the highest F1, and that F1."""
    hits, alarms = ranked.counts()
    f1 = 2 * hits / np.maximum(hits + alarms + hits[-1], 1e-12)
    best = int(np.argmax(f1))
    return float(ranked.said[ranked.ends[best]]), float(f1[best])


@dataclass(frozen=True)
class AtThreshold:
    """How alarms at one threshold do."""

    precision: float
    recall: float
    f1: float
    alarm_share: float

    @classmethod
    def of(cls, said: Floats, happened: Floats, threshold: float) -> "AtThreshold":
        alarm = said >= threshold
        hits = float(happened[alarm].sum())
        precision = hits / alarm.sum() if alarm.any() else float("nan")
        recall = hits / happened.sum() if happened.any() else float("nan")
        f1 = 2 * hits / max(float(alarm.sum() + happened.sum()), 1e-12)
        return cls(float(precision), float(recall), float(f1), float(alarm.mean()))


def brier_skill(said: Floats, happened: Floats) -> float:
    """1 - Brier score / that of the base rate."""
    base = happened.mean()
    return 1 - float(((said - happened) ** 2).mean() / max(base * (1 - base), 1e-12))


def calibration_error(said: Floats, happened: Floats) -> float:
    """Mean distance of what was said and what happened over ten bins of equally many rows."""
    return float(sum(len(s) * abs(s.mean() - h.mean()) for s, h in _bins(said, happened))) / max(
        len(said), 1
    )


def reliability(said: Floats, happened: Floats) -> list[dict[str, float]]:
    """Bins of equally many rows: what was said, what happened, how many."""
    return [
        {"said": float(s.mean()), "happened": float(h.mean()), "rows": len(s)}
        for s, h in _bins(said, happened)
    ]


def _bins(said: Floats, happened: Floats) -> list[tuple[Floats, Floats]]:
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, CALIBRATION_BINS)
    return [(said[part], happened[part]) for part in parts if len(part)]


def pinball(level: float, limit: Floats, came: Floats) -> Floats:
    """Shape (N,): the loss that the quantile ``level`` makes least."""
    over = came - limit
    return np.maximum(level * over, (level - 1) * over)


def skill(loss: float, rival: float) -> float:
    """1 - loss / rival's loss; NaN where the rival makes none."""
    return 1 - loss / rival if rival > 0 else float("nan")
