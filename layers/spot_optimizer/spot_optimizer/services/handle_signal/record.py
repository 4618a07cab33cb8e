"""How a signal is written to the ledger."""

from datetime import UTC

from spot_optimizer.aws.ledger.claims import LedgerBusy
from spot_optimizer.aws.ledger.signals import flag_pool, record_signal
from spot_optimizer.contracts.events import SignalEffect, SignalOutcome
from spot_optimizer.services.handle_signal.received_signal import ReceivedSignal

_FLAG_TRIES = 4


def record_only(received: ReceivedSignal, kind: str, reason: str) -> SignalOutcome:
    """Record a signal that has no other effect."""
    return record(received, kind, "RECORDED", reason)


def record(received: ReceivedSignal, kind: str, effect: SignalEffect, reason: str) -> SignalOutcome:
    """Write a signal to the history of its workload and pool, and answer with its effect."""
    record_signal(
        received.ledger,
        received.workload.workload_id,
        received.pool,
        {
            "workload_id": received.workload.workload_id,
            "instance_id": received.workload.instance_id,
            "kind": kind,
            "action": received.action,
            "at": received.signal.time.astimezone(UTC),
            "received_at": received.now,
            "event_id": received.signal.id,
            "effect": effect,
            "reason": reason,
        },
        received.signal.time,
        received.env.retention_days,
    )
    return received.outcome(effect, reason)


def flag(received: ReceivedSignal) -> None:
    """Mark the workload's pool as signalled on the hot item. Retried if another signal is being written
    at the same moment."""
    if received.pool is None:
        return
    workload = received.workload
    for tries_left in reversed(range(_FLAG_TRIES)):
        try:
            flag_pool(received.ledger, workload, received.pool, received.signal.time)
            return
        except LedgerBusy:
            if not tries_left:
                raise
            workload = received.ledger.workload(workload.workload_id) or workload
