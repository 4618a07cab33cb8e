"""The product's own engines, through ``decide`` with all its rules and guards.

Every hour is one cycle; where a cycle only announces a fallback, the next one, five minutes later, is
asked too. A run is one workload alone: limits that workloads share (switches in flight, moves into
one pool, shares of families) are left open, and a pool's rate of interruptions is not learned, for the
draws have none but the advisor's. Launches always succeed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from backtest.billing import Paths
from backtest.period import Period
from backtest.requirements import Case
from backtest.starts import Starts
from spot_optimizer.decision.decision import Candidate, Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.contract import Engines
from spot_optimizer.decision.world import (
    PastSwitch,
    StackState,
    WorkloadView,
    World,
)
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)

CYCLE = timedelta(minutes=5)
_DAY = timedelta(hours=24)
_MIDDLE_AGE = timedelta(hours=1)
"""From then on an instance counts as of middle age: the draws know no age, and what survived teaches
nothing."""


def alone(settings: Settings, engine: str, interruption_hours: float | None) -> Settings:
    """``settings`` for a run: acting, by this engine, without limits shared with other workloads."""
    cost = settings.interruption_cost_minutes
    return replace(
        settings,
        engine=engine,
        dry_run=False,
        interruption_cost_minutes=cost if interruption_hours is None else 60 * interruption_hours,
        switches_in_flight_max=1000.0,
        moves_into_one_pool_fraction=1.0,
        family_share_max_fraction=1.0,
    )


@dataclass(slots=True)
class _Run:
    """What the ledger would store about one run."""

    case: Case
    settings: Settings
    place: int
    launched_at: datetime
    moves: tuple[PastSwitch, ...] = ()
    signals: Mapping[Pool, datetime] = field(default_factory=dict)
    pending_since: datetime | None = None
    cooldown_until: datetime | None = None
    plan: tuple[Candidate, ...] = ()

    def view(self, name: str, now: datetime) -> WorkloadView:
        is_spot = self.place != self.case.on_demand
        base = self.case.view
        pool = self.case.pool(self.place) if is_spot else base.pool
        return replace(
            base,
            workload_id=name,
            instance_type=pool.instance_type,
            availability_zone=pool.availability_zone,
            lifecycle=Lifecycle.SPOT if is_spot else Lifecycle.ON_DEMAND,
            launched_at=max(self.launched_at, now - _MIDDLE_AGE),
            settings=self.settings,
            signals=self.signals,
            fallback_pending_since=self.pending_since,
            cooldown_until=self.cooldown_until,
            moves=self.moves,
        )

    def alike(self, now: datetime) -> object:
        """Runs with the same are decided alike, so one of them is asked."""
        return (
            id(self.case), self.place, max(self.launched_at, now - _MIDDLE_AGE), self.moves,
            tuple(self.signals.items()), self.pending_since, self.cooldown_until,
        )  # fmt: skip

    def forget(self, now: datetime) -> None:
        """What has no effect any more, so that more runs are alike."""
        self.moves = tuple(m for m in self.moves if now - m.at < _DAY)
        self.signals = {p: at for p, at in self.signals.items() if now - at < timedelta(hours=2)}
        if self.cooldown_until is not None and self.cooldown_until <= now:
            self.cooldown_until = None

    def switch(self, target: int, now: datetime, *, planned: bool) -> None:
        is_spot = target != self.case.on_demand
        lifecycle = Lifecycle.SPOT if is_spot else Lifecycle.ON_DEMAND
        self.place, self.launched_at, self.pending_since = target, now, None
        self.moves = (*self.moves, PastSwitch(now, lifecycle, planned))
        self.cooldown_until = now + timedelta(minutes=self.settings.cooldown_minutes)


def engine_paths(
    period: Period,
    starts: Sequence[Starts],
    snapshots: Sequence[MarketSnapshot],
    engine: str,
    engines: Engines,
    interruption_hours: float | None,
) -> list[Paths]:
    """Where the runs of all requirements of a period go. One market table serves them all.

    ``interruption_hours`` None: an interruption costs what each workload's settings say.
    """
    paths = [
        Paths(
            np.full((len(s.hour), s.hours), -1, np.int64),
            np.full((len(s.hour), s.hours), -1, np.int64),
        )
        for s in starts
    ]
    begin = datetime.fromtimestamp(period.start_s, UTC)
    numbers = [_Numbers.of(s.case) for s in starts]
    runs = [_begin(s, begin, engine, interruption_hours) for s in starts]
    for hour in range(period.hours):
        now = begin + timedelta(hours=hour)
        alive = [
            (number, run, hour - at)
            for number, s in enumerate(starts)
            for run, at in enumerate(s.hour.tolist())
            if 0 <= hour - at < s.hours
        ]
        if not alive:
            continue
        _fail_over(alive, starts, runs, numbers, now)
        before = {(n, r): runs[n][r].place for n, r, _ in alive}
        _cycle([runs[n][r] for n, r, _ in alive], numbers, snapshots[hour], period, now, engines)
        for n, r, step in alive:
            run = runs[n][r]
            paths[n].place[r, step] = run.place
            if run.place != before[n, r]:
                paths[n].left[r, step] = before[n, r]
    return paths


def _begin(
    starts: Starts, period_begins: datetime, engine: str, interruption_hours: float | None
) -> list[_Run]:
    settings = alone(starts.case.requirement.settings, engine, interruption_hours)
    return [
        _Run(starts.case, settings, place, period_begins + timedelta(hours=hour) - _MIDDLE_AGE)
        for place, hour in zip(starts.place.tolist(), starts.hour.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Numbers:
    """Places of a case by pool."""

    case: Case
    by_pool: Mapping[Pool, int]

    @classmethod
    def of(cls, case: Case) -> "_Numbers":
        return cls(case, {case.pool(place): place for place in range(case.on_demand)})

    def place(self, target: Candidate) -> int:
        if target.lifecycle is Lifecycle.ON_DEMAND:
            return self.case.on_demand
        return self.by_pool[Pool(target.instance_type, target.availability_zone)]


def _fail_over(
    alive: Sequence[tuple[int, int, int]],
    starts: Sequence[Starts],
    runs: Sequence[Sequence[_Run]],
    numbers: Sequence[_Numbers],
    now: datetime,
) -> None:
    """Runs that EC2 interrupted at the end of the last hour start again by their failover plan."""
    for n, r, step in alive:
        run = runs[n][r]
        if step and starts[n].is_hit(r, step - 1, run.place):
            lost = run.case.pool(run.place)
            targets = [numbers[n].place(target) for target in run.plan]
            run.signals = {**run.signals, lost: now}
            run.switch(targets[0] if targets else run.case.on_demand, now, planned=False)
        run.forget(now)


def _cycle(
    runs: Sequence[_Run],
    numbers: Sequence[_Numbers],
    snapshot: MarketSnapshot,
    period: Period,
    now: datetime,
    engines: Engines,
) -> None:
    waiting = _decide(runs, numbers, snapshot, period, now, engines)
    if waiting:
        _decide(waiting, numbers, snapshot, period, now + CYCLE, engines)


def _decide(
    runs: Sequence[_Run],
    numbers: Sequence[_Numbers],
    snapshot: MarketSnapshot,
    period: Period,
    now: datetime,
    engines: Engines,
) -> list[_Run]:
    """Ask for a decision and follow it; those runs whose next cycle is to decide about a fallback."""
    number_of = {id(n.case): n for n in numbers}
    alike: dict[object, list[_Run]] = {}
    for run in runs:
        alike.setdefault(run.alike(now), []).append(run)
    groups = list(alike.values())
    views = tuple(group[0].view(f"w{k}", now) for k, group in enumerate(groups))
    world = World(views, snapshot, period.catalog, StackState())
    waiting: list[_Run] = []
    decisions = decide(world, now, region=period.region, engines=engines)
    for group, decision in zip(groups, decisions, strict=True):
        for run in group:
            _follow(run, decision, number_of[id(run.case)], now)
            if decision.fallback_pending and decision.kind is DecisionKind.STAY:
                waiting.append(run)
    return waiting


def _follow(run: _Run, decision: Decision, numbers: _Numbers, now: datetime) -> None:
    if decision.failover_plan_current:
        run.plan = decision.failover_plan
    if not decision.fallback_pending:
        run.pending_since = None
    elif run.pending_since is None:
        run.pending_since = now
    if decision.kind is not DecisionKind.STAY and not decision.held_by:
        run.switch(numbers.place(decision.candidates[0]), now, planned=not decision.urgent)
