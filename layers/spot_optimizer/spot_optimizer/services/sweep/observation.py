"""What a sweep reads: instances, workloads, and the records and executions of switches."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from spot_optimizer.aws.executions import execution_name, read_run
from spot_optimizer.aws.instances import (
    read_fleet_tokens,
    read_instances,
    read_managed_instances,
)
from spot_optimizer.aws.ledger.items import DebtItem, SwitchItem, WorkloadItem
from spot_optimizer.services.sweep.context import Context
from spot_optimizer.switching.debts import Debt
from spot_optimizer.switching.instance_record import FLEET_TAG, SWITCH_TAG, Record, tags_of
from spot_optimizer.switching.reconcile import (
    Run,
    Switch,
    TaggedInstance,
    Workload,
    in_question,
    may_be_left,
    tagged_instance,
    without_record,
)
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import DecisionKind

SHOWN = timedelta(hours=1)
"""EC2 shows an instance for about this long after it has ended."""

_ENDING = ("shutting-down", "terminated")


@dataclass(frozen=True, slots=True)
class Observation:
    """The account and the ledger at the beginning of a sweep."""

    items: Mapping[str, WorkloadItem]
    """All workloads on the ledger, by id."""
    workloads: Mapping[str, Workload]
    """The same as ``reconcile`` sees them."""
    instances: Mapping[str, Record]
    """DescribeInstances rows by id: all with our tag, and ended ones that a workload ran on."""
    tagged: list[TaggedInstance]
    """Those with our tag that are not ending."""
    ended_ids: set[str]
    """Ids of instances that have ended."""
    read_workload_ids: list[str] = field(default_factory=list)
    """Workloads whose records and executions could be read, of those in question."""
    records: dict[str, SwitchItem] = field(default_factory=dict)
    """All records of these workloads, by switch id."""
    runs: dict[str, Run] = field(default_factory=dict)
    """Newest execution by switch id, of the switches that may have left something."""
    pointed: set[str] = field(default_factory=set)
    """Ids of instances without a record that are, or were, a workload's instance."""

    debts: list[Debt] = field(default_factory=list)
    """What workloads' instances still lack."""
    debt_items: dict[tuple[str, str], DebtItem] = field(default_factory=dict)
    """The same as the ledger has them, by workload and switch id."""

    @property
    def reported_interruptions(self) -> dict[str, str]:
        return {each.workload_id: each.reported_interruption for each in self.items.values()}


def observe(context: Context) -> Observation:
    """Read instances before the ledger, so that every instance seen had its record written before."""
    listed = read_managed_instances(context.env.stack_name, with_terminated=True)
    items = context.ledger.workloads()
    instances = [*listed, *_read_ended(listed, _recent_instance_ids(context, items))]
    living = [row for row in instances if not has_ended(row)]
    tokens = _fleet_tokens(living, own={item.instance_id for item in items.values()})
    seen = Observation(
        items=items,
        workloads={workload_id: _workload_facts(item) for workload_id, item in items.items()},
        instances={row["InstanceId"]: row for row in instances},
        tagged=[tagged_instance(row, tokens) for row in living],
        ended_ids={row["InstanceId"] for row in instances if has_ended(row)},
    )
    for debt in context.ledger.debts():
        seen.debt_items[debt.workload_id, debt.switch_id] = debt
        seen.debts.append(_debt_facts(debt, items.get(debt.workload_id)))
    for workload_id in sorted(in_question(seen.tagged, list(seen.workloads.values()))):
        _read_switches(context, seen.workloads[workload_id], seen)
    replacements = {s.replacement_id for s in seen.records.values() if s.switch_id in seen.runs}
    seen.ended_ids.update(row["InstanceId"] for row in _read_ended(instances, replacements))
    return seen


def has_ended(instance: Record) -> bool:
    """Whether an instance is terminated or about to be."""
    return instance["State"]["Name"] in _ENDING


