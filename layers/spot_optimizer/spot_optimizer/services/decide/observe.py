"""Step 1 of a cycle: what EC2 and the ledger show of the workloads that are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from spot_optimizer.aws.instances import read_instances_of_workload, read_managed_instances
from spot_optimizer.aws.ledger.items import PlanItem, SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.services.decide.switch_ownership import (
    InstanceOwnership,
    ownership_of,
)
from spot_optimizer.switching.instance_record import Record


@dataclass(frozen=True, slots=True)
class Observed:
    """What one cycle has read, before anything is judged."""

    instances: Mapping[str, Record]
    """By instance id: those that have our tag."""
    items: Mapping[str, WorkloadItem]
    """Hot items by workload id."""
    plans: Mapping[str, PlanItem]
    """By workload id."""
    live: Mapping[str, SwitchItem]
    """Workload id -> record of the switch that holds its claim, even if the claim has expired: its
    original and its replacement are still its own."""
    ownership: InstanceOwnership
    owing: frozenset[str]
    """Ids of workloads whose instance still lacks what the instance before it had."""


def observe_all(managed_as: str, ledger: Ledger, now: datetime) -> Observed:
    """Read every workload of the stack."""
    instances = {row["InstanceId"]: row for row in read_managed_instances(managed_as)}
    return _observed(ledger, instances, ledger.workloads(), ledger.plans(), now)


def observe_one(managed_as: str, ledger: Ledger, workload_id: str, now: datetime) -> Observed:
    """Read one workload, and every instance that has its id: more than one is refused."""
    item, plan = ledger.workload(workload_id), ledger.plan(workload_id)
    instances = read_instances_of_workload(
        managed_as, workload_id, item.instance_id if item else workload_id
    )
    return _observed(
        ledger,
        instances,
        {workload_id: item} if item else {},
        {workload_id: plan} if plan else {},
        now,
    )


def _observed(
    ledger: Ledger,
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    plans: Mapping[str, PlanItem],
    now: datetime,
) -> Observed:
    live = {
        item.workload_id: switch
        for item in items.values()
        if item.claim_switch_id
        and (switch := ledger.switch(item.workload_id, item.claim_switch_id)) is not None
    }
    ownership = ownership_of(ledger, instances, items, live, now)
    owing = frozenset(debt.workload_id for debt in ledger.debts())
    return Observed(instances, items, plans, live, ownership, owing)
