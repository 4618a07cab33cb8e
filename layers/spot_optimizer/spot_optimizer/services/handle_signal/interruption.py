"""Answers an interruption: starts FailOver, or says why it cannot."""

from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.executions import start_switch
from spot_optimizer.contracts.events import INSTANCE_ACTIONS, InterruptionWarning, SignalOutcome
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE
from spot_optimizer.services.handle_signal.received_signal import INTERRUPTION, ReceivedSignal
from spot_optimizer.services.handle_signal.record import flag, record, record_only
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.failover_order import NoFailover, failover_order, why_held

WARNING_TIME = timedelta(minutes=2)
"""EC2 user guide, "Spot Instance interruption notices"."""

_REMAINS_STOPPED = ("stop", "hibernate", "stopping", "stopped")


def answer_warning(received: ReceivedSignal) -> SignalOutcome:
    """EC2 will terminate, stop or hibernate the instance."""
    outcome = fail_over(
        received, f"EC2 will {received.action} {received.workload.instance_id}", INTERRUPTION
    )
    if isinstance(received.signal, InterruptionWarning) and not received.signal.detail.is_known:
        _report_unknown_action(received, received.signal.detail.instance_action)
    return outcome


def fail_over(received: ReceivedSignal, reason: str, kind: str) -> SignalOutcome:
    """Start FailOver for the workload, unless a mode, a dry run or a missing plan prevents it.

    ``kind``: how the signal is recorded; an interruption also counts for the pool.
    """
    plan = received.ledger.plan(received.workload.workload_id)
    hold = why_held(received.workload, plan, dry_run=received.env.settings.dry_run)
    if hold:
        if hold == WITHOUT_STATE:
            _alert_not_replaced(received, reason)
        _flag(received, kind)
        return record_only(received, kind, f"{reason}; {hold}")
    try:
        order = failover_order(
            received.workload,
            plan,
            reason=reason,
            signalled_at=received.signal.time,
            ends_at=_ends_at(received),
            keeps_request=received.action in _REMAINS_STOPPED,
            now=received.now,
        )
    except NoFailover as error:
        return _report_impossible(received, reason, str(error), kind)
    start_switch(received.env.fail_over_arn, order)
    _flag(received, kind)
    record(received, kind, "EVACUATE", reason)
    return received.outcome("EVACUATE", f"{reason}: {order.switch_id}")


def _flag(received: ReceivedSignal, kind: str) -> None:
    if kind == INTERRUPTION:
        flag(received)


def _ends_at(received: ReceivedSignal) -> datetime:
    """When EC2 ends the instance. A hibernation begins at once, a state change reports the end."""
    warned = isinstance(received.signal, InterruptionWarning) and received.action != "hibernate"
    return received.signal.time + (WARNING_TIME if warned else timedelta())


def _alert_not_replaced(received: ReceivedSignal, reason: str) -> None:
    alert(
        received.env.alert_topic_arn,
        f"Spot Optimizer {received.env.stack_name}: a workload is not replaced",
        f"{reason}. Workload '{received.workload.workload_id}' is not replaced. It is {WITHOUT_STATE}.",
    )


def _report_impossible(received: ReceivedSignal, reason: str, why: str, kind: str) -> SignalOutcome:
    alert(
        received.env.alert_topic_arn,
        f"Spot Optimizer {received.env.stack_name}: no failover is possible",
        f"{reason}. No failover of workload '{received.workload.workload_id}' is possible: {why}.",
    )
    return record_only(received, kind, f"{reason}; {why}")


def _report_unknown_action(received: ReceivedSignal, action: object) -> None:
    """After the answer, and whatever becomes of it: the failover must not wait for an alert."""
    stated = "no instance-action" if action is None else f"instance-action = {action!r:.100}"
    workload = received.workload
    try:
        alert(
            received.env.alert_topic_arn,
            f"Spot Optimizer {received.env.stack_name}: an interruption warning of a new kind",
            f"The interruption warning for {workload.instance_id} of workload"
            f" '{workload.workload_id}' has {stated}; known are {', '.join(INSTANCE_ACTIONS)}. It was"
            " answered like terminate. Check whether the instance has ended.",
        )
    except (BotoCoreError, ClientError):
        logger.exception("alert not sent", instance_id=workload.instance_id, action=stated)
