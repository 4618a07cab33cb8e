"""``sweep``: reconciles what is against what is recorded, and clears what switches left over."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.executions import (
    read_run,
    resume_switch,
    start_switch,
)
from spot_optimizer.aws.instances import (
    end_instance,
    read_fleet_tokens,
    read_instances,
    read_managed_instances,
)
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.switch import (
    LeftClaim,
    LeftFailure,
    LeftInstance,
    ResumeOrder,
    SwitchOrder,
)
from spot_optimizer.switching.instance_record import (
    FLEET_TAG,
    SWITCH_TAG,
    Record,
    tags_of,
)
from spot_optimizer.switching.reconcile import (
    Action,
    Finding,
    Run,
    Switch,
    TaggedInstance,
    Workload,
    findings,
    in_question,
    interruption_mark,
    interruptions,
    may_be_left,
    not_failed_over,
    tagged_instance,
    without_record,
)
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind
from spot_optimizer.workflow.failover_order import (
    NoFailover,
    failover_order,
    why_held,
)
from spot_optimizer.workflow.switch_outcome import close_leftover, fail_leftover

LEASE = "sweep"
LEASE_S = 300
"""The function's own timeout."""
SHOWN = timedelta(hours=1)
"""For about so long EC2 shows an instance that has ended."""
_ENDING = ("shutting-down", "terminated")
_TOUCHES_INSTANCES = (Action.RESUME, Action.REMOVE)


def sweep(env: Environment, now: datetime, run_id: str) -> dict[str, Any]:
    """Find the left-overs and clear them; the answer lists them. Gives way to a running sweep."""
    ledger = Ledger(env.ledger_table)
    if not ledger.acquire_lease(LEASE, run_id, now, LEASE_S):
        return {"skipped": "another sweep is running"}
    try:
        return _Sweep(env, ledger, now).run()
    finally:
        ledger.release_lease(LEASE, run_id)


@dataclass(slots=True)
class _Read:
    """What the ledger and Step Functions say of the workloads in question."""

    workload_ids: list[str] = field(default_factory=list)
    """Those that could be read."""
    records: dict[str, SwitchItem] = field(default_factory=dict)
    """All of theirs, by switch id."""
    runs: dict[str, Run] = field(default_factory=dict)
    pointed: set[str] = field(default_factory=set)


