"""The pools that passed the stages, and why each of the others did not."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spot_optimizer.decision.decision import Candidate, Rejection
from spot_optimizer.decision.market_table import Bools, Codes, Rows
from spot_optimizer.decision.situation import Situation, explain_safety
from spot_optimizer.decision.stages import Reason, Want
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.vocabulary import Lifecycle

CANDIDATES_MAX = 6
REJECTED_MAX = 10
OWN_CODES_FROM = 64
"""Codes below this are members of Reason; codes from here on are an engine's own stages."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of an engine's own: it removes some of the pools left, with a reason."""

    label: str
    """The reason in words, the same for all pools; rejected pools are counted by it."""
    removes: Callable[["Selection"], Bools]
    """Pure; which of the N pools left (``selection.ranked``) to remove, shape (N,)."""
    detail: Callable[["Selection", int], str] | None = None
    """The reason with the figures of one row of the market; the label is used if this is None."""


@dataclass(frozen=True, slots=True)
class Selection:
    """``codes`` of all P pools, shape (P,), and the rows of the N pools that passed, the best first."""

    situation: Situation
    want: Want
    codes: Codes
    ranked: Rows
    scores: Floats | None = None
    """The engine's scores of the pools left, in their order, shape (N,); None if the price ranks."""
    stages: tuple[Stage, ...] = ()
    """The engine's own stages so far; stage n has the code OWN_CODES_FROM + n."""
    smaller: "Selection | None" = None
    """The selection of smaller types, none of which is taken; it explains why."""

    @property
    def forecast_usd_per_hour(self) -> Floats:
        """Mean forecast of the pools left one hour ahead, in their order."""
        return self.situation.table.market.forecast_mean[self.ranked]

    @property
    def risk(self) -> Floats:
        """Risk of the pools left, in their order."""
        return self.situation.table.risk[self.ranked]

    def only(self, worth: Bools) -> "Selection":
        """Keep the pools that are ``worth`` it, shape (N,); the gain of the others is too small."""
        return self._left(worth, Reason.GAIN_TOO_SMALL)

    def after(self, stage: Stage) -> "Selection":
        """Apply an engine's own stage. Raises ValueError if it does not return one bool per pool
        left."""
        removed = np.asarray(stage.removes(self))
        if removed.dtype != np.bool_ or removed.shape != self.ranked.shape:
            raise ValueError(
                f"stage '{stage.label}' returned {removed.dtype} of shape {removed.shape}; "
                f"allowed is bool of shape {self.ranked.shape}"
            )
        code = OWN_CODES_FROM + len(self.stages)
        return replace(self._left(~removed, code), stages=(*self.stages, stage))

    def scored(self, scores: Floats, *, key: Callable[[Floats], Floats]) -> "Selection":
        """Rank the pools left by an engine's scores, the lowest ``key`` first; ties stay in the order
        of price. Unknown scores (NaN) come last. Raises ValueError for another shape."""
        figures = np.asarray(scores, dtype=np.float64)
        if figures.shape != self.ranked.shape:
            raise ValueError(
                f"scores of shape {figures.shape}; allowed is one per pool left, {self.ranked.shape}"
            )
        # ``ranked`` is in the order of price already: a stable sort keeps that order among equals.
        order = np.argsort(key(figures), kind="stable")
        return replace(self, ranked=self.ranked[order], scores=figures[order])

    def candidates(self, limit: int = CANDIDATES_MAX) -> tuple[Candidate, ...]:
        """The best pools left, as candidates."""
        rows = self.ranked[:limit].tolist()
        scores = [None] * len(rows) if self.scores is None else self.scores[:limit].tolist()
        return tuple(
            spot_candidate(self.situation, row, score)
            for row, score in zip(rows, scores, strict=True)
        )

    def rejected(self) -> tuple[Rejection, ...]:
        """The cheapest rejected pools, usable ones first: otherwise the small sizes and other
        architectures of the whole market would crowd them out."""
        by_price = self.situation.table.by_price
        codes = self.codes[by_price]
        rejected = (codes != Reason.CANDIDATE) & (codes != Reason.CURRENT)
        never = ~self.usable[by_price]
        cheapest = [
            *np.flatnonzero(rejected & ~never)[:REJECTED_MAX],
            *np.flatnonzero(rejected & never)[:REJECTED_MAX],
        ][:REJECTED_MAX]
        return tuple(self.rejection(int(by_price[position])) for position in cheapest)

    def counts(self) -> Mapping[str, int]:
        """Reason -> number of rejected pools."""
        elsewhere = self._judged_as_smaller
        counts = self._counts(self.codes[~elsewhere])
        if self.smaller is not None:
            counts.update(self.smaller._counts(self.smaller.codes[elsewhere]))
        return dict(counts)

    @property
    def usable(self) -> Bools:
        """Pools that could host the workload, selected or not: compatible, allowed, with a price."""
        usable: Bools = (
            (self.codes == Reason.CANDIDATE)
            | (self.codes > Reason.CANNOT_BOOT)
            | self._judged_as_smaller
        )
        return usable

    @property
    def _judged_as_smaller(self) -> Bools:
        """Pools that are too small here and were judged in ``smaller`` instead."""
        if self.smaller is None:
            return self.situation.table.nowhere
        out_of_question = np.isin(self.smaller.codes, (Reason.TOO_LARGE, Reason.CANDIDATE))
        elsewhere: Bools = (self.codes == Reason.TOO_SMALL) & ~out_of_question
        return elsewhere

    def code(self, row: int) -> int:
        """The code of the stage that removed one pool."""
        if self.smaller is not None and self._judged_as_smaller[row]:
            return self.smaller.code(row)
        return int(self.codes[row])

    def label(self, row: int) -> str:
        """Why one pool was removed; rejected pools are counted by this label."""
        if self.smaller is not None and self._judged_as_smaller[row]:
            return self.smaller.label(row)
        return self._label(int(self.codes[row]))

    def _label(self, code: int) -> str:
        if code >= OWN_CODES_FROM:
            return self.stages[code - OWN_CODES_FROM].label
        return Reason(code).label

    def _counts(self, codes: Codes) -> Counter[str]:
        numbers = np.bincount(codes).tolist()
        counts: Counter[str] = Counter()
        for code, number in enumerate(numbers):
            if number and code != Reason.CANDIDATE:
                counts[self._label(code)] += number
        return counts

    def _left(self, keep: Bools, code: int) -> "Selection":
        codes = self.codes.copy()
        codes[self.ranked[~keep]] = code
        scores = None if self.scores is None else self.scores[keep]
        return replace(self, codes=codes, ranked=self.ranked[keep], scores=scores)

    def rejection(self, row: int) -> Rejection:
        """Why one pool was removed, with the figures."""
        if self.smaller is not None and self._judged_as_smaller[row]:
            return self.smaller.rejection(row)
        market, code = self.situation.table.market, int(self.codes[row])
        if code < OWN_CODES_FROM:
            reason = _detail(self, row, Reason(code))
        else:
            stage = self.stages[code - OWN_CODES_FROM]
            reason = stage.detail(self, row) if stage.detail else stage.label
        spot, forecast = float(market.price[row]), float(market.forecast_mean[row])
        return Rejection(market.pools[row], reason, spot, forecast)


