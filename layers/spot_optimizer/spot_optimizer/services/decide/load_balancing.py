"""Target groups and elastic addresses of the workloads, kept in their standing plans.

EC2 and the load balancers forget them with an instance, and a failover may start after its end. What
a cycle costs for it: one DescribeAddresses; for new, switched and changed instances, and once an hour
for all, one DescribeTargetGroups (a page of 400), one DescribeTargetHealth for each target group of
their VPCs and one DescribeLoadBalancers for every 20 that serve them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.aws.load_balancing import (
    Registration,
    read_all_addresses,
    read_enabled_zones,
    read_registrations,
    read_target_groups,
)
from spot_optimizer.contracts.switch import StandingLoadBalancing, StandingRegistration
from spot_optimizer.services.decide.inventory import Inventory
from spot_optimizer.services.decide.standing_plans import StandingPlans
from spot_optimizer.switching.instance_record import Record, private_addresses
from spot_optimizer.telemetry import logger, metrics

LOOK_EVERY = timedelta(hours=1)
"""How long the cycle may miss that a user registered an instance with a target group. A failover that
starts while the original runs, and every switch, reads the target groups themselves."""

Changes = dict[str, dict[str, Any]]
"""Workload id -> attributes of its plan that change."""


class LoadBalancingWatch:
    """Where load balancers and elastic addresses lead, looked up and kept in the standing plans.

    Trouble with these calls stops no cycle: the plans keep what they have.
    """

    def __init__(self, plans: StandingPlans) -> None:
        self._plans = plans
        self._looked: Changes = {}

    def look_before_deciding(
        self, instances: Mapping[str, Record], doubted: Collection[str], *, keep_misses: bool
    ) -> None:
        """Read the target groups of workloads that a decision could otherwise send to a zone that
        their load balancers do not serve: those never read, and the ``doubted``.

        ``instances``: running instances at rest, by workload id. ``keep_misses``: what a look misses
        is noted, and forgotten when the next one misses it too; so not where the next look may come
        seconds later.
        """
        first = {
            w: row
            for w, row in instances.items()
            if w in doubted
            or self._plans[w].load_balancing is None
            or self._plans[w].served_zones is None
        }
        changes = self._changed(first, first)
        if changes is None:
            return
        if not keep_misses:
            changes = {w: {"served_zones": each["served_zones"]} for w, each in changes.items()}
        self._note({w: changes.get(w, {}) for w in first})

    def confined(self, inventory: Inventory) -> Inventory:
        """The inventory, each workload confined to the zones that its load balancers serve."""
        zones = {w: plan.served_zones for w, plan in self._plans.items() if plan.served_zones}
        return replace(
            inventory,
            workloads=tuple(
                each.served_in(zones[each.workload_id]) if each.workload_id in zones else each
                for each in inventory.workloads
            ),
        )

    def look_at_the_others(
        self, instances: Mapping[str, Record], read: Collection[str], *, everybody: bool
    ) -> bool:
        """Look at the workloads that this cycle has not looked at; False if that failed.

        ``read``: workloads whose instance this cycle has read; ``everybody``: read the target groups
        of all.
        """
        others = {w: row for w, row in instances.items() if w not in self._looked}
        changes = self._changed(others, others if everybody else read)
        self._note(changes or {})
        return changes is not None

    def _changed(self, instances: Mapping[str, Record], due: Collection[str]) -> Changes | None:
        try:
            return changed_load_balancing(instances, self._plans, due)
        except (BotoCoreError, ClientError):
            logger.exception("load balancing not read")
            metrics.add_metric("LoadBalancingNotRead", "Count", 1)
            return None

    def _note(self, changes: Changes) -> None:
        self._plans.change(changes)
        self._looked |= changes


def is_due(read_at: datetime | None, now: datetime) -> bool:
    """Whether to read the target groups of all workloads."""
    return read_at is None or now - read_at >= LOOK_EVERY


def changed_load_balancing(
    instances: Mapping[str, Record],
    plans: Mapping[str, PlanItem],
    due: Iterable[str],
) -> Changes:
    """What changes in the plans.

    ``instances``: the running instances (DescribeInstances rows) of workloads at rest, by workload
    id; ``due``: those whose target groups are read in any case.
    """
    known = {w: row for w, row in instances.items() if w in plans}
    if not known:
        return {}
    addresses = _Addresses.read()
    to_read = set(due).intersection(known)
    to_read |= {w for w, row in known.items() if _is_in_doubt(plans[w], row["InstanceId"])}
    groups, registrations = _registrations([known[w] for w in sorted(to_read)])
    looks = {
        workload_id: _remembered(
            plans[workload_id],
            row,
            registrations.get(row["InstanceId"]) if workload_id in to_read else None,
            addresses,
        )
        for workload_id, row in known.items()
    }
    zones = _served_zones({w: looks[w]["load_balancing"] for w in to_read}, groups)
    for workload_id, served in zones.items():
        looks[workload_id]["served_zones"] = served
    return {
        workload_id: look
        for workload_id, look in looks.items()
        if any(getattr(plans[workload_id], name) != value for name, value in look.items())
    }


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
    """Whether the target groups must be read, because nothing else shows what is there now."""
    load_balancing = plan.load_balancing
    if load_balancing is None or plan.served_zones is None:
        return True
    return load_balancing.instance_id != instance_id or bool(plan.load_balancing_missed)


def _registrations(
    rows: list[Record],
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[Registration]]]:
    """The target groups of the instances' VPCs, with their load balancers; and instance id -> its
    registrations that are not draining."""
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
    zones = {w: [enabled[arn] for arn in some if arn in enabled] for w, some in balancers.items()}
    return {
        w: tuple(sorted(frozenset.intersection(*some))) if some else () for w, some in zones.items()
    }


def _remembered(
    plan: PlanItem,
    row: Record,
    found: list[Registration] | None,
    addresses: _Addresses,
) -> dict[str, Any]:
    """The attributes of the plan after this look.

    An instance that still seems to run may have ended a moment ago, its address free and its targets
    gone. So what is missed once is kept; what is missed twice was removed by its user.
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
