"""One workload judged again with changed inputs, by its engine."""

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
    """The effect of a decision; two decisions with the same effect are equal."""

    kind: DecisionKind
    pool: Pool | None = None
    """The best target; None for STAY."""
    lifecycle: Lifecycle | None = None
    pending: bool = False
    """The workload falls back if the next cycle comes to the same result."""

    def __str__(self) -> str:
        if self.pending:
            return "STAY, then FALLBACK if the next cycle comes to the same result"
        return (
            f"{self.kind}" if self.pool is None else f"{self.kind} to {self.pool} {self.lifecycle}"
        )


def verdict_of(look: Look) -> Verdict:
    """The engine's result, without the guards."""
    outcome = look.outcome
    if not outcome.candidates:
        return Verdict(outcome.kind, pending=outcome.fallback_pending)
    best = outcome.candidates[0]
    return Verdict(outcome.kind, best.pool, best.lifecycle)


@dataclass(frozen=True, slots=True)
class Case:
    """A workload, and the market that it is judged in."""

    workload: WorkloadView
    table: MarketTable
    now: datetime
    engines: Engines

    def look(self) -> Look:
        """The engine's result; STAY if the engine fails."""
        return look_at(self.workload, self.table, self.table.catalog, self.now, self.engines)

    def verdict(self) -> Verdict:
        """The effect of the engine's result."""
        return verdict_of(self.look())

    def takes(self, row: int) -> bool:
        """Whether the verdict is to switch to that spot pool of the market."""
        pool = self.table.market.pools[row]
        wanted = Verdict(DecisionKind.SWITCH, pool, Lifecycle.SPOT)
        return self.verdict() == wanted

    def workload_with(self, **changes: object) -> "Case":
        """The same case with other facts of the workload."""
        return replace(self, workload=replace(self.workload, **changes))  # type: ignore[arg-type]

    def with_setting(self, name: str, value: object) -> "Case | None":
        """The same case with one setting changed; None if the other settings do not allow the value."""
        try:
            settings = replace(self.workload.settings, **{name: value})  # type: ignore[arg-type]
        except InvalidSetting:
            return None
        return self.workload_with(settings=settings)

    def with_facts(self, row: int, **facts: float) -> "Case":
        """The same case with other figures of one pool."""
        columns = {}
        for name, value in facts.items():
            columns[name] = getattr(self.table.market, name).copy()
            columns[name][row] = value
        market = replace(self.table.market, **columns)
        return replace(self, table=self.table.varied(market))

    def with_price(self, row: int, ticks: int) -> "Case":
        """The same case with one pool's mean forecast at so many ticks; its price and quantiles change in
        proportion."""
        market = self.table.market
        factor = ticks * PRICE_TICK_USD / float(market.forecast_mean[row])
        facts = {name: float(getattr(market, name)[row]) * factor for name in _FACTORS}
        return self.with_facts(row, **{**facts, "forecast_mean": round(ticks * PRICE_TICK_USD, 4)})


def last_that_holds(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The last number from ``low`` up at which ``holds`` is true, by bisection. ``high`` if it is true
    there, None if it is false at ``low``."""
    if not holds(low):
        return None
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def first_change(points: Sequence[float], differs: Callable[[float], bool]) -> float | None:
    """The first of ``points`` that makes a difference, None if none does.

    The first 64 points are tried one by one, the others by bisection between strides, which may miss a
    difference that ends before the next stride. The returned point makes a difference, and the point
    before it does not.
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
