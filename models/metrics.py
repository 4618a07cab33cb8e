"""Measures of probability forecasts and alarms, and skill."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Ranked:
    """Probabilities in descending order, sorted once for many measures and row weights (a bootstrap
    counts rows several times). Ties are one step."""

    order: NDArray[np.int64]
    happened: Floats
    """In that order."""
    ends: NDArray[np.int64]
    """Last position of each group of equal probabilities."""
    predicted: Floats
    """In that order."""

    @classmethod
    def of(cls, predicted: Floats, happened: Floats) -> "Ranked":
        order = np.argsort(-predicted, kind="stable")
        ranked = predicted[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        return cls(order, happened[order], ends, ranked)

    def counts(self, weight: Floats | None = None) -> tuple[Floats, Floats]:
        """True and false alarms with the threshold at each step."""
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
    """The threshold with the highest F1, and that F1."""
    hits, alarms = ranked.counts()
    f1 = 2 * hits / np.maximum(hits + alarms + hits[-1], 1e-12)
    best = int(np.argmax(f1))
    return float(ranked.predicted[ranked.ends[best]]), float(f1[best])


@dataclass(frozen=True)
class AtThreshold:
    """Quality of alarms at one threshold."""

    precision: float
    recall: float
    f1: float
    alarm_share: float

    @classmethod
    def of(cls, predicted: Floats, happened: Floats, threshold: float) -> "AtThreshold":
        alarm = predicted >= threshold
        hits = float(happened[alarm].sum())
        precision = hits / alarm.sum() if alarm.any() else float("nan")
        recall = hits / happened.sum() if happened.any() else float("nan")
        f1 = 2 * hits / max(float(alarm.sum() + happened.sum()), 1e-12)
        return cls(float(precision), float(recall), float(f1), float(alarm.mean()))


def brier_skill(predicted: Floats, happened: Floats) -> float:
    """1 - Brier score / Brier score of the base rate."""
    base = happened.mean()
    return 1 - float(((predicted - happened) ** 2).mean() / max(base * (1 - base), 1e-12))


def calibration_error(predicted: Floats, happened: Floats) -> float:
    """Mean difference between predicted and actual rate over ten bins of equal size."""
    bins = _bins(predicted, happened)
    return float(sum(len(p) * abs(p.mean() - h.mean()) for p, h in bins)) / max(len(predicted), 1)


def reliability(predicted: Floats, happened: Floats) -> list[dict[str, float]]:
    """Predicted rate, actual rate and number of rows, in ten bins of equal size."""
    return [
        {"said": float(p.mean()), "happened": float(h.mean()), "rows": len(p)}
        for p, h in _bins(predicted, happened)
    ]


def skill(loss: float, reference_loss: float) -> float:
    """1 - loss / loss of the reference; NaN if the reference has no loss."""
    return 1 - loss / reference_loss if reference_loss > 0 else float("nan")


def _bins(predicted: Floats, happened: Floats) -> list[tuple[Floats, Floats]]:
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, CALIBRATION_BINS)
    return [(predicted[part], happened[part]) for part in parts if len(part)]