class _Sweep:
    def __init__(self, env: Environment, ledger: Ledger, now: datetime) -> None:
        self.env, self.ledger, self.now = env, ledger, now
        stack = ledger.stack()
        self.stopped = stack.global_stop
        self.settings = env.settings.merged(
            stack.overrides, source="command for the stack", per_workload=False
        )

    def run(self) -> dict[str, Any]:
        # Instances before the ledger: what the ledger does not know yet is then not seen either.
        tagged = read_managed_instances(self.env.stack_name, with_terminated=True)
        items = self.ledger.workloads()
        instances: list[Record] = [*tagged, *self._ended(tagged, self._own_of(items))]
        living = [i for i in instances if i["State"]["Name"] not in _ENDING]
        ended = {i["InstanceId"] for i in instances if i["State"]["Name"] in _ENDING}
        tokens = _tokens_of_fleets(living, {item.instance_id for item in items.values()})
        machines = [tagged_instance(i, tokens) for i in living]
        read = self._read(machines, items)
        replacements = {s.replacement_id for s in read.records.values() if s.switch_id in read.runs}
        ended |= {i["InstanceId"] for i in self._ended(instances, replacements)}
        workloads = [_workload(item) for item in items.values()]
        rows = {row["InstanceId"]: row for row in instances}
        marks = {item.workload_id: item.interruption_told for item in items.values()}
        interrupted = interruptions(workloads, rows, marks)
        found = findings(
            machines,
            [_workload(items[workload_id]) for workload_id in read.workload_ids],
            [_switch(record, ended) for record in read.records.values()],
            read.runs,
            read.pointed,
            interrupted,
            self.now,
        )
        found += not_failed_over(workloads, interrupted)
        rescues = self._judged([f for f in found if f.action is Action.FAIL_OVER], items, rows)
        found = [f for f in found if f.action is not Action.FAIL_OVER]
        found += [each.finding for each in rescues.values()]
        held = [f for f in found if self.settings.dry_run and f.action in _TOUCHES_INSTANCES]
        failed = [
            f for f in found if f not in held and not self._carry_out(f, read.records, rescues)
        ]
        if found:
            metrics.add_metric("LeftoversFound", "Count", len(found))
        return {
            "found": [
                {"action": f.action.value, "workload_id": f.workload_id, "reason": f.reason}
                for f in found
            ],
            "held_by_dry_run": len(held),
            "failed": len(failed),
        }

    # --- reading ---------------------------------------------------------------------------------

    def _own_of(self, items: Mapping[str, WorkloadItem]) -> set[str]:
        """The instances that workloads run on, or ran on as long as EC2 may show what has ended."""
        return {
            item.instance_id
            for item in items.values()
            if item.status != "gone"
            or (item.gone_at is not None and self.now - item.gone_at < SHOWN)
        }

    def _ended(self, listed: Iterable[Record], instance_ids: Iterable[str | None]) -> list[Record]:
        """Those of these instances that are not listed by their tag and have ended: EC2 takes the tags
        off what has ended before it forgets it (EC2 user guide, "Terminate Amazon EC2 instances").

        One that runs without our tag is none of ours any more.
        """
        known = {row["InstanceId"] for row in listed}
        unlisted = read_instances(each for each in instance_ids if each and each not in known)
        return [row for row in unlisted.values() if row["State"]["Name"] in _ENDING]

    def _read(self, machines: list[TaggedInstance], items: Mapping[str, WorkloadItem]) -> _Read:
        """A workload that cannot be read is left for the next sweep and stops no other."""
        read = _Read()
        workloads = [_workload(item) for item in items.values()]
        for workload_id in sorted(in_question(machines, workloads)):
            try:
                records = self.ledger.switches(workload_id)
                near = [m for m in machines if m.workload_id == workload_id]
                left = [s for s in records if may_be_left(_switch(s), near)]
                runs = {s.switch_id: self._run_of(s) for s in left}
                pointed = self._pointed(_workload(items[workload_id]), near, records)
            except Exception:
                logger.exception("workload not swept", workload_id=workload_id)
                continue
            read.workload_ids.append(workload_id)
            read.records |= {s.switch_id: s for s in records}
            read.runs |= runs
            read.pointed |= pointed
        return read

    def _pointed(
        self, workload: Workload, machines: list[TaggedInstance], records: list[SwitchItem]
    ) -> set[str]:
        unknown = without_record(workload, machines, map(_switch, records))
        return {m.instance_id for m in unknown if self.ledger.has_pointer(m.instance_id)}

    def _run_of(self, record: SwitchItem) -> Run:
        began_as_rescue = record.order.kind is DecisionKind.EVACUATE and not record.resumes
        machine = self.env.fail_over_arn if began_as_rescue else self.env.switch_instance_arn
        return read_run(machine, record.switch_id, record.resumes)

    def _judged(
        self,
        found: Iterable[Finding],
        items: Mapping[str, WorkloadItem],
        instances: Mapping[str, Record],
    ) -> dict[str, "_Interrupted"]:
        """Workload id -> what is to be done about its interruption now, where anything is."""
        judged = {}
        for finding in found:
            item = items[finding.workload_id]
            try:
                each = self._judge(finding, item, instances.get(item.instance_id))
            except Exception:
                logger.exception("interruption not judged", workload_id=item.workload_id)
                continue
            if each is not None:
                judged[item.workload_id] = each
        return judged

    def _judge(
        self, finding: Finding, item: WorkloadItem, instance: Record | None
    ) -> "_Interrupted | None":
        """A rescue, as soon as its back-off allows one; else the end of the switch that broke off, or
        to tell of it, once."""
        mark = interruption_mark(instance) if instance is not None else item.interruption_told
        ended = instance is None or instance["State"]["Name"] in _ENDING
        plan = self.ledger.plan(item.workload_id)
        why = why_held(item, plan, dry_run=self.settings.dry_run)
        if not why and self.stopped:
            why = "the global stop is set"
        if not why:
            if not finding.switch_id and item.backoff_until and item.backoff_until > self.now:
                self._remember(item, mark)
                return None
            try:
                order = failover_order(
                    item,
                    plan,
                    reason=finding.reason,
                    signalled_at=self.now,
                    ends_at=None,
                    keeps_request=not ended,
                    goes_on_with=finding.switch_id,
                    stopped=instance is not None and instance["State"]["Name"] == "stopped",
                    now=self.now,
                )
                return _Interrupted(finding, mark, ended, order)
            except NoFailover as error:
                why = str(error)
        if finding.switch_id:
            # What broke off holds the workload still; the next sweep tells.
            ending = replace(finding, action=Action.END, reason=f"{finding.reason}; {why}")
            return _Interrupted(ending, mark, ended, None)
        if item.interruption_told == mark:
            return None
        told = replace(finding, action=Action.TELL, reason=f"{finding.reason}; {why}")
        return _Interrupted(told, mark, ended, None)

    def _remember(self, item: WorkloadItem, mark: str) -> None:
        """EC2 forgets an instance after an hour, and a back-off may last as long."""
        if item.interruption_told != mark:
            self.ledger.update(keys.workload_key(item.workload_id), {"interruption_told": mark})

    # --- carrying out ----------------------------------------------------------------------------

    def _carry_out(
        self,
        finding: Finding,
        records: Mapping[str, SwitchItem],
        interrupted: Mapping[str, "_Interrupted"],
    ) -> bool:
        """Whether it could be done. What cannot is logged and stops no other; the next sweep finds
        it again."""
        logger.warning("left over", action=finding.action, reason=finding.reason)
        try:
            match finding.action:
                case Action.END:
                    self._end(finding, records[finding.switch_id])
                case Action.CLOSE:
                    record = records[finding.switch_id]
                    close_leftover(self.ledger, record, self.env, self.now)
                case Action.RESUME:
                    self._resume(finding, records[finding.switch_id])
                case Action.REMOVE:
                    self._remove(finding)
                case Action.FAIL_OVER:
                    self._rescue(interrupted[finding.workload_id])
                case Action.TELL:
                    self._tell(interrupted[finding.workload_id])
        except Exception:
            logger.exception("left-over not cleared", action=finding.action, reason=finding.reason)
            return False
        return True

    def _end(self, finding: Finding, record: SwitchItem) -> None:
        failure = LeftFailure(Cause=finding.reason).model_dump()
        fail_leftover(self.ledger, record, failure, self.env, self.now)

    def _resume(self, finding: Finding, record: SwitchItem) -> None:
        order = ResumeOrder(
            resume=record.resumes + 1,
            switch_id=record.switch_id,
            workload_id=record.workload_id,
            claim=LeftClaim(token=str(record.fence)),
            original=LeftInstance(instance_id=finding.original_id),
            replacement=LeftInstance(instance_id=finding.instance_id),
            standing_load_balancing=record.order.standing_load_balancing,
            failure=LeftFailure(Cause=finding.reason),
        )
        # The count is written after the start: a start without its count meets its own name again.
        resume_switch(self.env.switch_instance_arn, order)
        self.ledger.update(
            keys.switch_key(record.workload_id, record.switch_id), {"resumes": order.resume}
        )

    def _remove(self, finding: Finding) -> None:
        end_instance(finding.instance_id)
        alert(
            self.env.alert_topic_arn,
            f"Spot Optimizer {self.env.stack_name}: an instance without a record was ended",
            finding.reason,
        )

    def _rescue(self, interrupted: "_Interrupted") -> None:
        """The mark is written first: EC2 may have forgotten the instance when the next sweep comes."""
        assert interrupted.order is not None
        workload_id = interrupted.finding.workload_id
        self.ledger.update(keys.workload_key(workload_id), {"interruption_told": interrupted.mark})
        start_switch(self.env.fail_over_arn, interrupted.order)

    def _tell(self, interrupted: "_Interrupted") -> None:
        """Alert before the mark is written: told twice is better than never."""
        finding = interrupted.finding
        alert(
            self.env.alert_topic_arn,
            f"Spot Optimizer {self.env.stack_name}: an interrupted workload",
            f"Workload {finding.workload_id} has not been rescued: {finding.reason}.",
        )
        changes: dict[str, Any] = {"interruption_told": interrupted.mark}
        if interrupted.ended:
            changes |= {"status": "gone", "status_reason": finding.reason}
        self.ledger.update(keys.workload_key(finding.workload_id), changes)


