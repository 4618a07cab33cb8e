"""Answers the end of an instance that no switch of ours has ended."""

from spot_optimizer.aws.instances import read_end_reason
from spot_optimizer.contracts.events import SignalOutcome
from spot_optimizer.services.handle_signal.duplicates import why_duplicate
from spot_optimizer.services.handle_signal.interruption import fail_over
from spot_optimizer.services.handle_signal.received_signal import INTERRUPTION, ReceivedSignal
from spot_optimizer.services.handle_signal.record import record_only
from spot_optimizer.switching.interruptions import is_spot_interruption

ENDING_STATES = frozenset({"stopping", "shutting-down"})
"""An instance can stay in these for minutes; a failover need not wait for its end."""
ENDED_STATES = frozenset({"stopped", "terminated"})


def answer_end(received: ReceivedSignal) -> SignalOutcome:
    """If EC2 ended the instance, the workload fails over; else its user did.

    Only the end of spot capacity is an interruption without a warning. Another reason of EC2, such as
    ``Server.ScheduledStop`` or ``Server.InternalError``, says nothing about the pool.
    """
    workload = received.workload
    reason = read_end_reason(workload.instance_id)
    if reason.startswith("Server."):
        repeated = why_duplicate(received) if received.action in ENDING_STATES else ""
        if repeated:
            return received.outcome("NONE", repeated)
        interrupted = is_spot_interruption(reason, workload.lifecycle)
        kind = INTERRUPTION if interrupted else received.kind
        return fail_over(received, f"{workload.instance_id} is {received.action}: {reason}", kind)
    if received.action in ENDING_STATES:
        # Of its user's own doing, or EC2 does not show the reason yet: its end is reported too.
        return received.outcome("NONE", f"{received.action}; its end will be reported")
    ended_by_user = f"{received.action} by its user ({reason or 'no reason given'})"
    return record_only(received, received.kind, ended_by_user)
