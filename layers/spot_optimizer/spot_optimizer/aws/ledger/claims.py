"""The transactions of a switch. Each writes everything that changes together.

::

    claim ---- launched ---- healthy ---- handed over ---- COMMIT ---- done
      |            |             |             |              |
      +------------+-------------+-------------+--> abandon   +--> forward only
                                                     |
                                                     +--> failed

Every write after the claim carries the claim's fencing token. EC2 cannot check a token, so the
committed record is the permission to terminate. The state machines write ``launched``, ``healthy`` and
``handed over`` themselves, under the condition of ``claim_updates.switch_update``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import claim_updates as updates
from spot_optimizer.aws.ledger.claim_expiry import CLAIM_LIFE
from spot_optimizer.aws.ledger.claim_updates import AFTER_LAUNCH, BEFORE_COMMIT
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.items import DebtItem, StackItem, SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.switch import SwitchOrder
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE, StateRule
from spot_optimizer.vocabulary import Phase, Rule

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


DECISION_LIFE = timedelta(minutes=15)
"""An older order is refused: the market has changed since the decision."""

TRIES = 4

STACK_CHECK, RECORD_PUT = 1, 2
"""Indexes of the parts of the transactions that claim."""

_WORKLOAD_UPDATE, _STACK_UPDATE = 1, 2
"""Indexes of the parts of the transactions that end a switch."""

_RELEASED: Mapping[str, Any] = {"claim_switch_id": None, "claim_expires_at": None}


class ClaimRefused(Exception):
    """The workload cannot be claimed now; the text says why. Nothing was written."""


class ClaimLost(Exception):
    """This run may no longer act for the switch: another claim has a newer token."""


class LedgerBusy(Exception):
    """Another transaction wrote the same items; the same call succeeds a moment later."""


def claim(ledger: Ledger, order: SwitchOrder, now: datetime) -> SwitchItem:
    """Claim the workload for this switch and write the switch's record, or raise ClaimRefused.

    Idempotent: a claim that this switch already holds is returned unchanged.
    """
    if now - order.decided_at > DECISION_LIFE:
        raise ClaimRefused(
            f"the decision of {instant(order.decided_at)} is too old at {instant(now)}"
        )
    for _ in range(TRIES):
        workload = workload_to_claim(ledger, order)
        if workload.claim_switch_id == order.switch_id:
            return read_record(ledger, order.workload_id, order.switch_id)
        refuse_unclaimable(workload, order, now)
        _refuse_unseen(ledger, workload)
        switch = new_switch(order, workload.fence + 1, now)
        failed = transact(
            updates.take_claim(ledger, workload, switch, now=now, expires_at=now + CLAIM_LIFE),
            updates.stack_allows_switches(ledger),
            updates.new_record(ledger, switch),
            *end_expired(ledger, workload, now),
        )
        if failed is None:
            return switch
        if failed == STACK_CHECK:
            raise ClaimRefused("the stack's breaker is open or the global stop is set")
        if failed == RECORD_PUT and ledger.switch(order.workload_id, order.switch_id) is not None:
            raise ClaimRefused(f"switch '{order.switch_id}' has been run before")
    raise LedgerBusy(f"workload '{order.workload_id}' keeps changing")


def note_refusal(ledger: Ledger, switch: SwitchItem, next_index: int | None) -> None:
    """Write the newest of ``switch.refusals`` together with the candidate that is tried next.

    ``switch`` has launched nothing, or what it launched has ended: then it has no replacement any more.
    """
    changes: dict[str, Any] = {"refusals": [r.model_dump(mode="json") for r in switch.refusals]}
    if next_index is not None:
        changes |= {"candidate": next_index, "attempt": switch.refusals[-1].attempt + 1}
    if switch.phase is Phase.LAUNCHED:
        changes |= {"phase": Phase.CLAIMED, "replacement_id": None, "launched_at": None}
    _advance(ledger, switch, changes, (switch.phase,))


def commit(ledger: Ledger, switch: SwitchItem, now: datetime, debt: DebtItem | None = None) -> None:
    """Point the workload at its replacement and permit the end of the original.

    ``debt``: what a failover could not hand over. It is written in the same transaction, from any
    phase after the launch.
    """
    order = switch.order
    target = order.candidates[switch.candidate]
    replacement: dict[str, Any] = {
        "instance_id": switch.replacement_id,
        "instance_type": target.instance_type,
        "availability_zone": target.availability_zone,
        "lifecycle": target.lifecycle,
        "launched_at": switch.launched_at,
        "home_type": order.home_type_after,
        "fallback_pending_since": None,
    }
    if order.row == Rule.SIZE_UP:
        # One size up in 24 h, counted from the commit.
        replacement["sized_up_at"] = now
    committed: dict[str, Any] = {"phase": Phase.COMMITTED, "committed_at": now}
    if debt is not None:
        # A failover's replacement is HEALTHY when it runs; it may run although that was not recorded.
        committed |= {"owed_because": debt.reason, "healthy_at": switch.healthy_at or now}
    failed = transact(
        updates.switch_update(
            ledger,
            switch,
            committed,
            (Phase.HANDED_OVER,) if debt is None else AFTER_LAUNCH,
            only_if=updates.NOT_ABANDONED,
        ),
        updates.held_workload_update(ledger, switch, replacement),
        updates.put_pointer(ledger, switch),
        *([] if debt is None else [updates.put_debt(ledger, debt)]),
    )
    if failed is not None:
        raise ClaimLost(f"switch '{switch.switch_id}' may not commit any more")


def abandon(ledger: Ledger, switch: SwitchItem, now: datetime) -> None:
    """Rule out the commit, or raise ClaimLost if this run no longer holds the claim."""
    _advance(ledger, switch, {"abandoned_at": now}, (*BEFORE_COMMIT, Phase.FAILED))


def record_success(
    ledger: Ledger,
    switch: SwitchItem,
    outcome: Mapping[str, Any],
    workload_changes: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write outcome and ``workload_changes`` and release the claim, in one transaction.

    If the claim has expired and another switch holds it, only the record is written.
    """
    ended = {"phase": Phase.DONE, "ended_at": now, "outcome": outcome}
    failed = transact(
        updates.switch_update(ledger, switch, ended, (Phase.COMMITTED,)),
        updates.held_workload_update(ledger, switch, {**_RELEASED, **workload_changes}),
        updates.delete_pointer(ledger, switch.order.original.instance_id),
    )
    if failed == _WORKLOAD_UPDATE:
        _advance(ledger, switch, ended, (Phase.COMMITTED,))
    elif failed is not None:
        raise ClaimLost(f"switch '{switch.switch_id}' is not committed by this run")


