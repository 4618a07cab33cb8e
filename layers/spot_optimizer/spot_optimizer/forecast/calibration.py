"""Calibration: corrections of a model, learned from its past forecasts and the actual prices.

Three things are corrected for every horizon. The state is a few tables of sums that fade with a
half-life of a week:

- probabilities: Platt scaling, a logistic fit of what happened on the logit of the prediction;
- the mean: a ridge regression of the moves on [P(change) x E[move | change], move of the last
  24 h, P(change) x usual move in the last direction], drawn towards (1, 0, 0);
- the 90 % interval: both limits times one factor, the 90 % quantile of the scores s of the rows
  that changed, where s is the least factor at which the interval, in whole ticks, contains the
  actual price (split conformal prediction). Each family has its own factor, drawn towards that of
  all families.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.codec import (
    DamagedState,
    pack_columns,
    unpack_columns,
)
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES, RawForecast
from spot_optimizer.forecast.ticks import moved_ticks
from spot_optimizer.market.prices import Floats

HALF_LIFE_DAYS = 7.0
COVERAGE = 0.90
ALL = "*"
"""The row of ``families`` that holds the scores of every family."""

_KIND, _VERSION = "calibration", 1
_LOGIT_EDGES = np.linspace(-7, 7, 57)
_SCORE_EDGES = np.concatenate(([0.0], np.geomspace(1 / 16, 16, 81)))
_PROBABILITIES = len(HORIZONS_H) + len(RISES)
_PLATT_PRIOR = 50.0
"""Weight of the model's own probabilities, in rows."""
_MEAN_PRIOR = 0.25
"""Weight of the model's own mean, as a share of the sums' own size."""
_UNCORRECTED = np.array([1.0, 0.0, 0.0])
_INDEPENDENT_SHARE = 0.41
"""Share of the scores, after division by the horizon, that count as independent. Scores of a pool's
successive hours overlap by all but one hour of the horizon, and successive days are correlated
(autocorrelation 0.42, measured on 2024). The quantile of n independent scores contains 90 % of the
future ones at the level 0.9 (n + 1) / n (conformal prediction)."""
_INDEPENDENT_MIN = 40.0
"""With fewer, the quantile depends on a handful of jumps, and the interval on the largest of them."""
_FACTOR_MAX = 5.0
"""Changes that were predicted to be almost impossible have unbounded scores: a family of them would
make the intervals of all its pools too wide to use."""
_FAMILY_PRIOR = 150.0
"""Weight of the scores of all families beside a family's own, in scores."""


@dataclass(frozen=True)
class LabeledForecasts:
    """N forecasts with their outcomes as labels, for H horizons and R rises."""

    raw: RawForecast
    price: Floats
    """Shape (N,): price in force when the forecast was made."""
    return_24h: Floats
    family: NDArray[np.str_]
    move: Floats
    """Shape (H, N): actual log move; NaN if it is not known yet or already learned."""
    changed: Floats
    """Shape (H, N): 1, 0 or NaN."""
    rose: Floats
    """Shape (R, N): 1, 0 or NaN."""


