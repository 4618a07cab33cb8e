"""Answers an interruption: starts FailOver, or says why it cannot."""

from datetime import datetime, timedelta

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.executions import start_switch
from spot_optimizer.contracts.events import InterruptionWarning, SignalOutcome
from spot_optimizer.services.handle_signal.received_signal import INTERRUPTION, ReceivedSignal
from spot_optimizer.services.handle_signal.record import flag, record, record_only
from spot_optimizer.workflow.failover_order import NoFailover, failover_order, why_held

WARNING_TIME = timedelta(minutes=2)
"""EC2 user guide, "Spot Instance interruption notices"."""

_REMAINS_STOPPED = ("stop", "hibernate", "stopping", "stopped")


def answer_warning(received: ReceivedSignal) -> SignalOutcome:
    """EC2 will terminate, stop or hibernate the instance."""
    return fail_over(received, f"EC2 will {received.action} {received.workload.instance_id}")


def fail_over(received: ReceivedSignal, reason: str) -> SignalOutcome:
    """Start FailOver for the workload, unless a mode, a dry run or a missing plan prevents it."""
    plan = received.ledger.plan(received.workload.workload_id)
    hold = why_held(received.workload, plan, dry_run=received.env.settings.dry_run)
    if hold:
        flag(received)
        return record_only(received, INTERRUPTION, f"{reason}; {hold}")
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
        return _report_impossible(received, reason, str(error))
    start_switch(received.env.fail_over_arn, order)
    flag(received)
    record(received, INTERRUPTION, "EVACUATE", reason)
    return received.outcome("EVACUATE", f"{reason}: {order.switch_id}")


def _ends_at(received: ReceivedSignal) -> datetime:
    """When EC2 ends the instance. A hibernation begins at once, a state change reports the end."""
    warned = isinstance(received.signal, InterruptionWarning) and received.action != "hibernate"
    return received.signal.time + (WARNING_TIME if warned else timedelta())


def _report_impossible(received: ReceivedSignal, reason: str, why: str) -> SignalOutcome:
    alert(
        received.env.alert_topic_arn,
        f"Spot Optimizer {received.env.stack_name}: no failover is possible",
        f"{reason}. No failover of workload '{received.workload.workload_id}' is possible: {why}.",
    )
    return record_only(received, INTERRUPTION, f"{reason}; {why}")
