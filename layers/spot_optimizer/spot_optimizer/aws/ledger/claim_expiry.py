"""When a claim expires, and who may take it then."""

from datetime import timedelta

CLAIM_LIFE = timedelta(hours=3)
"""Longer than SwitchInstance's TimeoutSeconds (7,200): no running execution's claim expires."""


def claim_is_free_or_expired() -> str:
    """Condition for taking a claim. It compares the expiry time itself: TTL only deletes old items.

    ::

        claimed_at ........ claim_expires_at ........ now
        |---- another's ----|---- free, whatever TTL has done ----
    """
    return "(attribute_not_exists(claim_switch_id) OR claim_expires_at < :now)"
