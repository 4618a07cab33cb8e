"""The trials: what is prepared, what happens, what must be true when everything is quiet again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.market.history import PriceHistory
from simulator.trials import acts, crowd
from simulator.trials.ground import Ground

RANDOM = "crowd"
"""The trial in which the seed decides everything."""


@dataclass(frozen=True)
class Trial:
    """One small whole run.

    Attributes:
        shows: what happens, in a few words.
        prepare: the workloads; runs before any fault.
        act: what happens; faults are counted from here on.
        double: whether calls are denied already; then denials are the only faults on top.
        workloads: ids of those that must each end on exactly one healthy instance.
        expect: what else must be true in the end; raises TrialFailed.
    """

    name: str
    shows: str
    prepare: Callable[[Ground], None]
    act: Callable[[Ground], None]
    workloads: tuple[str, ...] = ("web",)
    prices: Callable[[PriceHistory], PriceHistory] = lambda market: market
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    double: bool = False
    expect: Callable[[Ground], None] = lambda _: None

    @property
    def ground(self) -> tuple[object, ...]:
        """Trials with an equal value can share a prepared ground."""
        return (self.prepare, self.prices, tuple(self.parameters.items()))


TRIALS: Mapping[str, Trial] = {
    trial.name: trial
    for trial in (
        Trial(
            "switch",
            "a stateless workload is switched by order",
            acts.one_workload,
            lambda ground: ground.force(),
        ),
        Trial(
            "capacity-loop",
            "the best pools have no spot capacity, a later candidate is taken",
            acts.on_demand_workload,
            lambda ground: ground.cycle(),
            expect=acts.refused_before,
        ),
        Trial(
            "fallback",
            "every pool becomes expensive: FALLBACK to on-demand",
            acts.one_workload,
            acts.fall_back,
            prices=acts.expensive_everywhere,
        ),
        Trial(
            "undo",
            "the replacement never passes its checks and is undone",
            acts.unhealthy_replacement,
            lambda ground: ground.force(),
        ),
        Trial(
            "undo-untargeted",
            "as undo, without a target group that shows the replacement unhealthy",
            acts.unhealthy_without_targets,
            lambda ground: ground.force(),
        ),
        Trial(
            "leave-original",
            "the team terminates its originals itself",
            acts.original_stays,
            lambda ground: ground.force(),
        ),
        Trial(
            "persistent-request",
            "the original comes from a persistent spot request",
            acts.persistent,
            lambda ground: ground.force(),
        ),
        Trial(
            "overtaken",
            "the claim of a slow switch expires, and another switch begins",
            acts.one_workload,
            acts.overtaken,
        ),
        Trial(
            "breaker",
            "three switches fail in a row, and a fourth is ordered",
            acts.unhealthy_replacement,
            acts.failing_repeatedly,
        ),
        Trial(
            "failover",
            "EC2 interrupts the instance after a warning of two minutes",
            acts.with_failover_plan,
            acts.interrupted,
        ),
        Trial(
            "failover-on-demand",
            "EC2 interrupts the instance, and no spot pool has capacity",
            acts.without_spot_capacity,
            acts.interrupted,
        ),
        Trial(
            "failover-stop",
            "EC2 stops the instance of a persistent request, which remains",
            acts.persistent_with_plan,
            acts.stopped,
        ),
        Trial(
            "failover-stopped-first",
            "EC2 warns that it will end the instance of a persistent request, and its user stops it",
            acts.persistent_with_plan,
            acts.interrupted_and_stopped,
        ),
        Trial(
            "failover-during-boot",
            "EC2 interrupts the original while its replacement boots",
            acts.with_failover_plan,
            acts.interrupted_in("WaitForBoot"),
        ),
        Trial(
            "failover-during-hand-over",
            "EC2 interrupts the original while the targets of its replacement become healthy",
            acts.with_failover_plan,
            acts.interrupted_in("WaitForTargets"),
        ),
        Trial(
            "failover-after-commit",
            "EC2 interrupts the replacement just after the commit, before the original is terminated",
            acts.with_failover_plan,
            acts.interrupted_in("ReleaseOriginal"),
        ),
        Trial(
            "ended-after-commit",
            "a committed switch is stopped, and its replacement is terminated by hand",
            acts.one_workload,
            acts.stopped_and_ended_after_commit,
        ),
        Trial(
            "redriven",
            "a switch is stopped, its replacement is adopted, the execution is redriven",
            acts.one_workload,
            acts.stopped_and_redriven,
            expect=acts.runs_where_the_ledger_has_it,
        ),
        Trial(
            "failover-redriven",
            "a failover is stopped, its replacement is adopted, the execution is redriven",
            acts.with_failover_plan,
            acts.failover_stopped_and_redriven,
            expect=acts.runs_where_the_ledger_has_it,
        ),
        Trial(
            "failover-full-after-commit",
            "as failover-after-commit, and for six minutes no pool has capacity",
            acts.with_failover_plan,
            acts.interrupted_and_full_after_commit,
        ),
        Trial(
            "failover-sick",
            "EC2 interrupts the instance, and its replacement does not become healthy",
            acts.with_failover_plan,
            acts.interrupted_and_unhealthy,
        ),
        Trial(
            "deaf-failover",
            "as failover, and no alert can be sent",
            acts.with_failover_plan,
            acts.interrupted_without_alerts,
            double=True,
        ),
        Trial(
            "deaf-switch",
            "as switch, and no alert can be sent",
            acts.one_workload,
            acts.force_without_alerts,
            double=True,
        ),
        Trial(
            "deaf-undo",
            "as undo, and no alert can be sent",
            acts.unhealthy_replacement,
            acts.force_without_alerts,
            double=True,
        ),
        Trial(
            "full",
            "a switch is ordered into a pool without capacity",
            acts.full_pools,
            lambda ground: ground.force(),
        ),
        Trial(
            "switch-stopped",
            "a person stops everything for a moment, just when a switch begins",
            acts.one_workload,
            acts.switch_stopped,
        ),
        Trial(
            "failover-stopped",
            "a person stops everything for a moment, just when a failover begins",
            acts.with_failover_plan,
            acts.failover_stopped,
        ),
        Trial(
            "failover-manual",
            "EC2 interrupts the instance, and its team sets manual mode at once",
            acts.with_failover_plan,
            acts.interrupted_and_manual,
        ),
        Trial(
            "failover-full",
            "as failover-manual, and nothing has capacity",
            acts.with_failover_plan,
            acts.interrupted_and_full,
        ),
        Trial(
            "failover-ended",
            "EC2 interrupts the instance, and a person terminates its replacement before it runs",
            acts.with_failover_plan,
            acts.interrupted_and_ended,
        ),
        Trial(
            "failover-boot-ended",
            "as failover-during-boot, and a person terminates the replacement before it runs",
            acts.with_failover_plan,
            acts.interrupted_in_boot_and_ended,
        ),
        Trial(
            "failover-ended-at-commit",
            "EC2 interrupts the instance, and a person terminates its replacement as it is committed",
            acts.with_failover_plan,
            acts.interrupted_and_ended_at_commit,
        ),
        Trial(
            "failover-persistent",
            "EC2 interrupts the instance of a persistent request, which would launch another one",
            acts.persistent_with_plan,
            acts.interrupted,
        ),
        Trial(
            RANDOM,
            "four workloads, people who act, faults of all kinds: all drawn from the seed",
            crowd.prepare,
            crowd.act,
            workloads=crowd.WORKLOADS,
        ),
        Trial(
            "dead-claim",
            "no sweep runs for hours, a switch is stopped, its claim expires, another one starts",
            acts.one_workload,
            acts.claimed_and_dead,
            expect=acts.switched,
        ),
    )
}

_NOT_SWEPT = (
    RANDOM, "dead-claim", "redriven", "failover-redriven", "full", "switch-stopped", "failover-stopped",
    "failover-manual", "failover-full", "failover-ended", "failover-persistent", "failover-stopped-first",
    "failover-ended-at-commit", "failover-boot-ended",
)  # fmt: skip
SINGLE = tuple(name for name in TRIALS if name not in _NOT_SWEPT)
"""Trials of whose calls each is tried with every kind of fault."""
