"""Scripted events of a scenario, carried out in the world at their hour."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import boto3

from simulator.account.account import FunctionFailed
from simulator.ledger_view import LedgerView
from simulator.pools import fitting_types, pools_by_price
from simulator.scenario_events import (
    AdvisorChange,
    CapacityShortage,
    ChecksFail,
    ImageDeregistered,
    Interruption,
    InterruptionWave,
    ManualCommand,
    NoCapacity,
    PriceSurge,
    Rebalance,
    ScheduledEvent,
    Scripted,
    UserProtects,
    UserTags,
    UserTerminates,
)
from simulator.scene import Scene
from simulator.signals import Delivery
from simulator.tags import TAG_PREFIX
from simulator.world import World
from simulator.world.catalog import instance_types

_ALWAYS_H = 10 * 8760
"""Longer than any simulation, and still a valid date."""


def happen(event: Scripted, simulation: Scene) -> str:
    """Let ``event`` happen now; returns its line for the log."""
    outcome = ""
    match event:
        case AdvisorChange() | CapacityShortage() | NoCapacity() | ChecksFail():
            _of_aws(event, simulation)
        case UserTerminates() | UserTags() | UserProtects() | ImageDeregistered():
            outcome = _of_user(event, simulation)
        case ManualCommand():
            outcome = _command(event, simulation)
        case Interruption() | Rebalance():
            outcome = _signal(event, simulation)
        case ScheduledEvent():
            outcome = _schedule(event, simulation)
        case InterruptionWave():
            outcome = _wave(event, simulation)
        case PriceSurge():
            pass  # part of the market since the start
    return f"{event}{outcome}"


def _of_aws(
    event: AdvisorChange | CapacityShortage | NoCapacity | ChecksFail, simulation: Scene
) -> None:
    world, market = simulation.world, simulation.market
    now = simulation.account.clock.now()
    hours = _ALWAYS_H if isinstance(event, AdvisorChange) else min(event.until_hour, _ALWAYS_H)
    until = market.start + timedelta(hours=hours)
    match event:
        case AdvisorChange():
            for name in instance_types():
                if fnmatchcase(name, event.instance_type):
                    world.advisor.set(name, event.bucket)
        case CapacityShortage():
            spec = next(s for s in simulation.scenario.workloads if s.name == event.workload)
            best = pools_by_price(market, fitting_types(spec, market))[: event.pools]
            for pool in best:
                world.close_capacity(*pool, "spot", now, until)
        case NoCapacity():
            for subnet_id in _subnets_of(event, world):
                world.close_capacity(
                    event.instance_type,
                    event.availability_zone,
                    event.lifecycle,
                    now,
                    until,
                    event.error,
                    subnet_id,
                )
        case ChecksFail():
            world.fail_status_checks(event.instance_type, event.availability_zone, now, until)


def _subnets_of(event: NoCapacity, world: World) -> list[str]:
    """Ids of the subnets that it is about; a glob for all."""
    if event.subnet is None:
        return ["*"]
    return [world.subnets_in(zone)[event.subnet - 1] for zone in world.zones]


def _of_user(
    event: UserTerminates | UserTags | UserProtects | ImageDeregistered, simulation: Scene
) -> str:
    """Returns the reason if it could not be done."""
    world = simulation.world
    instance_id = _instance_of(event.workload, simulation)
    instance = world.instances[instance_id]
    if world.state_of(instance_id) != "running":
        return f": not done, {instance_id} is {world.state_of(instance_id)}"
    match event:
        case UserTerminates():
            world.terminate_instance(instance_id)
        case UserTags():
            _tag(instance_id, event.tag, event.value)
        case UserProtects() if instance.lifecycle == "spot":
            return ": refused by EC2, which cannot protect a spot instance"
        case UserProtects():
            world.protect(instance_id)
        case ImageDeregistered():
            world.deregister_image(instance.spec.image_id)
    return ""


def _signal(event: Interruption | Rebalance, simulation: Scene) -> str:
    """Returns the reason if it could not be done."""
    world = simulation.world
    instance_id = _instance_of(event.workload, simulation)
    if world.state_of(instance_id) != "running":
        return f": not done, {instance_id} is {world.state_of(instance_id)}"
    if world.instances[instance_id].lifecycle != "spot":
        return f": not done, {instance_id} is on-demand"
    if isinstance(event, Interruption):
        return _interrupt(instance_id, event, simulation)
    delivery = Delivery(event.deliveries, timedelta(seconds=event.late_seconds))
    with simulation.signals.delivered(delivery):
        world.recommend_rebalance(instance_id)
    return ""


def _schedule(event: ScheduledEvent, simulation: Scene) -> str:
    """Returns the reason if it could not be done."""
    world = simulation.world
    instance_id = _instance_of(event.workload, simulation)
    if world.state_of(instance_id) != "running":
        return f": not done, {instance_id} is {world.state_of(instance_id)}"
    delivery = Delivery(event.deliveries, timedelta(seconds=event.late_seconds))
    with simulation.signals.delivered(delivery):
        notice = timedelta(hours=event.notice_hours)
        world.schedule_event(instance_id, event.code, notice, published=event.published)
    return ""


def _wave(event: InterruptionWave, simulation: Scene) -> str:
    world = simulation.world
    hit = [
        instance_id
        for instance_id, instance in world.instances.items()
        if instance.lifecycle == "spot"
        and world.state_of(instance_id) == "running"
        and fnmatchcase(instance.instance_type, event.instance_type)
        and fnmatchcase(instance.availability_zone, event.availability_zone)
    ]
    done = []
    for instance_id in hit:
        tags = world.tags_of(instance_id)
        name = tags.get(f"{TAG_PREFIX}workload", instance_id)
        done.append(f"{name}{_interrupt(instance_id, event, simulation)}")
    return f": {', '.join(done)}" if done else ": not done, no spot instance runs there"


def _interrupt(instance_id: str, event: Interruption | InterruptionWave, simulation: Scene) -> str:
    world = simulation.world
    spot = world.instances[instance_id].spec.spot
    if event.action != "terminate" and spot is not None and spot.request_type == "one-time":
        # EC2 user guide, "Behavior of Spot Instance interruptions": to stop or hibernate needs a
        # persistent request.
        return f": not done, EC2 does not {event.action} {instance_id}, whose request is one-time"
    delivery = Delivery(event.deliveries, timedelta(seconds=event.late_seconds))
    # A hibernation begins at once (EC2 user guide, "Hibernate interrupted Spot Instances").
    warning = timedelta() if event.action == "hibernate" else timedelta(minutes=2)
    with simulation.signals.delivered(delivery):
        world.interrupt(instance_id, event.action, warning, warned=event.warned)
    simulation.signals.look_at_the_end()
    return ""


def _instance_of(workload: str, simulation: Scene) -> str:
    """The workload's instance on the ledger; before its adoption, its first instance."""
    item = LedgerView(simulation.account).workloads().get(workload)
    return item.instance_id if item else simulation.first_instances[workload]


def _tag(instance_id: str, tag: str, value: str | None) -> None:
    ec2 = boto3.client("ec2")
    if value is None:
        ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": tag}])
    else:
        ec2.create_tags(Resources=[instance_id], Tags=[{"Key": tag, "Value": value}])


def _command(event: ManualCommand, simulation: Scene) -> str:
    try:
        answer: Any = simulation.account.invoke("Command", dict(event.request))
    except FunctionFailed as failure:
        return f": {failure.error_type}: {failure.message}"
    return f": {answer}"
