"""The transaction by which a failover takes a workload over from the switch that holds it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from spot_optimizer.aws.ledger import claim_updates as updates
from spot_optimizer.aws.ledger.claim_expiry import CLAIM_LIFE
from spot_optimizer.aws.ledger.claim_updates import BEFORE_COMMIT
from spot_optimizer.aws.ledger.claims import (
    RECORD_PUT,
    STACK_CHECK,
    TRIES,
    ClaimRefused,
    LedgerBusy,
    claim_holder,
    new_switch,
    read_record,
    refuse_elsewhere,
    transact,
    workload_to_claim,
)
from spot_optimizer.aws.ledger.items import SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.switch import SwitchOrder
from spot_optimizer.vocabulary import DecisionKind, Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def take_over(ledger: Ledger, order: SwitchOrder, now: datetime) -> SwitchItem:
    """Claim the workload for a failover, whoever holds it, or raise ClaimRefused.

    One transaction raises the fence and ends the switch that held the claim. Before its commit, that
    switch ends as FAILED and none of its later writes is accepted. After its commit, it ends as DONE and
    its run goes on to end its original. A replacement that it has launched belongs to the failover.

    A failover takes over another failover only if that was interrupted (``continues_switch_id``). The
    global stop refuses a failover; an open breaker does not. Idempotent, as :func:`claim` is.
    """
    for _ in range(TRIES):
        workload = workload_to_claim(ledger, order)
        if workload.claim_switch_id == order.switch_id:
            return read_record(ledger, order.workload_id, order.switch_id)
        refuse_elsewhere(workload, order)
        held = claim_holder(ledger, workload)
        _refuse_running_failover(workload, held, order, now)
        switch = _failover_record(order, held, workload.fence + 1, now)
        parts = [
            updates.take_claim(
                ledger, workload, switch, now=now, expires_at=now + CLAIM_LIFE, seize=True
            ),
            updates.stack_allows_switches(ledger, despite_breaker=True),
            updates.new_record(ledger, switch),
        ]
        if held is not None and held.phase not in (Phase.DONE, Phase.FAILED):
            parts.append(_supersede(ledger, held, switch, now))
        failed = transact(*parts)
        if failed is None:
            return switch
        if failed == STACK_CHECK:
            raise ClaimRefused("the global stop is set")
        if failed == RECORD_PUT and ledger.switch(order.workload_id, order.switch_id) is not None:
            raise ClaimRefused(f"failover '{order.switch_id}' has been run before")
    raise LedgerBusy(f"workload '{order.workload_id}' keeps changing")


def _refuse_running_failover(
    workload: WorkloadItem, held: SwitchItem | None, order: SwitchOrder, now: datetime
) -> None:
    if held is None or held.switch_id == order.continues_switch_id:
        return
    is_open_failover = held.order.kind is DecisionKind.EVACUATE and _is_open(held)
    if is_open_failover and workload.claim_is_live(now):
        raise ClaimRefused(f"failover '{held.switch_id}' of this workload is running")


def _is_open(switch: SwitchItem) -> bool:
    return switch.phase in BEFORE_COMMIT


def _has_replacement_to_adopt(held: SwitchItem) -> bool:
    return _is_open(held) and held.replacement_id is not None


def _failover_record(
    order: SwitchOrder, held: SwitchItem | None, fence: int, now: datetime
) -> SwitchItem:
    """The record of a failover. It starts as LAUNCHED if it adopts the replacement of ``held``."""
    switch = new_switch(order, fence, now)
    if held is None or not _has_replacement_to_adopt(held):
        return switch
    adopting = order.model_copy(
        update={
            "candidates": (held.order.candidates[held.candidate], *order.candidates),
            "home_type_after": held.order.home_type_after,
            "row": held.order.row,
        }
    )
    return switch.model_copy(
        update={
            "order": adopting,
            "phase": Phase.LAUNCHED,
            "replacement_id": held.replacement_id,
            "launched_at": held.launched_at,
        }
    )


def _supersede(
    ledger: Ledger, held: SwitchItem, failover: SwitchItem, now: datetime
) -> TransactWriteItemTypeDef:
    """The update that ends the switch that held the claim, if its phase is still the one read."""
    if held.phase is Phase.COMMITTED:
        changes: dict[str, Any] = {
            "phase": Phase.DONE,
            "outcome": {"summary": f"committed; then failover {failover.switch_id} took over"},
        }
    else:
        changes = {
            "phase": Phase.FAILED,
            "abandoned_at": now,
            "replacement_adopted": _has_replacement_to_adopt(held),
            "outcome": {"summary": f"failover {failover.switch_id} took over", "counts": False},
        }
    changes |= {"taken_over_by": failover.switch_id, "ended_at": now}
    return updates.switch_update(ledger, held, changes, (held.phase,))