def record_failure(
    ledger: Ledger,
    switch: SwitchItem,
    outcome: Mapping[str, Any],
    workload_changes: Mapping[str, Any],
    stack: StackItem | None,
    stack_changes: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write outcome, ``workload_changes`` and ``stack_changes`` and release the claim, in one
    transaction.

    If the claim has expired and another switch holds it, only the record is written. ``stack`` is the
    item that ``stack_changes`` were derived from, or None if the failure does not count for the stack.
    Raises LedgerBusy if that item has changed since.
    """
    ended = {"phase": Phase.FAILED, "ended_at": now, "outcome": outcome}
    parts = [
        updates.switch_update(ledger, switch, ended, BEFORE_COMMIT),
        updates.held_workload_update(ledger, switch, {**_RELEASED, **workload_changes}),
    ]
    if stack is not None:
        parts.append(updates.stack_update(ledger, stack, stack_changes))
    failed = transact(*parts)
    if failed == _STACK_UPDATE:
        raise LedgerBusy("the stack's item has changed")
    if failed == _WORKLOAD_UPDATE:
        _advance(ledger, switch, ended, BEFORE_COMMIT)
    elif failed is not None:
        raise ClaimLost(f"switch '{switch.switch_id}' is not this run's to fail")


def held_record(ledger: Ledger, workload_id: str, switch_id: str, token: str) -> SwitchItem:
    """The switch's record, or ClaimLost if this run's token is no longer its fence."""
    switch = read_record(ledger, workload_id, switch_id)
    if switch.fence != int(token):
        raise ClaimLost(f"switch '{switch_id}': token {token} has been replaced by {switch.fence}")
    return switch


def read_record(ledger: Ledger, workload_id: str, switch_id: str) -> SwitchItem:
    """The switch's record, whoever holds the claim; ClaimLost if there is none."""
    switch = ledger.switch(workload_id, switch_id)
    if switch is None:
        raise ClaimLost(f"there is no record of switch '{switch_id}' of workload '{workload_id}'")
    return switch


def refuse_unclaimable(workload: WorkloadItem, order: SwitchOrder, now: datetime) -> None:
    """Raise ClaimRefused if the workload is claimed, its breaker open, or its instance another one."""
    if workload.claim_switch_id and workload.claim_is_live(now):
        raise ClaimRefused(f"switch '{workload.claim_switch_id}' of this workload is running")
    if workload.breaker_open_since is not None:
        raise ClaimRefused(
            f"the workload's breaker is open since {instant(workload.breaker_open_since)}"
        )
    refuse_elsewhere(workload, order)


def _refuse_unseen(ledger: Ledger, workload: WorkloadItem) -> None:
    """Raise ClaimRefused for a workload that older code adopted, and ordered to switch, after the tag
    ``state`` was demanded. The next cycle of this version looks at its tags."""
    if workload.state_rule or workload.adopted_at is None:
        return
    since = ledger.stack().state_demanded_since
    if since is not None and workload.adopted_at >= since:
        raise ClaimRefused("no cycle has looked yet whether it has the tag state")


def end_expired(
    ledger: Ledger, workload: WorkloadItem, now: datetime
) -> list[TransactWriteItemTypeDef]:
    """The update that ends the switch whose claim expired before its commit, if there is one.

    Without it, a switch that has launched nothing would stay open: the sweep finds records by claim and
    by instance. If it has launched something, the sweep undoes it as it undoes any failed switch.
    """
    held = claim_holder(ledger, workload)
    if held is None or held.phase not in BEFORE_COMMIT:
        return []
    ended = {
        "phase": Phase.FAILED,
        "abandoned_at": now,
        "ended_at": now,
        "outcome": {"summary": "its claim has expired", "counts": False},
    }
    return [updates.switch_update(ledger, held, ended, (held.phase,))]


# --- what claim_takeover.py uses too -----------------------------------------------------------------


def workload_to_claim(ledger: Ledger, order: SwitchOrder) -> WorkloadItem:
    """The hot item of the order's workload, or ClaimRefused."""
    workload = ledger.workload(order.workload_id)
    if workload is None:
        raise ClaimRefused(f"workload '{order.workload_id}' is not in the ledger")
    return workload


def claim_holder(ledger: Ledger, workload: WorkloadItem) -> SwitchItem | None:
    """The switch that the workload's claim names, live or expired."""
    if not workload.claim_switch_id:
        return None
    return ledger.switch(workload.workload_id, workload.claim_switch_id)


def refuse_elsewhere(workload: WorkloadItem, order: SwitchOrder) -> None:
    """Raise ClaimRefused if the workload no longer runs on the order's original, or is held: older code
    orders switches and failovers of workloads without the tag ``state``, too."""
    if workload.state_rule == StateRule.HELD:
        raise ClaimRefused(f"workload '{workload.workload_id}' is {WITHOUT_STATE}")
    if workload.instance_id != order.original.instance_id:
        raise ClaimRefused(
            f"the workload runs on {workload.instance_id}, not on {order.original.instance_id}"
        )


def new_switch(order: SwitchOrder, fence: int, now: datetime) -> SwitchItem:
    """The record of a switch that begins."""
    return SwitchItem(
        workload_id=order.workload_id,
        switch_id=order.switch_id,
        order=order,
        phase=Phase.CLAIMED,
        fence=fence,
        claimed_at=now,
    )


def _advance(
    ledger: Ledger, switch: SwitchItem, changes: Mapping[str, Any], phases: Sequence[Phase]
) -> None:
    part = updates.switch_update(ledger, switch, changes, phases)["Update"]
    try:
        client("dynamodb").update_item(**part)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        raise ClaimLost(f"switch '{switch.switch_id}' was changed by another run") from error


def transact(*parts: TransactWriteItemTypeDef) -> int | None:
    """Write all parts or none. Returns the index of the first condition that failed, None if none did."""
    try:
        client("dynamodb").transact_write_items(TransactItems=list(parts))
    except ClientError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        reasons = [r.get("Code", "None") for r in error.response.get("CancellationReasons", [])]
        for index, reason in enumerate(reasons):
            if reason == "ConditionalCheckFailed":
                return index
        raise LedgerBusy(f"transaction cancelled: {reasons}") from error
    return None
