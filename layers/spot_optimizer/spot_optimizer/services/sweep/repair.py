"""How the sweep clears each kind of leftover."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.executions import (
    pay_debt,
    payment_name,
    read_run,
    resume_switch,
    start_switch,
)
from spot_optimizer.aws.instances import end_instance
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.debts import drop_debt, note_try
from spot_optimizer.aws.ledger.items import DebtItem, SwitchItem
from spot_optimizer.contracts.switch import (
    DebtOrder,
    LeftClaim,
    LeftFailure,
    LeftInstance,
    ResumeOrder,
)
from spot_optimizer.services.sweep.context import Context
from spot_optimizer.services.sweep.interruptions import Interrupted
from spot_optimizer.switching.debts import REPORT_EVERY, owed_in_words
from spot_optimizer.switching.reconcile import Action, Finding
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.switch_outcome import close_leftover, fail_leftover


@dataclass(frozen=True, slots=True)
class Repairs:
    """The repairs of one sweep."""

    context: Context
    records: Mapping[str, SwitchItem]
    """By switch id."""
    debts: Mapping[tuple[str, str], DebtItem]
    """By workload and switch id."""
    interrupted: Mapping[str, Interrupted]
    """By workload id."""

    def carry_out(self, finding: Finding) -> bool:
        """Whether it succeeded. A failure is logged; the next sweep finds the leftover again."""
        logger.warning("leftover", action=finding.action, reason=finding.reason)
        try:
            self._carry_out(finding)
        except Exception:
            logger.exception("leftover not cleared", action=finding.action, reason=finding.reason)
            return False
        return True

    def _carry_out(self, finding: Finding) -> None:
        match finding.action:
            case Action.END:
                _end(self.context, finding, self.records[finding.switch_id])
            case Action.CLOSE:
                record = self.records[finding.switch_id]
                close_leftover(self.context.ledger, record, self.context.env, self.context.now)
            case Action.RESUME:
                _resume(self.context, finding, self.records[finding.switch_id])
            case Action.REMOVE:
                _remove(self.context, finding)
            case Action.FAIL_OVER:
                _fail_over(self.context, self.interrupted[finding.workload_id])
            case Action.PAY:
                _pay(self.context, finding, self.debts[finding.workload_id, finding.switch_id])
            case Action.FORGET:
                drop_debt(self.context.ledger, self.debts[finding.workload_id, finding.switch_id])
            case Action.REPORT:
                _report(self.context, self.interrupted[finding.workload_id])


def _end(context: Context, finding: Finding, record: SwitchItem) -> None:
    failure = LeftFailure(Cause=finding.reason).model_dump()
    fail_leftover(context.ledger, record, failure, context.env, context.now)


def _resume(context: Context, finding: Finding, record: SwitchItem) -> None:
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
    # The count is written after the start. If it is not written, the next sweep uses the same name, and
    # Step Functions refuses a second execution of one name.
    resume_switch(context.env.switch_instance_arn, order)
    context.ledger.update(
        keys.switch_key(record.workload_id, record.switch_id),
        SwitchItem.stored({"resumes": order.resume}),
    )


def _remove(context: Context, finding: Finding) -> None:
    end_instance(finding.instance_id)
    alert(
        context.env.alert_topic_arn,
        f"Spot Optimizer {context.env.stack_name}: an instance without a record was terminated",
        finding.reason,
    )


def _fail_over(context: Context, interrupted: Interrupted) -> None:
    """The mark is written before the start: EC2 may no longer show the instance at the next sweep."""
    assert interrupted.order is not None
    workload_id = interrupted.finding.workload_id
    context.update_workload(workload_id, {"reported_interruption": interrupted.mark})
    start_switch(context.env.fail_over_arn, interrupted.order)


def _pay(context: Context, finding: Finding, debt: DebtItem) -> None:
    """Start the next try, unless the last one is still running; report a debt of long standing."""
    arn = context.env.fail_over_arn
    if debt.tries and read_run(arn, payment_name(debt.switch_id, debt.tries)).running:
        return
    order = DebtOrder(
        payment=debt.tries + 1,
        switch_id=debt.switch_id,
        workload_id=debt.workload_id,
        claim=LeftClaim(token="0"),
        original=LeftInstance(instance_id=debt.original_id),
        replacement=LeftInstance(instance_id=finding.instance_id),
        standing_load_balancing=debt.load_balancing,
    )
    pay_debt(arn, order)
    changes: dict[str, Any] = {"tries": order.payment, "tried_at": context.now}
    if context.now - (debt.reported_at or debt.since) >= REPORT_EVERY:
        _report_debt(context, finding, debt)
        changes["reported_at"] = context.now
    note_try(context.ledger, debt, changes)


def _report_debt(context: Context, finding: Finding, debt: DebtItem) -> None:
    alert(
        context.env.alert_topic_arn,
        f"Spot Optimizer {context.env.stack_name}: a hand-over is still owed",
        f"Workload '{debt.workload_id}': {finding.reason}, since {instant(debt.since)}, and {debt.tries}"
        f" tries to hand it over have failed. At first: {debt.reason}. The last try is execution"
        f" {payment_name(debt.switch_id, debt.tries)} of FailOver. Owed:"
        f" {owed_in_words(debt.load_balancing)}.",
    )


def _report(context: Context, interrupted: Interrupted) -> None:
    """The alert is sent before the mark is written: two alerts are better than none."""
    finding = interrupted.finding
    alert(
        context.env.alert_topic_arn,
        f"Spot Optimizer {context.env.stack_name}: an interrupted workload",
        f"No failover for workload {finding.workload_id}: {finding.reason}.",
    )
    changes: dict[str, Any] = {"reported_interruption": interrupted.mark}
    if interrupted.ended:
        changes |= {"status": "gone", "status_reason": finding.reason}
    context.update_workload(finding.workload_id, changes)