@dataclass(frozen=True, slots=True)
class _Interrupted:
    """An interrupted workload: rescued by ``order``, or told of where there is none."""

    finding: Finding
    mark: str
    ended: bool
    """Its instance is gone for good; one that was only stopped may come back."""
    order: SwitchOrder | None


def _tokens_of_fleets(instances: Iterable[Record], own: Container[str]) -> dict[str, str]:
    """Client tokens of the fleets that machines beside the workloads' ``own`` come from.

    Who launched a workload's own machine is in question nowhere: it is never cleared. EC2 forgets
    fleets, and rescued workloads run on: asked every time, one of them would fail the call for all.
    """
    tags = [tags_of(row) for row in instances if row["InstanceId"] not in own]
    return read_fleet_tokens(
        {each[FLEET_TAG] for each in tags if FLEET_TAG in each and SWITCH_TAG in each}
    )


def _workload(item: WorkloadItem) -> Workload:
    return Workload(item.workload_id, item.instance_id, item.claim_switch_id)


def _switch(record: SwitchItem, ended: Container[str] = ()) -> Switch:
    return Switch(
        workload_id=record.workload_id,
        switch_id=record.switch_id,
        phase=record.phase,
        original_id=record.order.original.instance_id,
        replacement_id=record.replacement_id,
        claimed_at=record.claimed_at,
        resumes=record.resumes,
        replacement_ended=record.replacement_id in ended,
        taken_over=record.taken_over_by is not None,
    )
