"""Between the ledger's items and the state that decision/breakers.py computes with.

The rules of cooldown, back-off and breakers are there. This module knows only under which attributes the
state is kept, for all who change it: the end of a switch and the command ``reset-breaker``.
"""

from datetime import datetime
from typing import Any

from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.items import StackItem, WorkloadItem
from spot_optimizer.decision.breakers import StackHealth, SwitchHealth


def switch_health(workload: WorkloadItem) -> SwitchHealth:
    """How the last switches of a workload went."""
    return SwitchHealth(
        failures_in_row=workload.failures,
        setbacks_in_row=workload.backoffs,
        breaker_open=workload.breaker_open_since is not None,
        cooldown_until=workload.cooldown_until,
        backoff_until=workload.backoff_until,
    )


def switch_health_changes(
    workload: WorkloadItem, after: SwitchHealth, now: datetime
) -> dict[str, Any]:
    """Attributes of the workload's item for its health ``after``."""
    return {
        "failures": after.failures_in_row,
        "backoffs": after.setbacks_in_row,
        "backoff_until": after.backoff_until,
        "cooldown_until": after.cooldown_until,
        **_breaker_changes(workload, after.breaker_open, now),
    }


def stack_health(stack: StackItem) -> StackHealth:
    """How the stack's switches went in the last hour."""
    return StackHealth(
        failed_at={row["workload_id"]: datetime.fromisoformat(row["at"]) for row in stack.failures},
        breaker_open=stack.breaker_open_since is not None,
    )


def stack_health_changes(stack: StackItem, after: StackHealth, now: datetime) -> dict[str, Any]:
    """Attributes of the stack's item for its health ``after``."""
    return {
        "failures": [{"workload_id": w, "at": instant(at)} for w, at in after.failed_at.items()],
        **_breaker_changes(stack, after.breaker_open, now),
    }


def _breaker_changes(
    item: WorkloadItem | StackItem, breaker_open: bool, now: datetime
) -> dict[str, Any]:
    """When a breaker opened, if it opens or closes now; nothing if it stays as it is."""
    if breaker_open == (item.breaker_open_since is not None):
        return {}
    return {"breaker_open_since": now if breaker_open else None}
