"""What turns traffic towards the workloads' machines, and in which zones; kept in their standing plans.

EC2 and the load balancers forget it with a machine, and a rescue may come after its end. What a cycle
costs for it: one DescribeAddresses; for new, switched and changed machines, and once an hour for all,
one DescribeTargetGroups (a page of 400), one DescribeTargetHealth for each target group of their VPCs and
one DescribeLoadBalancers for every 20 that serve them. A plan is written only where something changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.aws.load_balancing import (
    Registration,
    read_all_addresses,
    read_enabled_zones,
    read_registrations,
    read_target_groups,
)
from spot_optimizer.contracts.switch import StandingLoadBalancing, StandingRegistration
from spot_optimizer.switching.instance_record import Record, private_addresses

LOOK_EVERY = timedelta(hours=1)
"""How long a machine that a user registers with a target group may go unnoticed. A rescue that comes
in time, and every switch, reads the target groups themselves."""


def is_due(read_at: datetime | None, now: datetime) -> bool:
    """Whether the target groups of all workloads are to be read."""
    return read_at is None or now - read_at >= LOOK_EVERY


def must_be_known(plan: PlanItem) -> bool:
    """Whether the target groups are to be read before anything is decided about the workload: it could
    be sent where its load balancer serves nobody."""
    return plan.load_balancing is None or plan.served_zones is None


def changed_load_balancing(
    machines: Mapping[str, Record],
    plans: Mapping[str, PlanItem],
    anew: Iterable[str],
) -> dict[str, dict[str, Any]]:
    """Workload id -> what changes in its plan.

    ``machines``: the running instances (DescribeInstances rows) of workloads that no switch moves just
    now, by workload id; ``anew``: those whose target groups are to be read in any case.
    """
    known = {w: row for w, row in machines.items() if w in plans}
    if not known:
        return {}
    addresses = _Addresses.read()
    due = set(anew).intersection(known)
    due |= {w for w, row in known.items() if _is_in_doubt(plans[w], row["InstanceId"])}
    groups, registrations = _registrations([known[w] for w in sorted(due)])
    looks = {
        workload_id: _remembered(
            plans[workload_id],
            row,
            registrations.get(row["InstanceId"]) if workload_id in due else None,
            addresses,
        )
        for workload_id, row in known.items()
    }
    zones = _served_zones({w: looks[w]["load_balancing"] for w in due}, groups)
    for workload_id, served in zones.items():
        looks[workload_id]["served_zones"] = served
    return {
        workload_id: look
        for workload_id, look in looks.items()
        if any(getattr(plans[workload_id], name) != value for name, value in look.items())
    }


def missed_in_words(load_balancing: StandingLoadBalancing, missed: Iterable[str]) -> list[str]:
    """What of a plan's memory the last look has missed, as a person finds it in AWS's console."""
    gone = frozenset(missed)
    groups = [
        f"{r.target_group_arn} port {r.port}"
        for r in load_balancing.registrations
        if _place(r) in gone
    ]
    addresses = [
        f"elastic address {each}" for each in load_balancing.allocation_ids if each in gone
    ]
    return list(dict.fromkeys((*groups, *addresses)))


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The region's elastic addresses: allocation ids."""

    by_instance: Mapping[str, tuple[str, ...]]
    free: frozenset[str]

    @classmethod
    def read(cls) -> "_Addresses":
        by_instance: dict[str, tuple[str, ...]] = {}
        free = set()
        for row in sorted(read_all_addresses(), key=lambda row: str(row["AllocationId"])):
            if "AssociationId" not in row:
                free.add(row["AllocationId"])
            elif instance_id := row.get("InstanceId"):
                others = by_instance.get(instance_id, ())
                by_instance[instance_id] = (*others, row["AllocationId"])
        return cls(by_instance, frozenset(free))


def _is_in_doubt(plan: PlanItem, instance_id: str) -> bool:
    """Whether the target groups have to be read, because nothing else tells what is there now."""
    load_balancing = plan.load_balancing
    if load_balancing is None or must_be_known(plan):
        return True
    return load_balancing.instance_id != instance_id or bool(plan.load_balancing_missed)


def _registrations(
    rows: list[Record],
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[Registration]]]:
    """The target groups of the machines' VPCs, with their load balancers; and instance id -> where
    it is registered and not about to leave."""
    groups: dict[str, tuple[str, ...]] = {}
    found: dict[str, list[Registration]] = {}
    for vpc_id in sorted({row["VpcId"] for row in rows if "VpcId" in row}):
        names = {
            row["InstanceId"]: (row["InstanceId"], *private_addresses(row))
            for row in rows
            if row.get("VpcId") == vpc_id
        }
        of_vpc = read_target_groups(vpc_id)
        groups |= of_vpc
        found |= read_registrations(of_vpc, names)
    return groups, {i: [r for r in some if not r.is_draining] for i, some in found.items()}


def _served_zones(
    load_balancing: Mapping[str, StandingLoadBalancing], groups: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Workload id -> zones in which all its load balancers send traffic to targets; empty where
    nothing is in use. ``groups``: target group -> its load balancers."""
    balancers = {
        workload_id: {
            balancer
            for r in each.registrations
            if r.in_use
            for balancer in groups.get(r.target_group_arn, ())
        }
        for workload_id, each in load_balancing.items()
    }
    enabled = read_enabled_zones(arn for some in balancers.values() for arn in some)
    zones = {w: [enabled[arn] for arn in some] for w, some in balancers.items()}
    return {
        w: tuple(sorted(frozenset.intersection(*some))) if some else () for w, some in zones.items()
    }


def _remembered(
    plan: PlanItem,
    row: Record,
    found: list[Registration] | None,
    addresses: _Addresses,
) -> dict[str, Any]:
    """The new memory, and what of it this look has missed, by their names in the plan.

    A machine that still seems to run may have ended a moment ago, its address free and its targets
    gone: what is missed once is kept, what is missed twice was taken away by its user.
    """
    old = plan.load_balancing or StandingLoadBalancing(instance_id=row["InstanceId"], addresses=())
    registrations = old.registrations
    missed: list[str] = []
    if found is not None:
        registrations = tuple(_standing(r) for r in sorted(found, key=lambda r: r.place))
        places = {_place(r) for r in registrations}
        kept = [r for r in old.registrations if _place(r) not in places]
        kept = [r for r in kept if _place(r) not in plan.load_balancing_missed]
        registrations += tuple(kept)
        missed += map(_place, kept)
    allocations = addresses.by_instance.get(row["InstanceId"], ())
    if not allocations:
        free = [each for each in old.allocation_ids if each in addresses.free]
        allocations = tuple(each for each in free if each not in plan.load_balancing_missed)
        missed += allocations
    load_balancing = StandingLoadBalancing(
        instance_id=row["InstanceId"],
        addresses=private_addresses(row),
        registrations=registrations,
        allocation_ids=allocations,
    )
    return {"load_balancing": load_balancing, "load_balancing_missed": tuple(missed)}


def _standing(registration: Registration) -> StandingRegistration:
    return StandingRegistration(
        target_group_arn=registration.target_group_arn,
        port=registration.port,
        position=registration.position,
        in_use=registration.state != "unused",
    )


def _place(registration: StandingRegistration) -> str:
    return f"{registration.target_group_arn}:{registration.port}:{registration.position}"
