"""Corrections of a model from forecasts whose time has passed: the model follows the market.

Three things are corrected for every horizon, all from small sums that forget with a half-life of a
week, so that the whole state is a few tables:

- probabilities: Platt scaling, a logistic fit of what happened on the logit of what was said;
- the mean: a ridge regression of the moves on [P(change) x E[move | change], move of the last
  24 h, P(change) x usual move in the last direction], drawn towards (1, 0, 0);
- the 90 % interval: both limits times one factor, the 90 % quantile of the scores s of the rows
  that changed, where s is the least factor at which the interval, in whole ticks, holds what came
  (split conformal prediction). Families have a factor of their own, drawn towards that of all.
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
"""Rows of evidence that the model's own probabilities count as."""
_MEAN_PRIOR = 0.25
"""Share of the sums' own size by which the mean is drawn towards the model's."""
_OWN_WORD = np.array([1.0, 0.0, 0.0])
_INDEPENDENT_SHARE = 0.41
"""Scores of a pool's successive hours overlap by all but one hour of the horizon, and successive days
go on alike (autocorrelation 0.42, measured on 2024): so many of the rest count as independent. The
quantile of n scores holds 90 % of what comes at the level 0.9 (n + 1) / n (conformal prediction)."""
_INDEPENDENT_LEAST = 40.0
"""Further out the quantile is a handful of jumps, and the interval as wide as the largest of them."""
_FACTOR_MOST = 5.0
"""Changes that were held for next to impossible have scores without bound: a family of them would
stretch the interval of all its pools beyond use."""
_FAMILY_PRIOR = 150.0
"""Scores that all families together count as, beside a family's own."""


@dataclass(frozen=True)
class Observed:
    """N forecasts whose labels are known, of one horizon each time."""

    raw: RawForecast
    price: Floats
    """Shape (N,): price in force when it was forecast."""
    return_24h: Floats
    family: NDArray[np.str_]
    move: Floats
    """Shape (H, N): what came, NaN where it is not known (yet) or was learned before."""
    changed: Floats
    """Shape (H, N): 1, 0 or NaN."""
    rose: Floats
    """Shape (R, N): 1, 0 or NaN."""


