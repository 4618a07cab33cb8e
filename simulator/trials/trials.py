"""The trials: what is prepared, what happens, what must be true when everything is quiet again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from simulator.ledger_items import Phase
from simulator.market.history import Pool, PriceHistory
from simulator.trials import crowd
from simulator.trials.ground import START, TYPES, ZONES, Ground
from simulator.trials.machines import on_its_way, stranger, with_everything


def _nobody_hears(ground: Ground) -> None:
    """No alert can be sent."""
    ground.injector.deny("SwitchInstance", "sns", "Publish")


def _switch_deaf(ground: Ground) -> None:
    _nobody_hears(ground)
    ground.force()


RANDOM = "crowd"
"""The trial in which everything follows from the seed."""


class TrialFailed(AssertionError):
    """The run ended in a state in which it must not end."""


@dataclass(frozen=True)
class Trial:
    """One small whole run.

    Attributes:
        shows: what happens, in a few words.
        prepare: the workloads; runs before any fault.
        act: what happens; faults are counted from here on.
        double: whether something is refused already, so that only refusals are let happen on top.
        workloads: ids of those that must each end on exactly one healthy machine.
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
        """What trials have in common that take place on the same ground."""
        return (self.prepare, self.prices, tuple(self.parameters.items()))


def _one_machine(ground: Ground) -> None:
    with_everything(ground)
    stranger(ground)
    ground.take_in()


def _on_demand_machine(ground: Ground) -> None:
    with_everything(ground, lifecycle="on-demand")
    stranger(ground)
    ground.take_in()
    ground.world.close_capacity("c6i.xlarge", "*", "spot")
    for zone in ZONES[:2]:
        ground.world.close_capacity("*", zone, "spot")


def _unfit_types(ground: Ground) -> None:
    _one_machine(ground)
    ground.world.fail_status_checks("m5a.large")


def _unfit_and_untargeted(ground: Ground) -> None:
    """Only the status checks can tell that the replacement is sick."""
    ground.launch("web")
    stranger(ground)
    ground.take_in()
    ground.world.fail_status_checks("m5a.large")


def _left_original(ground: Ground) -> None:
    with_everything(ground, auto_terminate="false")
    stranger(ground)
    ground.take_in()


def _persistent(ground: Ground) -> None:
    ground.launch("web", persistent=True)
    stranger(ground)
    ground.take_in()


def _fall_back(ground: Ground) -> None:
    """Row 6 wants to see it twice."""
    ground.account.run_until(START + timedelta(minutes=30))
    ground.cycle()
    ground.account.run_for(timedelta(minutes=5))
    ground.cycle()


def _with_standing_plan(ground: Ground) -> None:
    """A cycle on known prices leaves the plan that a rescue follows."""
    _one_machine(ground)
    ground.cycle()


def _without_spot(ground: Ground) -> None:
    _with_standing_plan(ground)
    ground.world.close_capacity("*", "*", "spot")


def _persistent_with_plan(ground: Ground) -> None:
    _persistent(ground)
    ground.cycle()


def _interrupted(ground: Ground) -> None:
    ground.interrupt("web")


def _stopped(ground: Ground) -> None:
    ground.interrupt("web", "stop")


def _interrupted_in(state: str) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        ground.force()
        ground.run_until_entered(state)
        ground.interrupt("web")

    return act


def _overtaken(ground: Ground) -> None:
    """A run is so slow that its claim expires; a second order is given meanwhile."""
    ground.force()
    ground.run_until_entered("WaitForTargets")
    ground.expire_claim("web")
    ground.force(instance_type="m6i.large", zone=ZONES[2])


def _claimed_and_dead(ground: Ground) -> None:
    """Nobody sweeps, the run that holds the claim is dead: after its life another may begin."""
    ground.schedule("Sweep", enabled=False)
    ground.force()
    ground.run_until_entered("WaitForBoot")
    ground.stop_executions()
    ground.account.run_for(timedelta(hours=3, minutes=1))
    ground.force(instance_type="m6i.large", zone=ZONES[2])
    ground.account.run_for(timedelta(minutes=15))
    ground.schedule("Sweep", enabled=True)
    ground.injector.wrong_until(ground.now)


def _moved(ground: Ground) -> None:
    last = ground.ledger.switches()[-1]
    if last.phase is not Phase.DONE:
        raise TrialFailed(f"{last.switch_id} is {last.phase}")


def _refused_before(ground: Ground) -> None:
    """A fault may end the switch before it has met a full pool, or the decision before the switch."""
    if not ground.injector.met and not ground.ledger.switches()[-1].refusals:
        raise TrialFailed("the switch met no pool without capacity")


def _failing_again_and_again(ground: Ground) -> None:
    """Three orders that fail open the breaker; a fourth is given all the same."""
    for zone in (*ZONES, ZONES[0]):
        ground.force(zone=zone)
        ground.account.run_for(timedelta(minutes=15))


