"""What the sweep does about an interrupted workload that no failover is running for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from spot_optimizer.aws.ledger.items import PlanItem, WorkloadItem
from spot_optimizer.contracts.switch import SwitchOrder
from spot_optimizer.services.sweep.context import Context
from spot_optimizer.services.sweep.observation import Observation, has_ended
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.interruptions import interruption_mark
from spot_optimizer.switching.reconcile import Action, Finding
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.failover_order import NoFailover, failover_order, why_held


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An interrupted workload and what is to be done now."""

    finding: Finding
    mark: str
    """Identifies the interruption, so that it is reported once."""
    ended: bool
    """Its instance has ended; one that was only stopped may start again."""
    order: SwitchOrder | None = None
    """Of the failover, if the finding's action is FAIL_OVER."""


def judge_interruptions(
    context: Context, found: Iterable[Finding], seen: Observation
) -> dict[str, Interrupted]:
    """Workload id -> what is to be done now; a workload that has to wait is missing."""
    judged = {}
    for finding in found:
        item = seen.items[finding.workload_id]
        try:
            each = _judge(context, finding, item, seen.instances.get(item.instance_id))
        except Exception:
            logger.exception("interruption not judged", workload_id=item.workload_id)
            continue
        if each is not None:
            judged[item.workload_id] = each
    return judged


def _judge(
    context: Context, finding: Finding, item: WorkloadItem, instance: Record | None
) -> Interrupted | None:
    """In this order: fail over; wait for the back-off; end the interrupted switch; report, once."""
    mark = interruption_mark(instance) if instance is not None else item.reported_interruption
    ended = instance is None or has_ended(instance)
    plan = context.ledger.plan(item.workload_id)
    why = why_held(item, plan, dry_run=context.settings.dry_run)
    if not why and context.global_stop:
        why = "the global stop is set"
    if not why:
        if not finding.switch_id and item.backoff_until and item.backoff_until > context.now:
            _remember(context, item, mark)
            return None
        try:
            order = _order(context, finding, item, plan, instance)
            return Interrupted(finding, mark, ended, order)
        except NoFailover as error:
            why = str(error)
    if finding.switch_id:
        # The interrupted switch still holds the claim. It is ended now; the next sweep reports.
        ending = replace(finding, action=Action.END, reason=f"{finding.reason}; {why}")
        return Interrupted(ending, mark, ended)
    if item.reported_interruption == mark:
        return None
    reporting = replace(finding, action=Action.REPORT, reason=f"{finding.reason}; {why}")
    return Interrupted(reporting, mark, ended)


def _remember(context: Context, item: WorkloadItem, mark: str) -> None:
    """A back-off may last longer than EC2 shows the instance."""
    if item.reported_interruption != mark:
        context.update_workload(item.workload_id, {"reported_interruption": mark})


def _order(
    context: Context,
    finding: Finding,
    item: WorkloadItem,
    plan: PlanItem | None,
    instance: Record | None,
) -> SwitchOrder:
    return failover_order(
        item,
        plan,
        reason=finding.reason,
        signalled_at=context.now,
        ends_at=None,
        keeps_request=instance is not None and not has_ended(instance),
        continues_switch_id=finding.switch_id,
        stopped=instance is not None and instance["State"]["Name"] == "stopped",
        now=context.now,
    )