def spot_candidate(situation: Situation, row: int, score: float | None = None) -> Candidate:
    """A pool of the market as a candidate, with the engine's score."""
    plain, pool = situation.table.plain, situation.table.market.pools[row]
    forecast = plain.forecast_usd_per_hour[row]
    return Candidate(
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        lifecycle=Lifecycle.SPOT,
        subnet_id=situation.workload.subnet_in(pool.availability_zone),
        spot_usd_per_hour=plain.spot_usd_per_hour[row],
        forecast_usd_per_hour=forecast,
        discount_points=100.0 * (1 - forecast / situation.home_on_demand_usd_per_hour),
        risk=plain.risk[row],
        score=score,
    )


def _detail(selection: Selection, row: int, code: Reason) -> str:
    situation, want = selection.situation, selection.want
    table = situation.table
    pool = table.market.pools[row]
    if code in (Reason.VOLATILE, Reason.UNSTABLE) and want.safety is not None:
        return explain_safety(table, row, want.safety, code)
    if code is Reason.INCOMPATIBLE:
        known = table.catalog.types.get(pool.instance_type)
        text = (
            incompatibility(known, want.home, may_burst=want.may_burst)
            if known
            else "not in the catalog"
        )
        return f"{code.label}: {text}"
    if code is Reason.CANNOT_BOOT:
        return (
            f"{code.label}: {want.image.incompatibility(table.catalog.types[pool.instance_type])}"
        )
    if code is Reason.NOT_IN_TYPES:
        return f"not in types {', '.join(want.globs)}"
    if code is Reason.NO_SUBNET:
        return situation.workload.why_not_in(pool.availability_zone)
    if code in (Reason.TOO_SMALL, Reason.TOO_LARGE):
        return f"{code.label}: {table.vcpu[row]:g} vCPU, {table.memory_gib[row]:g} GiB"
    if code is Reason.TOO_SLOW:
        return (
            f"{code.label}: {table.network_gbps[row]:g} Gbit/s, {table.ebs_mbps[row]:g} MB/s; "
            f"at least {want.network_gbps_min:.3g} and {want.ebs_mbps_min:.3g}"
        )
    if code is Reason.UNCONFIRMED:
        return f"safe for less than {situation.workload.settings.confirm_safe_minutes:g} minutes"
    if code in (Reason.GAIN_TOO_SMALL, Reason.NOT_CHEAPER_THAN_ON_DEMAND):
        candidate = spot_candidate(situation, row)
        discount = f"forecast discount {candidate.discount_points:.1f} points"
        return f"{code.label}: {discount} at risk {candidate.risk:.2f}"
    return code.label