@dataclass(frozen=True)
class Calibration:
    """The decayed sums. B logit bins, S score bins, G families (the first is ``ALL``)."""

    predicted: Floats
    """Shape (H + R, B): rows by predicted probability; stored as ``said``."""
    happened: Floats
    """Shape (H + R, B): those of them that happened."""
    gram: Floats
    """Shape (H, 3, 3)."""
    moment: Floats
    """Shape (H, 3)."""
    families: tuple[str, ...]
    scores: Floats
    """Shape (H, G, S)."""

    @classmethod
    def blank(cls) -> "Calibration":
        """No data: all predictions stay as they are."""
        horizons = len(HORIZONS_H)
        return cls(
            predicted=np.zeros((_PROBABILITIES, len(_LOGIT_EDGES) + 1)),
            happened=np.zeros((_PROBABILITIES, len(_LOGIT_EDGES) + 1)),
            gram=np.zeros((horizons, 3, 3)),
            moment=np.zeros((horizons, 3)),
            families=(ALL,),
            scores=np.zeros((horizons, 1, len(_SCORE_EDGES))),
        )

    def forget(self, days: float) -> "Calibration":
        """The sums after they have faded for ``days``."""
        return self.scaled(0.5 ** (days / HALF_LIFE_DAYS))

    def scaled(self, weight: float) -> "Calibration":
        """All sums times ``weight``."""
        return replace(
            self,
            predicted=self.predicted * weight,
            happened=self.happened * weight,
            gram=self.gram * weight,
            moment=self.moment * weight,
            scores=self.scores * weight,
        )

    def as_prior(self, rows: float) -> "Calibration":
        """Corrections for the start in another market: probabilities and scores weigh as much as
        ``rows`` rows of each horizon; the mean is not corrected, because its slope differs between
        markets."""
        predicted = np.maximum(self.predicted.sum(axis=1, keepdims=True), 1e-9)
        scores = np.maximum(self.scores[:, :1].sum(axis=2, keepdims=True), 1e-9)
        return replace(
            self,
            predicted=self.predicted / predicted * rows,
            happened=self.happened / predicted * rows,
            gram=np.zeros_like(self.gram),
            moment=np.zeros_like(self.moment),
            scores=self.scores / scores * rows,
        )

    def learn(self, labeled: LabeledForecasts) -> "Calibration":
        """Add labeled forecasts to the sums."""
        predicted, happened = self.predicted.copy(), self.happened.copy()
        probabilities = np.vstack((labeled.raw.change, labeled.raw.rise))
        outcomes = np.vstack((labeled.changed, labeled.rose))
        for number in range(_PROBABILITIES):
            known = np.isfinite(outcomes[number])
            bins = _logit_bin(probabilities[number][known])
            predicted[number] += np.bincount(bins, minlength=predicted.shape[1])
            happened[number] += np.bincount(
                bins, weights=outcomes[number][known], minlength=predicted.shape[1]
            )
        gram, moment = self.gram.copy(), self.moment.copy()
        for h in range(len(HORIZONS_H)):
            known = np.isfinite(labeled.move[h])
            basis = _mean_basis(labeled.raw, h, labeled.return_24h)[:, known]
            gram[h] += basis @ basis.T
            moment[h] += basis @ labeled.move[h][known]
        families, scores = self._add_scores(labeled)
        return Calibration(predicted, happened, gram, moment, families, scores)

    def _add_scores(self, labeled: LabeledForecasts) -> tuple[tuple[str, ...], Floats]:
        """The families, new ones last, and their interval scores."""
        new = sorted(set(np.unique(labeled.family).tolist()) - set(self.families))
        families = (*self.families, *new)
        number = {family: row for row, family in enumerate(families)}
        rows = np.array([number[f] for f in labeled.family.tolist()], dtype=np.int64)
        scores = np.zeros((len(HORIZONS_H), len(families), len(_SCORE_EDGES)))
        scores[:, : len(self.families)] = self.scores
        for h in range(len(HORIZONS_H)):
            changed = labeled.changed[h] == 1
            score = interval_scores(
                labeled.price[changed],
                labeled.raw.low[h][changed],
                labeled.raw.high[h][changed],
                labeled.move[h][changed],
            )
            bins = np.minimum(
                np.searchsorted(_SCORE_EDGES, score, side="left"), len(_SCORE_EDGES) - 1
            )
            np.add.at(scores[h], (rows[changed], bins), 1.0)
            scores[h, 0] += np.bincount(bins, minlength=len(_SCORE_EDGES))
        return families, scores

    def probability(self, number: int, predicted: Floats) -> Floats:
        """Corrected probabilities; ``number`` counts the horizons first, then the rises."""
        intercept, slope = self._platt(number)
        corrected: Floats = 1 / (1 + np.exp(-(intercept + slope * _logit(predicted))))
        return corrected

    def mean_move(self, raw: RawForecast, horizon: int, return_24h: Floats) -> Floats:
        """Shape (N,): the expected log move, whether or not there is a change."""
        basis = _mean_basis(raw, horizon, return_24h)
        gram, moment = self.gram[horizon], self.moment[horizon]
        strength = np.diag(_MEAN_PRIOR * np.diag(gram) + 1e-12)
        weights = np.linalg.solve(gram + strength, moment + strength @ _UNCORRECTED)
        move: Floats = weights @ basis
        return move

    def interval_factor(self, horizon: int, family: Sequence[str] | NDArray[np.str_]) -> Floats:
        """Shape (N,): the factor for the interval of each row's pool."""
        everyone = self.scores[horizon, 0]
        if not everyone.sum():
            return np.ones(len(family))
        names, position = np.unique(np.asarray(family, dtype=np.str_), return_inverse=True)
        number = {name: row for row, name in enumerate(self.families)}
        shape_of_all = everyone / everyone.sum()
        independent = _INDEPENDENT_SHARE * everyone.sum() / HORIZONS_H[horizon]
        level = COVERAGE * (1 + 1 / max(independent, _INDEPENDENT_MIN))
        factors = []
        for name in names.tolist():
            own = self.scores[horizon, number[name]] if name in number else np.zeros_like(everyone)
            factors.append(min(_quantile(own + _FAMILY_PRIOR * shape_of_all, level), _FACTOR_MAX))
        return np.array(factors)[position]

    def _platt(self, number: int) -> tuple[float, float]:
        """Intercept and slope of a logistic regression on the bins, drawn towards (0, 1), by Newton's
        method."""
        predicted, happened = self.predicted[number], self.happened[number]
        if not predicted.sum():
            return 0.0, 1.0
        x = np.concatenate(([_LOGIT_EDGES[0]], (_LOGIT_EDGES[1:] + _LOGIT_EDGES[:-1]) / 2))
        x = np.append(x, _LOGIT_EDGES[-1])
        prior = _PLATT_PRIOR * predicted / predicted.sum()
        own = 1 / (1 + np.exp(-x))
        rows, hits = predicted + prior, happened + prior * own
        design = np.vstack((np.ones_like(x), x))
        weights = np.array([0.0, 1.0])
        for _ in range(25):
            fitted = 1 / (1 + np.exp(-(weights @ design)))
            gradient = design @ (hits - rows * fitted)
            curvature = (design * (rows * fitted * (1 - fitted))) @ design.T
            step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
            weights = weights + np.clip(step, -1, 1)
            if np.abs(step).max() < 1e-8:
                break
        return float(weights[0]), float(weights[1])

    def to_bytes(self) -> bytes:
        """A compressed npz archive; equal sums give equal bytes."""
        return pack_columns(
            _KIND,
            _VERSION,
            {
                "said": self.predicted,
                "happened": self.happened,
                "gram": self.gram,
                "moment": self.moment,
                "families": np.array(self.families, dtype=np.str_),
                "scores": self.scores,
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Calibration":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        names = ("said", "happened", "gram", "moment", "families", "scores")
        stored = unpack_columns(data, _KIND, _VERSION, names)
        blank = cls.blank()
        if stored["families"].ndim != 1 or stored["families"].dtype.kind != "U":
            raise DamagedState(f"{_KIND}: families: allowed is a list of names")
        families = tuple(stored["families"].tolist())
        shapes: Mapping[str, tuple[int, ...]] = {
            "said": blank.predicted.shape,
            "happened": blank.happened.shape,
            "gram": blank.gram.shape,
            "moment": blank.moment.shape,
            "scores": (len(HORIZONS_H), len(families), len(_SCORE_EDGES)),
        }
        for name, shape in shapes.items():
            if stored[name].shape != shape:
                raise DamagedState(f"{_KIND}: {name} has shape {stored[name].shape}, not {shape}")
            if stored[name].dtype.kind != "f" or not np.isfinite(stored[name]).all():
                raise DamagedState(f"{_KIND}: {name}: allowed are finite floating-point numbers")
        columns = {name: stored[name] for name in shapes if name != "said"}
        return cls(predicted=stored["said"], families=families, **columns)


def interval_scores(price: Floats, low: Floats, high: Floats, move: Floats) -> Floats:
    """Shape (N,): the least factor of both limits at which the interval, rounded to whole ticks,
    contains ``move``. A limit of factor x ticks is rounded up from half a tick on."""
    actual = moved_ticks(price, move)
    limit = np.where(actual > 0, moved_ticks(price, high), -moved_ticks(price, low))
    needed = np.maximum(np.abs(actual) - 0.5, 0.0)
    score: Floats = needed / np.maximum(limit, 1e-3)
    return score


def _mean_basis(raw: RawForecast, horizon: int, return_24h: Floats) -> Floats:
    return np.vstack(
        (raw.change[horizon] * raw.move[horizon], return_24h, raw.change[horizon] * raw.step)
    )


def _logit(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    logit: Floats = np.log(clipped / (1 - clipped))
    return logit


def _logit_bin(probability: Floats) -> NDArray[np.int64]:
    return np.searchsorted(_LOGIT_EDGES, _logit(probability)).astype(np.int64)


def _quantile(histogram: Floats, level: float) -> float:
    """Quantile of binned scores, linear within a bin; bin 0 is a score of 0."""
    cumulated = np.cumsum(histogram)
    wanted = level * cumulated[-1]
    bin_ = int(np.searchsorted(cumulated, wanted))
    if bin_ == 0:
        return float(_SCORE_EDGES[1])
    before = cumulated[bin_ - 1]
    share = (wanted - before) / max(histogram[bin_], 1e-12)
    low, high = _SCORE_EDGES[bin_ - 1], _SCORE_EDGES[bin_]
    return float(max(low + share * (high - low), _SCORE_EDGES[1]))