def _interrupted_sick(ground: Ground) -> None:
    """For half an hour nothing that is launched becomes healthy; cycles run meanwhile."""
    until = ground.now + timedelta(minutes=30)
    ground.world.fail_status_checks("*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    ground.interrupt("web")
    for _ in range(6):
        ground.account.run_for(timedelta(minutes=5))
        ground.cycle()


def _interrupted_deaf(ground: Ground) -> None:
    ground.injector.deny("FailOver", "sns", "Publish")
    ground.interrupt("web")


def _full_pools(ground: Ground) -> None:
    _one_machine(ground)
    ground.world.close_capacity("m5a.large", "*", "spot")


def _stop_for_a_moment(ground: Ground) -> None:
    """What has begun and is being tried again finds everything stopped."""
    ground.account.run_for(timedelta(milliseconds=1))
    ground.ask(command="stop")
    ground.account.run_for(timedelta(seconds=10))
    ground.ask(command="resume")
    ground.injector.wrong_until(ground.now)


def _switch_stopped(ground: Ground) -> None:
    ground.force()
    _stop_for_a_moment(ground)


def _failover_stopped(ground: Ground) -> None:
    ground.interrupt("web")
    _stop_for_a_moment(ground)


def _interrupted_and_full_after_commit(ground: Ground) -> None:
    """The rescue fails at once; a cycle runs while the original drains before its end."""
    ground.force()
    ground.run_until_entered("ReleaseOriginal")
    until = ground.now + timedelta(minutes=6)
    ground.world.close_capacity("*", "*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    ground.interrupt("web")
    ground.account.run_for(timedelta(minutes=3))
    ground.cycle()


def _stopped_and_ended_after_commit(ground: Ground) -> None:
    """Somebody stops the execution, and somebody ends the machine that has just taken over."""
    ground.force()
    ground.run_until_entered("ReleaseOriginal")
    ground.stop_executions()
    ground.world.terminate_instance(ground.ledger.workloads()["web"].instance_id)
    ground.given_up.add("web")
    ground.injector.wrong_until(ground.now)


def _stopped_and_redriven(ground: Ground) -> None:
    """Somebody stops the execution and ends the original; what was launched becomes the workload, and
    only then the execution is redriven."""
    ground.force()
    ground.run_until_entered("WaitForBoot")
    ground.stop_executions()
    ground.account.run_for(timedelta(minutes=1))
    ground.world.terminate_instance(ground.ledger.workloads()["web"].instance_id)
    ground.given_up.add("web")
    _adopted_and_redriven(ground)


def _rescue_stopped_and_redriven(ground: Ground) -> None:
    """As in a switch, of a rescue; in manual mode no other rescue follows it."""
    ground.interrupt("web")
    ground.account.run_for(timedelta(milliseconds=1))
    ground.run_until_entered("WaitUntilRunning")
    ground.stop_executions()
    ground.ask(command="set-mode", workload="web", mode="manual")
    ground.given_up.add("web")
    _adopted_and_redriven(ground)


def _adopted_and_redriven(ground: Ground) -> None:
    ground.account.run_for(timedelta(minutes=25))
    ground.cycle()
    ground.redrive_executions()
    ground.injector.wrong_until(ground.now)


def _runs_on_what_it_is_recorded_on(ground: Ground) -> None:
    recorded_on = ground.ledger.workloads()["web"].instance_id
    if ground.running("web") != [recorded_on]:
        raise TrialFailed(f"web is recorded on {recorded_on}, it runs on {ground.running('web')}")


def _interrupted_and_full(ground: Ground) -> None:
    until = ground.now + timedelta(minutes=10)
    ground.world.close_capacity("*", "*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    _interrupted_and_manual(ground)


def _interrupted_and_manual(ground: Ground) -> None:
    """Nobody tries again what fails."""
    ground.interrupt("web")
    ground.account.run_for(timedelta(milliseconds=1))
    ground.ask(command="set-mode", workload="web", mode="manual")
    ground.given_up.add("web")


def _interrupted_and_ended(ground: Ground) -> None:
    ground.interrupt("web")
    ground.account.run_for(timedelta(seconds=5))
    for instance_id in on_its_way(ground, "web"):
        ground.world.terminate_instance(instance_id)


def _dear_everywhere(market: PriceHistory) -> PriceHistory:
    pools = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
    begin = START + timedelta(minutes=20)
    return market.with_price_surge(pools, begin, begin + timedelta(days=2), 4.5)


TRIALS: Mapping[str, Trial] = {
    trial.name: trial
    for trial in (
        Trial(
            "switch",
            "a stateless machine is moved by order",
            _one_machine,
            lambda ground: ground.force(),
        ),
        Trial(
            "capacity-loop",
            "the best pools have no spot capacity, a later candidate is taken",
            _on_demand_machine,
            lambda ground: ground.cycle(),
            expect=_refused_before,
        ),
        Trial(
            "fallback",
            "every pool becomes dear: on-demand takes over",
            _one_machine,
            _fall_back,
            prices=_dear_everywhere,
        ),
        Trial(
            "undo",
            "the replacement never passes its checks and is undone",
            _unfit_types,
            lambda ground: ground.force(),
        ),
        Trial(
            "undo-untargeted",
            "as undo, and no target group tells that the replacement is sick",
            _unfit_and_untargeted,
            lambda ground: ground.force(),
        ),
        Trial(
            "leave-original",
            "the team terminates its originals itself",
            _left_original,
            lambda ground: ground.force(),
        ),
        Trial(
            "persistent-request",
            "the original comes from a persistent spot request",
            _persistent,
            lambda ground: ground.force(),
        ),
        Trial(
            "overtaken",
            "the claim of a slow switch expires, and another switch begins",
            _one_machine,
            _overtaken,
        ),
        Trial(
            "breaker",
            "three switches fail in a row, and a fourth is ordered",
            _unfit_types,
            _failing_again_and_again,
        ),
        Trial(
            "failover",
            "EC2 takes the machine back after a warning of two minutes",
            _with_standing_plan,
            _interrupted,
        ),
        Trial(
            "failover-on-demand",
            "EC2 takes the machine back, and no spot pool has capacity",
            _without_spot,
            _interrupted,
        ),
        Trial(
            "failover-stop",
            "EC2 stops the machine of a persistent request, which stays",
            _persistent_with_plan,
            _stopped,
        ),
        Trial(
            "failover-during-boot",
            "EC2 takes the original back while its replacement boots",
            _with_standing_plan,
            _interrupted_in("WaitForBoot"),
        ),
        Trial(
            "failover-during-hand-over",
            "EC2 takes the original back while the targets of its replacement become healthy",
            _with_standing_plan,
            _interrupted_in("WaitForTargets"),
        ),
        Trial(
            "failover-after-commit",
            "EC2 takes the replacement back just after the commit, before the original has gone",
            _with_standing_plan,
            _interrupted_in("ReleaseOriginal"),
        ),
        Trial(
            "ended-after-commit",
            "a committed switch is stopped, and its replacement is ended by hand",
            _one_machine,
            _stopped_and_ended_after_commit,
        ),
        Trial(
            "redriven",
            "a switch is stopped, what it has launched becomes the workload, the execution is redriven",
            _one_machine,
            _stopped_and_redriven,
            expect=_runs_on_what_it_is_recorded_on,
        ),
        Trial(
            "failover-redriven",
            "a rescue is stopped, what it has launched becomes the workload, the execution is redriven",
            _with_standing_plan,
            _rescue_stopped_and_redriven,
            expect=_runs_on_what_it_is_recorded_on,
        ),
        Trial(
            "failover-full-after-commit",
            "as failover-after-commit, and for six minutes no pool has capacity",
            _with_standing_plan,
            _interrupted_and_full_after_commit,
        ),
        Trial(
            "failover-sick",
            "EC2 takes the machine back, and its replacement does not become healthy",
            _with_standing_plan,
            _interrupted_sick,
        ),
        Trial(
            "deaf-failover",
            "as failover, and no alert can be sent",
            _with_standing_plan,
            _interrupted_deaf,
            double=True,
        ),
        Trial(
            "deaf-switch",
            "as switch, and no alert can be sent",
            _one_machine,
            _switch_deaf,
            double=True,
        ),
        Trial(
            "deaf-undo",
            "as undo, and no alert can be sent",
            _unfit_types,
            _switch_deaf,
            double=True,
        ),
        Trial(
            "full",
            "a machine is ordered into a pool without capacity",
            _full_pools,
            lambda ground: ground.force(),
        ),
        Trial(
            "switch-stopped",
            "somebody stops everything for a moment, just when a switch begins",
            _one_machine,
            _switch_stopped,
        ),
        Trial(
            "failover-stopped",
            "somebody stops everything for a moment, just when a rescue begins",
            _with_standing_plan,
            _failover_stopped,
        ),
        Trial(
            "failover-manual",
            "EC2 takes the machine back, and its team takes it into its own hands at once",
            _with_standing_plan,
            _interrupted_and_manual,
        ),
        Trial(
            "failover-full",
            "as failover-manual, and nothing has capacity",
            _with_standing_plan,
            _interrupted_and_full,
        ),
        Trial(
            "failover-ended",
            "EC2 takes the machine back, and somebody ends its replacement before it runs",
            _with_standing_plan,
            _interrupted_and_ended,
        ),
        Trial(
            "failover-persistent",
            "EC2 takes back the machine of a persistent request, which would launch a ghost of it",
            _persistent_with_plan,
            _interrupted,
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
            "nobody sweeps for hours, a switch is stopped, its claim expires, another one begins",
            _one_machine,
            _claimed_and_dead,
            expect=_moved,
        ),
    )
}

_NOT_SWEPT = (
    RANDOM, "dead-claim", "redriven", "failover-redriven", "full", "switch-stopped", "failover-stopped",
    "failover-manual", "failover-full", "failover-ended", "failover-persistent",
)  # fmt: skip
SINGLE = tuple(name for name in TRIALS if name not in _NOT_SWEPT)
"""Those whose every call is met by every kind of fault."""
