"""Duplicates: the same signal about the same instance counts once within a window."""

from datetime import timedelta

from spot_optimizer.aws.ledger.signals import first_of_its_kind
from spot_optimizer.services.handle_signal.received_signal import REBALANCE, ReceivedSignal

DUPLICATE_WINDOW = timedelta(minutes=10)
REARMED_AFTER = timedelta(minutes=30)
"""A second rebalance recommendation for the same instance counts again after this time."""

_END_OF = {"stopping": "stopped", "shutting-down": "terminated"}
"""The beginning of an end, if it is answered, and the end are one signal."""


def why_duplicate(received: ReceivedSignal) -> str:
    """Note the signal; why it is a duplicate, or empty if it is the first of its kind in the window."""
    action = _END_OF.get(received.action, received.action)
    word = f"{received.kind}-{action}" if action else received.kind
    window = REARMED_AFTER if received.kind == REBALANCE else DUPLICATE_WINDOW
    instance_id, event_id = received.workload.instance_id, received.signal.id
    if first_of_its_kind(received.ledger, instance_id, word, event_id, received.now, window):
        return ""
    return f"duplicate of a {word} within {window}"