@dataclass(frozen=True)
class Calibration:
    """The decayed sums. B logit bins, S score bins, G families (the first is ``ALL``)."""

    said: Floats
    """Shape (H + R, B): rows by what was said."""
    happened: Floats
    """Shape (H + R, B): those of them that came true."""
    gram: Floats
    """Shape (H, 3, 3)."""
    moment: Floats
    """Shape (H, 3)."""
    families: tuple[str, ...]
    scores: Floats
    """Shape (H, G, S)."""

    @classmethod
    def blank(cls) -> "Calibration":
        """Nothing seen: every correction leaves the model's word as it is."""
        horizons = len(HORIZONS_H)
        return cls(
            said=np.zeros((_PROBABILITIES, len(_LOGIT_EDGES) + 1)),
            happened=np.zeros((_PROBABILITIES, len(_LOGIT_EDGES) + 1)),
            gram=np.zeros((horizons, 3, 3)),
            moment=np.zeros((horizons, 3)),
            families=(ALL,),
            scores=np.zeros((horizons, 1, len(_SCORE_EDGES))),
        )

    def forget(self, days: float) -> "Calibration":
        """The same sums ``days`` later."""
        kept = 0.5 ** (days / HALF_LIFE_DAYS)
        return self.weighed(kept)

    def weighed(self, weight: float) -> "Calibration":
        """All sums times ``weight``."""
        return replace(
            self,
            said=self.said * weight,
            happened=self.happened * weight,
            gram=self.gram * weight,
            moment=self.moment * weight,
            scores=self.scores * weight,
        )

    def as_prior(self, rows: float) -> "Calibration":
        """What to begin with in another market: probabilities and scores as if from so many rows
        of each horizon; the mean as the model says it, for its slope is each market's own."""
        said = np.maximum(self.said.sum(axis=1, keepdims=True), 1e-9)
        scores = np.maximum(self.scores[:, :1].sum(axis=2, keepdims=True), 1e-9)
        return replace(
            self,
            said=self.said / said * rows,
            happened=self.happened / said * rows,
            gram=np.zeros_like(self.gram),
            moment=np.zeros_like(self.moment),
            scores=self.scores / scores * rows,
        )

    def learn(self, seen: Observed) -> "Calibration":
        """With what came of these forecasts added."""
        said, happened = self.said.copy(), self.happened.copy()
        probabilities = np.vstack((seen.raw.change, seen.raw.rise))
        outcomes = np.vstack((seen.changed, seen.rose))
        for number in range(_PROBABILITIES):
            known = np.isfinite(outcomes[number])
            bins = _logit_bin(probabilities[number][known])
            said[number] += np.bincount(bins, minlength=said.shape[1])
            happened[number] += np.bincount(
                bins, weights=outcomes[number][known], minlength=said.shape[1]
            )
        gram, moment = self.gram.copy(), self.moment.copy()
        for h in range(len(HORIZONS_H)):
            known = np.isfinite(seen.move[h])
            basis = _mean_basis(seen.raw, h, seen.return_24h)[:, known]
            gram[h] += basis @ basis.T
            moment[h] += basis @ seen.move[h][known]
        families, scores = self._with_scores(seen)
        return Calibration(said, happened, gram, moment, families, scores)

    def _with_scores(self, seen: Observed) -> tuple[tuple[str, ...], Floats]:
        new = sorted(set(np.unique(seen.family).tolist()) - set(self.families))
        families = (*self.families, *new)
        number = {family: row for row, family in enumerate(families)}
        rows = np.array([number[f] for f in seen.family.tolist()], dtype=np.int64)
        scores = np.zeros((len(HORIZONS_H), len(families), len(_SCORE_EDGES)))
        scores[:, : len(self.families)] = self.scores
        for h in range(len(HORIZONS_H)):
            changed = seen.changed[h] == 1
            score = interval_scores(
                seen.price[changed],
                seen.raw.low[h][changed],
                seen.raw.high[h][changed],
                seen.move[h][changed],
            )
            bins = np.minimum(
                np.searchsorted(_SCORE_EDGES, score, side="left"), len(_SCORE_EDGES) - 1
            )
            np.add.at(scores[h], (rows[changed], bins), 1.0)
            scores[h, 0] += np.bincount(bins, minlength=len(_SCORE_EDGES))
        return families, scores

    def probability(self, number: int, said: Floats) -> Floats:
        """Corrected probabilities; ``number`` counts the horizons first, then the rises."""
        intercept, slope = self._platt(number)
        corrected: Floats = 1 / (1 + np.exp(-(intercept + slope * _logit(said))))
        return corrected

    def mean_move(self, raw: RawForecast, horizon: int, return_24h: Floats) -> Floats:
        """Shape (N,): the expected log move, whether or not there is a change."""
        basis = _mean_basis(raw, horizon, return_24h)
        gram, moment = self.gram[horizon], self.moment[horizon]
        strength = np.diag(_MEAN_PRIOR * np.diag(gram) + 1e-12)
        weights = np.linalg.solve(gram + strength, moment + strength @ _OWN_WORD)
        move: Floats = weights @ basis
        return move

    def interval_factor(self, horizon: int, family: Sequence[str] | NDArray[np.str_]) -> Floats:
        """Shape (N,): by what to stretch the interval of each row's pool."""
        everyone = self.scores[horizon, 0]
        if not everyone.sum():
            return np.ones(len(family))
        names, position = np.unique(np.asarray(family, dtype=np.str_), return_inverse=True)
        number = {name: row for row, name in enumerate(self.families)}
        shape_of_all = everyone / everyone.sum()
        independent = _INDEPENDENT_SHARE * everyone.sum() / HORIZONS_H[horizon]
        level = COVERAGE * (1 + 1 / max(independent, _INDEPENDENT_LEAST))
        factors = []
        for name in names.tolist():
            own = self.scores[horizon, number[name]] if name in number else np.zeros_like(everyone)
            factors.append(min(_quantile(own + _FAMILY_PRIOR * shape_of_all, level), _FACTOR_MOST))
        return np.array(factors)[position]

    def _platt(self, number: int) -> tuple[float, float]:
        """Logistic regression on the bins, drawn towards (0, 1); Newton's method."""
        said, happened = self.said[number], self.happened[number]
        if not said.sum():
            return 0.0, 1.0
        x = np.concatenate(([_LOGIT_EDGES[0]], (_LOGIT_EDGES[1:] + _LOGIT_EDGES[:-1]) / 2))
        x = np.append(x, _LOGIT_EDGES[-1])
        prior = _PLATT_PRIOR * said / said.sum()
        own = 1 / (1 + np.exp(-x))
        rows, hits = said + prior, happened + prior * own
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
        """A compressed npz archive, the same bytes for the same sums."""
        return pack_columns(
            _KIND,
            _VERSION,
            {
                "said": self.said,
                "happened": self.happened,
                "gram": self.gram,
                "moment": self.moment,
                "families": np.array(self.families, dtype=np.str_),
                "scores": self.scores,
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Calibration":
        """What ``to_bytes`` wrote. Raises DamagedState."""
        names = tuple(cls.__dataclass_fields__)
        stored = unpack_columns(data, _KIND, _VERSION, names)
        blank = cls.blank()
        families = tuple(stored["families"].tolist())
        shapes: Mapping[str, tuple[int, ...]] = {
            "said": blank.said.shape,
            "happened": blank.said.shape,
            "gram": blank.gram.shape,
            "moment": blank.moment.shape,
            "scores": (len(HORIZONS_H), len(families), len(_SCORE_EDGES)),
        }
        for name, shape in shapes.items():
            if stored[name].shape != shape:
                raise DamagedState(f"{_KIND}: {name} has shape {stored[name].shape}, not {shape}")
        columns = {name: stored[name] for name in shapes}
        return cls(families=families, **columns)


def interval_scores(price: Floats, low: Floats, high: Floats, move: Floats) -> Floats:
    """Shape (N,): the least factor of both limits at which the interval, rounded to whole ticks,
    holds ``move``. A limit of factor x ticks is rounded up from half a tick on."""
    came = moved_ticks(price, move)
    limit = np.where(came > 0, moved_ticks(price, high), -moved_ticks(price, low))
    needed = np.maximum(np.abs(came) - 0.5, 0.0)
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
    """Of scores in bins; straight within a bin, bin 0 being a score of 0."""
    cumulated = np.cumsum(histogram)
    wanted = level * cumulated[-1]
    bin_ = int(np.searchsorted(cumulated, wanted))
    if bin_ == 0:
        return float(_SCORE_EDGES[1])
    before = cumulated[bin_ - 1]
    share = (wanted - before) / max(histogram[bin_], 1e-12)
    low, high = _SCORE_EDGES[bin_ - 1], _SCORE_EDGES[bin_]
    return float(max(low + share * (high - low), _SCORE_EDGES[1]))
