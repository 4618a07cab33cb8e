"""One workload looked at again with something changed, by the engine that judged it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from spot_optimizer.decision.engine import Look, look_at
from spot_optimizer.decision.engines.contract import Engines
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.world import WorkloadView
from spot_optimizer.settings import InvalidSetting
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)

PRICE_TICK_USD = 0.0001
_ONE_BY_ONE = 64
_FACTORS = ("price", "forecast_p05", "forecast_p50", "forecast_p95", "forecast_mean")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a decision comes to: two are the same when nothing that is done differs."""

    kind: DecisionKind
    pool: Pool | None = None
    """The best target; None for STAY."""
    lifecycle: Lifecycle | None = None
    pending: bool = False
    """It falls back if the next cycle still says so."""

    def __str__(self) -> str:
        if self.pending:
            return "STAY, and FALLBACK if the next cycle still says so"
        return (
            f"{self.kind}" if self.pool is None else f"{self.kind} to {self.pool} {self.lifecycle}"
        )


def verdict_of(look: Look) -> Verdict:
    """The engine's answer, guards left out."""
    outcome = look.outcome
    if not outcome.candidates:
        return Verdict(outcome.kind, pending=outcome.fallback_pending)
    best = outcome.candidates[0]
    return Verdict(outcome.kind, best.pool, best.lifecycle)


@dataclass(frozen=True, slots=True)
class Case:
    """A workload and a market that it is looked at in."""

    workload: WorkloadView
    table: MarketTable
    now: datetime
    engines: Engines

    def look(self) -> Look:
        """The engine's look; an engine that fails answers STAY."""
        return look_at(self.workload, self.table, self.table.catalog, self.now, self.engines)

    def verdict(self) -> Verdict:
        """What the look comes to."""
        return verdict_of(self.look())

    def takes(self, row: int) -> bool:
        """Whether the verdict is to move to that spot pool of the market."""
        pool = self.table.market.pools[row]
        wanted = Verdict(DecisionKind.SWITCH, pool, Lifecycle.SPOT)
        return self.verdict() == wanted

    def workload_with(self, **changes: object) -> "Case":
        """The same with other facts of the workload."""
        return replace(self, workload=replace(self.workload, **changes))  # type: ignore[arg-type]

    def with_setting(self, name: str, value: object) -> "Case | None":
        """The same with one setting changed; None where the value is impossible beside the others."""
        try:
            settings = replace(self.workload.settings, **{name: value})  # type: ignore[arg-type]
        except InvalidSetting:
            return None
        return self.workload_with(settings=settings)

    def with_facts(self, row: int, **facts: float) -> "Case":
        """The same with other figures of one pool."""
        columns = {}
        for name, value in facts.items():
            columns[name] = getattr(self.table.market, name).copy()
            columns[name][row] = value
        market = replace(self.table.market, **columns)
        return replace(self, table=self.table.varied(market))

    def with_price(self, row: int, ticks: int) -> "Case":
        """The same with one pool's forecast at so many ticks: price and quantiles move along, in
        proportion."""
        market = self.table.market
        factor = ticks * PRICE_TICK_USD / float(market.forecast_mean[row])
        facts = {name: float(getattr(market, name)[row]) * factor for name in _FACTORS}
        return self.with_facts(row, **{**facts, "forecast_mean": round(ticks * PRICE_TICK_USD, 4)})


def last_that_holds(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The last number from ``low`` up at which ``holds``, by bisection: it does there, and at the
    next it does not. ``high`` where it always does, None where it does not at ``low``."""
    if not holds(low):
        return None
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def first_change(points: Sequence[float], differs: Callable[[float], bool]) -> float | None:
    """The first of ``points`` that makes a difference, None where none does.

    The first 64 are tried one by one, further ones by bisection between strides: there a difference
    that does not last to the next stride may be missed, but what is told does make one, and the
    point before it none.
    """
    same, stride, index = -1, 1, 0
    while index < len(points) and not differs(points[index]):
        same = index
        if index == len(points) - 1:
            return None
        stride = 1 if index + 1 < _ONE_BY_ONE else 2 * stride
        index = min(index + stride, len(points) - 1)
    if not points:
        return None
    while index - same > 1:
        middle = (same + index) // 2
        same, index = (same, middle) if differs(points[middle]) else (middle, index)
    return points[index]
