"""The random trial: several workloads, several faults, and people who act at the same time."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from simulator.deployed import TYPES, ZONES, client
from simulator.faults.kinds import Fault, FaultKind
from simulator.trials.ground import Ground
from simulator.trials.instances import on_its_way, stranger, with_everything

WORKLOADS = ("web", "costly", "batch", "keep")
ACTS_FOR = timedelta(minutes=50)
_ACTS_MAX = 10
_CALLS = 250
"""Faults are spread over so many calls: about as many as happen during the acts."""
_DELIVERIES = 12
_FAULTS_MAX = 6

_Act = Callable[[Ground, Random], None]


def prepare(ground: Ground) -> None:
    """A spot workload, one on-demand that switches at once, one of a persistent request, and one whose
    original stays; all with a failover plan."""
    with_everything(ground, "web")
    with_everything(ground, "costly", lifecycle="on-demand")
    ground.launch("batch", persistent=True)
    with_everything(ground, "keep", auto_terminate="false")
    stranger(ground)
    ground.adopt()
    ground.cycle()
    ground.account.run_until_quiet()


def faults(seed: int) -> tuple[Fault, ...]:
    """The faults of a seed: up to six, of any kind, at any call."""
    rng = Random(f"faults of {seed}")
    drawn = []
    for _ in range(rng.randint(1, _FAULTS_MAX)):
        kind = rng.choice(tuple(FaultKind))
        drawn.append(Fault(rng.randint(1, _DELIVERIES if kind.of_delivery else _CALLS), kind))
    return tuple(sorted(drawn))


def act(ground: Ground) -> None:
    """What the people and the markets of a seed do."""
    rng = ground.rng
    ends = ground.now + ACTS_FOR
    moments = sorted(rng.random() for _ in range(rng.randint(3, _ACTS_MAX)))
    begun = ground.now
    for _ in range(rng.randint(1, 3)):
        _force(ground, rng)
    for moment in moments:
        when = begun + moment * ACTS_FOR
        ground.account.run_until(max(when, ground.now))
        rng.choice(_ACTS)(ground, rng)
        ground.auditor.check()
    ground.account.run_until(max(ends, ground.now))


def _force(ground: Ground, rng: Random) -> None:
    ground.force(
        rng.choice(WORKLOADS),
        rng.choice(TYPES[:3]),
        rng.choice(ZONES),
        rng.choice(("spot", "spot", "on-demand")),
    )


def _cycle(ground: Ground, _rng: Random) -> None:
    ground.cycle()


def _sweep(ground: Ground, _rng: Random) -> None:
    """A person invokes the sweep outside of its schedule."""
    ground.invoke_later("Sweep", {"trigger": "schedule"})


def _shortage(ground: Ground, rng: Random) -> None:
    until = ground.now + timedelta(minutes=rng.randint(1, 30))
    ground.world.close_capacity(
        rng.choice((*TYPES, "m*")), rng.choice((*ZONES, "*")), "spot", ground.now, until
    )
    ground.injector.wrong_until(until)


def _sick_hosts(ground: Ground, rng: Random) -> None:
    until = ground.now + timedelta(minutes=rng.randint(5, 30))
    ground.world.fail_status_checks(rng.choice(TYPES), rng.choice(ZONES), ground.now, until)
    ground.injector.wrong_until(until)


def _interruption(ground: Ground, rng: Random) -> None:
    """EC2 interrupts an instance, with a warning or without."""
    workload = rng.choice(WORKLOADS)
    action = rng.choice(("terminate", "stop")) if workload == "batch" else "terminate"
    if ground.runs(workload):
        ground.interrupt(workload, action, warned=rng.random() < 0.8)


def _rebalance(ground: Ground, rng: Random) -> None:
    workload = rng.choice(WORKLOADS)
    if ground.runs(workload):
        ground.recommend_rebalance(workload)


def _stray_event(ground: Ground, rng: Random) -> None:
    """A recommendation for a former instance, or for an unknown one."""
    instance_id = rng.choice((*ground.world.instances, "i-0123456789abcdef0"))
    ground.account.emit(
        "aws.ec2",
        "EC2 Instance Rebalance Recommendation",
        {"instance-id": instance_id},
        [],
    )


def _user_terminates(ground: Ground, rng: Random) -> None:
    workload = rng.choice(WORKLOADS)
    if ground.runs(workload):
        ground.world.terminate_instance(ground.ledger.workloads()[workload].instance_id)
        ground.given_up.add(workload)


def _user_ends_replacement(ground: Ground, rng: Random) -> None:
    """A person who cleans up takes a replacement for a leftover."""
    young = [each for workload in WORKLOADS for each in on_its_way(ground, workload)]
    if young:
        chosen = rng.choice(young)
        ground.world.terminate_instance(chosen)
        ground.ended.add(chosen)


def _user_tags(ground: Ground, rng: Random) -> None:
    """In modes manual and off there is no failover."""
    workload = rng.choice(WORKLOADS)
    instance_id = ground.ledger.workloads()[workload].instance_id
    if ground.runs(workload):
        mode = rng.choice(("auto", "manual", "off"))
        if mode != "auto":
            ground.given_up.add(workload)
        tags = [{"Key": "spot-optimizer:mode", "Value": mode}]
        client("ec2").create_tags(Resources=[instance_id], Tags=tags)


def _user_stops_everything(ground: Ground, rng: Random) -> None:
    """For a while: no failover starts before the stop is lifted."""
    ground.ask(command="stop")
    ground.account.run_for(timedelta(minutes=rng.randint(1, 8)))
    ground.ask(command="resume")
    ground.injector.wrong_until(ground.now)


def _user_resets(ground: Ground, rng: Random) -> None:
    ground.ask(command="reset-breaker", workload=rng.choice((None, *WORKLOADS)))


_ACTS: tuple[_Act, ...] = (
    _force,
    _force,
    _force,
    _force,
    _cycle,
    _cycle,
    _sweep,
    _shortage,
    _sick_hosts,
    _interruption,
    _interruption,
    _interruption,
    _rebalance,
    _stray_event,
    _user_terminates,
    _user_ends_replacement,
    _user_tags,
    _user_stops_everything,
    _user_resets,
)