def switch_facts(record: SwitchItem, ended_ids: Container[str] = ()) -> Switch:
    """A record as ``reconcile`` sees it."""
    return Switch(
        workload_id=record.workload_id,
        switch_id=record.switch_id,
        phase=record.phase,
        original_id=record.order.original.instance_id,
        replacement_id=record.replacement_id,
        claimed_at=record.claimed_at,
        resumes=record.resumes,
        replacement_ended=record.replacement_id in ended_ids,
        taken_over=record.taken_over_by is not None,
    )


def _debt_facts(debt: DebtItem, item: WorkloadItem | None) -> Debt:
    return Debt(
        workload_id=debt.workload_id,
        switch_id=debt.switch_id,
        original_id=debt.original_id,
        instance_id=item.instance_id if item else "",
        is_managed=item is not None and item.status == "managed",
        is_gone=item is None or item.status == "gone",
        is_claimed=item is not None and item.claim_switch_id is not None,
        tries=debt.tries,
        tried_at=debt.tried_at,
    )


def _workload_facts(item: WorkloadItem) -> Workload:
    return Workload(item.workload_id, item.instance_id, item.claim_switch_id)


def _recent_instance_ids(context: Context, items: Mapping[str, WorkloadItem]) -> set[str]:
    """Instances that workloads run on, or ran on so recently that EC2 may still show them."""
    return {
        item.instance_id
        for item in items.values()
        if item.status != "gone"
        or (item.gone_at is not None and context.now - item.gone_at < SHOWN)
    }


def _read_ended(listed: Iterable[Record], instance_ids: Iterable[str | None]) -> list[Record]:
    """Those of these instances that have ended and are not ``listed``.

    EC2 removes the tags of a terminated instance before it stops showing it (EC2 user guide, "Terminate
    Amazon EC2 instances"). An instance that runs without our tag is no longer ours.
    """
    known = {row["InstanceId"] for row in listed}
    unlisted = read_instances(each for each in instance_ids if each and each not in known)
    return [row for row in unlisted.values() if has_ended(row)]


def _fleet_tokens(instances: Iterable[Record], own: Container[str]) -> dict[str, str]:
    """Client tokens of the EC2 Fleets that launched instances other than the workloads' ``own``.

    It does not matter who launched a workload's own instance, because the sweep never ends it. EC2
    deletes fleets while the instances of a failover run on, and one unknown fleet fails the whole call.
    """
    tags = [tags_of(row) for row in instances if row["InstanceId"] not in own]
    return read_fleet_tokens(
        {each[FLEET_TAG] for each in tags if FLEET_TAG in each and SWITCH_TAG in each}
    )


def _read_switches(context: Context, workload: Workload, seen: Observation) -> None:
    """Add a workload's records and executions. If they cannot be read, the next sweep tries again; other
    workloads are swept."""
    try:
        records = context.ledger.switches(workload.workload_id)
        near = [each for each in seen.tagged if each.workload_id == workload.workload_id]
        left = [record for record in records if may_be_left(switch_facts(record), near)]
        runs = {record.switch_id: _read_run(context, record) for record in left}
        unknown = without_record(workload, near, map(switch_facts, records))
        pointed = {
            each.instance_id for each in unknown if context.ledger.has_pointer(each.instance_id)
        }
    except Exception:
        logger.exception("workload not swept", workload_id=workload.workload_id)
        return
    seen.read_workload_ids.append(workload.workload_id)
    seen.records.update({record.switch_id: record for record in records})
    seen.runs.update(runs)
    seen.pointed.update(pointed)


def _read_run(context: Context, record: SwitchItem) -> Run:
    """The newest execution of a switch. Only the first one of a failover is of FailOver."""
    is_failover = record.order.kind is DecisionKind.EVACUATE and not record.resumes
    arn = context.env.fail_over_arn if is_failover else context.env.switch_instance_arn
    return read_run(arn, execution_name(record.switch_id, record.resumes))
