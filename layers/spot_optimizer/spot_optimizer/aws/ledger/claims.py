"""The transactions of a switch. Each is one write of all that changes together.

::

    claim ---- launched ---- healthy ---- handed over ---- COMMIT ---- done
      |            |             |             |              |
      +------------+-------------+-------------+--> abandon   +--> forward only
                                                     |
                                                     +--> failed

Every write after the claim carries the claim's fencing token. EC2 cannot check a token, so the
committed record is the permission to terminate.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import (
    instant,
    to_wire,
    wire_value,
)
from spot_optimizer.aws.ledger.items import StackItem, SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger, update_expression
from spot_optimizer.contracts.switch import SwitchOrder
from spot_optimizer.vocabulary import DecisionKind, Phase, Rule

CLAIM_LIFE = timedelta(hours=3)
"""Longer than SwitchInstance's TimeoutSeconds (7,200): no running execution's claim expires."""

DECISION_LIFE = timedelta(minutes=15)
"""An order older than this is refused: the market it was made for is gone."""

_BEFORE_COMMIT = (Phase.CLAIMED, Phase.LAUNCHED, Phase.HEALTHY, Phase.HANDED_OVER)
_TRIES = 4
_WORKLOAD_PART = 1
"""Index of the workload's update in the transactions that end a switch."""


class ClaimRefused(Exception):
    """The workload cannot be claimed now; the text says why. Nothing was written."""


class ClaimLost(Exception):
    """The switch is no longer this run's to act on: another claim has a newer token."""


class LedgerBusy(Exception):
    """A transaction met another one; the same call succeeds a moment later."""


def claim(ledger: Ledger, order: SwitchOrder, now: datetime) -> SwitchItem:
    """Claim the workload for this switch and write the switch's record, or ClaimRefused.

    Repeating it is harmless: a claim that is already this switch's is returned as it is.
    """
    if now - order.decided_at > DECISION_LIFE:
        raise ClaimRefused(
            f"the decision of {instant(order.decided_at)} is too old at {instant(now)}"
        )
    for _ in range(_TRIES):
        workload = ledger.workload(order.workload_id)
        if workload is None:
            raise ClaimRefused(f"workload '{order.workload_id}' is not in the ledger")
        if workload.claim_switch_id == order.switch_id:
            return _record(ledger, order.workload_id, order.switch_id)
        _refuse_unclaimable(workload, order, now)
        item = SwitchItem(
            workload_id=order.workload_id,
            switch_id=order.switch_id,
            order=order,
            phase=Phase.CLAIMED,
            fence=workload.fence + 1,
            claimed_at=now,
        )
        failed = _transact(
            _take_claim(ledger, workload, item, now),
            _stack_allows_switches(ledger),
            _new_record(ledger, item),
            *_end_expired(ledger, workload, now),
        )
        if failed is None:
            return item
        if failed == 1:
            raise ClaimRefused("the stack's breaker is open or the global stop is set")
        if failed == 2 and ledger.switch(order.workload_id, order.switch_id) is not None:
            raise ClaimRefused(f"switch '{order.switch_id}' has been run before")
    raise LedgerBusy(f"workload '{order.workload_id}' keeps changing")


def _end_expired(ledger: Ledger, workload: WorkloadItem, now: datetime) -> list[dict[str, Any]]:
    """The end of the switch that let its claim expire before its commit.

    Where it has nothing running, no claim and no instance would lead the sweep to its record; what it
    has running is a failed switch's, which the sweep undoes.
    """
    if workload.claim_switch_id is None:
        return []
    held = ledger.switch(workload.workload_id, workload.claim_switch_id)
    if held is None or held.phase not in _BEFORE_COMMIT:
        return []
    ended = {
        "phase": Phase.FAILED,
        "abandoned_at": now,
        "ended_at": now,
        "outcome": {"summary": "its claim has expired", "counts": False},
    }
    return [_switch_update(ledger, held, ended, (held.phase,))]


def take_over(ledger: Ledger, order: SwitchOrder, now: datetime) -> SwitchItem:
    """Claim the workload for a rescue, whoever holds it, or ClaimRefused.

    One transaction raises the fence and ends the switch that held the claim: as FAILED before its
    commit, after which none of its writes is taken; as DONE after it, and its run ends its original
    undisturbed. A replacement that it has launched is the rescue's from then on. Another rescue is
    taken over only where it broke off. An open breaker holds no rescue; the global stop does.
    Repeating it returns the claim as it is.
    """
    for _ in range(_TRIES):
        workload = ledger.workload(order.workload_id)
        if workload is None:
            raise ClaimRefused(f"workload '{order.workload_id}' is not in the ledger")
        if workload.claim_switch_id == order.switch_id:
            return _record(ledger, order.workload_id, order.switch_id)
        _refuse_elsewhere(workload, order)
        held = (
            ledger.switch(order.workload_id, workload.claim_switch_id)
            if workload.claim_switch_id
            else None
        )
        live = workload.claim_expires_at is not None and workload.claim_expires_at > now
        broke_off = held is not None and held.switch_id == order.goes_on_with
        if live and held is not None and _is_open_rescue(held) and not broke_off:
            raise ClaimRefused(f"rescue '{held.switch_id}' of this workload is running")
        item = _rescue(order, held, workload.fence + 1, now)
        parts = [
            _seize_claim(ledger, workload, item, now),
            _no_global_stop(ledger),
            _new_record(ledger, item),
        ]
        if held is not None and held.phase not in (Phase.DONE, Phase.FAILED):
            parts.append(_supersede(ledger, held, item, now))
        failed = _transact(*parts)
        if failed is None:
            return item
        if failed == 1:
            raise ClaimRefused("the global stop is set")
        if failed == 2 and ledger.switch(order.workload_id, order.switch_id) is not None:
            raise ClaimRefused(f"rescue '{order.switch_id}' has been run before")
    raise LedgerBusy(f"workload '{order.workload_id}' keeps changing")


def claim_is_free_or_expired() -> str:
    """Condition under which a claim may be taken; expiry is compared here, TTL only tidies.

    ::

        claimed_at ........ claim_expires_at ........ now
        |---- another's ----|---- free, whatever TTL has done ----
    """
    return "(attribute_not_exists(claim_switch_id) OR claim_expires_at < :now)"


def note_refusal(ledger: Ledger, switch: SwitchItem, next_index: int | None) -> None:
    """Write the newest of ``switch.refusals`` together with the candidate that comes next."""
    changes: dict[str, Any] = {"refusals": [r.model_dump(mode="json") for r in switch.refusals]}
    if next_index is not None:
        changes |= {"candidate": next_index, "attempt": switch.refusals[-1].attempt + 1}
    _advance(ledger, switch, changes, (Phase.CLAIMED,))


def commit(ledger: Ledger, switch: SwitchItem, now: datetime) -> None:
    """Point the workload at its replacement and permit the end of the original."""
    order = switch.order
    moved: dict[str, Any] = {
        "instance_id": switch.replacement_id,
        "instance_type": order.candidates[switch.candidate].instance_type,
        "availability_zone": order.candidates[switch.candidate].availability_zone,
        "lifecycle": order.candidates[switch.candidate].lifecycle,
        "launched_at": switch.launched_at,
        "home_type": order.home_type_after,
        "fallback_pending_since": None,
    }
    # One size per 24 h is counted from this commit.
    if order.row == Rule.SIZE_UP:
        moved["sized_up_at"] = now
    failed = _transact(
        _switch_update(
            ledger,
            switch,
            {"phase": Phase.COMMITTED, "committed_at": now},
            (Phase.HANDED_OVER,),
            extra=" AND attribute_not_exists(abandoned_at)",
        ),
        _held_workload_update(ledger, switch, moved),
        _put_pointer(ledger, switch),
    )
    if failed is not None:
        raise ClaimLost(f"switch '{switch.switch_id}' may not commit any more")


def abandon(ledger: Ledger, switch: SwitchItem, now: datetime) -> None:
    """Shut the door to the commit; ClaimLost when the run holds the claim no more."""
    _advance(ledger, switch, {"abandoned_at": now}, (*_BEFORE_COMMIT, Phase.FAILED))


def record_success(
    ledger: Ledger,
    switch: SwitchItem,
    outcome: Mapping[str, Any],
    workload_changes: Mapping[str, Any],
    now: datetime,
) -> None:
    """Outcome, breaker and release in one transaction.

    Where the claim has expired and is another switch's by now, the record alone ends.
    """
    guard = switch.order.guard
    ended = {"phase": Phase.DONE, "ended_at": now, "outcome": outcome}
    failed = _transact(
        _switch_update(ledger, switch, ended, (Phase.COMMITTED,)),
        _held_workload_update(
            ledger,
            switch,
            {
                "claim_switch_id": None,
                "claim_expires_at": None,
                "failures": 0,
                "backoffs": 0,
                "backoff_until": None,
                "cooldown_until": now + timedelta(minutes=guard.cooldown_minutes),
                **workload_changes,
            },
        ),
        {
            "Delete": {
                "TableName": ledger.table,
                "Key": keys.pointer_key(switch.order.original.instance_id),
            }
        },
    )
    if failed == _WORKLOAD_PART:
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
    """Outcome, breakers and release in one transaction.

    Where the claim has expired and is another switch's by now, the record alone ends.
    ``stack`` is the stack's item that ``stack_changes`` were derived from, or None when the failure
    does not count for the stack. Raises LedgerBusy when that item has changed meanwhile.
    """
    ended = {"phase": Phase.FAILED, "ended_at": now, "outcome": outcome}
    parts = [
        _switch_update(ledger, switch, ended, _BEFORE_COMMIT),
        _held_workload_update(
            ledger,
            switch,
            {"claim_switch_id": None, "claim_expires_at": None, **workload_changes},
        ),
    ]
    if stack is not None:
        parts.append(_stack_update(ledger, stack, stack_changes))
    failed = _transact(*parts)
    if failed == 2:
        raise LedgerBusy("the stack's item has changed")
    if failed == _WORKLOAD_PART:
        _advance(ledger, switch, ended, _BEFORE_COMMIT)
    elif failed is not None:
        raise ClaimLost(f"switch '{switch.switch_id}' is not this run's to fail")


def held_record(ledger: Ledger, workload_id: str, switch_id: str, token: str) -> SwitchItem:
    """The switch's record, if this run's token is still its fence; else ClaimLost."""
    item = _record(ledger, workload_id, switch_id)
    if item.fence != int(token):
        raise ClaimLost(f"switch '{switch_id}': token {token} has been replaced by {item.fence}")
    return item


# --- parts of transactions -----------------------------------------------------------------------


def _record(ledger: Ledger, workload_id: str, switch_id: str) -> SwitchItem:
    item = ledger.switch(workload_id, switch_id)
    if item is None:
        raise ClaimLost(f"there is no record of switch '{switch_id}' of workload '{workload_id}'")
    return item


def _refuse_unclaimable(workload: WorkloadItem, order: SwitchOrder, now: datetime) -> None:
    if workload.claim_switch_id and workload.claim_expires_at and workload.claim_expires_at > now:
        raise ClaimRefused(f"switch '{workload.claim_switch_id}' of this workload is running")
    if workload.breaker_open_since is not None:
        raise ClaimRefused(
            f"the workload's breaker is open since {instant(workload.breaker_open_since)}"
        )
    _refuse_elsewhere(workload, order)


def _refuse_elsewhere(workload: WorkloadItem, order: SwitchOrder) -> None:
    if workload.instance_id != order.original.instance_id:
        raise ClaimRefused(
            f"the workload runs on {workload.instance_id}, not on {order.original.instance_id}"
        )


def _is_open_rescue(switch: SwitchItem) -> bool:
    return switch.order.kind is DecisionKind.EVACUATE and _is_open(switch)


def _is_open(switch: SwitchItem) -> bool:
    return switch.phase in _BEFORE_COMMIT


def _adopts(held: SwitchItem | None) -> bool:
    return held is not None and _is_open(held) and held.replacement_id is not None


def _rescue(order: SwitchOrder, held: SwitchItem | None, fence: int, now: datetime) -> SwitchItem:
    """The record of a rescue; it begins as LAUNCHED where it goes on with a replacement."""
    item = SwitchItem(
        workload_id=order.workload_id,
        switch_id=order.switch_id,
        order=order,
        phase=Phase.CLAIMED,
        fence=fence,
        claimed_at=now,
    )
    if held is None or not _adopts(held):
        return item
    place = held.order.candidates[held.candidate]
    adopting = order.model_copy(
        update={
            "candidates": (place, *order.candidates),
            "home_type_after": held.order.home_type_after,
            "row": held.order.row,
        }
    )
    return item.model_copy(
        update={
            "order": adopting,
            "phase": Phase.LAUNCHED,
            "replacement_id": held.replacement_id,
            "launched_at": held.launched_at,
        }
    )


def _supersede(
    ledger: Ledger, held: SwitchItem, rescue: SwitchItem, now: datetime
) -> dict[str, Any]:
    """End the switch that held the claim, if it still stands where it was seen."""
    if held.phase is Phase.COMMITTED:
        changes: dict[str, Any] = {
            "phase": Phase.DONE,
            "taken_over_by": rescue.switch_id,
            "outcome": {"summary": f"committed; then rescue {rescue.switch_id} took over"},
        }
    else:
        changes = {
            "phase": Phase.FAILED,
            "abandoned_at": now,
            "taken_over_by": rescue.switch_id,
            "replacement_adopted": _adopts(held),
            "outcome": {"summary": f"rescue {rescue.switch_id} took over", "counts": False},
        }
    return _switch_update(ledger, held, {**changes, "ended_at": now}, (held.phase,))


def _seize_claim(
    ledger: Ledger, workload: WorkloadItem, item: SwitchItem, now: datetime
) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.workload_key(workload.workload_id),
            "ConditionExpression": (
                "attribute_exists(pk) AND instance_id = :original"
                " AND (fence = :seen OR (attribute_not_exists(fence) AND :seen = :zero))"
            ),
            "UpdateExpression": (
                "SET fence = :fence, claim_switch_id = :switch, claim_expires_at = :expires"
            ),
            "ExpressionAttributeValues": to_wire(
                {
                    ":original": item.order.original.instance_id,
                    ":seen": workload.fence,
                    ":zero": 0,
                    ":fence": item.fence,
                    ":switch": item.switch_id,
                    ":expires": now + CLAIM_LIFE,
                }
            ),
        }
    }


def _no_global_stop(ledger: Ledger) -> dict[str, Any]:
    return {
        "ConditionCheck": {
            "TableName": ledger.table,
            "Key": keys.stack_key(),
            "ConditionExpression": "attribute_not_exists(global_stop) OR global_stop = :no",
            "ExpressionAttributeValues": to_wire({":no": False}),
        }
    }


def _take_claim(
    ledger: Ledger, workload: WorkloadItem, item: SwitchItem, now: datetime
) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.workload_key(workload.workload_id),
            "ConditionExpression": (
                "attribute_exists(pk) AND instance_id = :original"
                " AND (fence = :seen OR (attribute_not_exists(fence) AND :seen = :zero))"
                " AND attribute_not_exists(breaker_open_since)"
                f" AND {claim_is_free_or_expired()}"
            ),
            "UpdateExpression": (
                "SET fence = :fence, claim_switch_id = :switch, claim_expires_at = :expires"
            ),
            "ExpressionAttributeValues": to_wire(
                {
                    ":original": item.order.original.instance_id,
                    ":seen": workload.fence,
                    ":zero": 0,
                    ":now": now,
                    ":fence": item.fence,
                    ":switch": item.switch_id,
                    ":expires": now + CLAIM_LIFE,
                }
            ),
        }
    }


def _stack_allows_switches(ledger: Ledger) -> dict[str, Any]:
    return {
        "ConditionCheck": {
            "TableName": ledger.table,
            "Key": keys.stack_key(),
            "ConditionExpression": (
                "attribute_not_exists(breaker_open_since)"
                " AND (attribute_not_exists(global_stop) OR global_stop = :no)"
            ),
            "ExpressionAttributeValues": to_wire({":no": False}),
        }
    }


def _new_record(ledger: Ledger, item: SwitchItem) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": ledger.table,
            "Item": {
                **keys.switch_key(item.workload_id, item.switch_id),
                **to_wire(item.model_dump(mode="json")),
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def _switch_update(
    ledger: Ledger,
    switch: SwitchItem,
    changes: Mapping[str, Any],
    phases: tuple[Phase, ...],
    *,
    extra: str = "",
) -> dict[str, Any]:
    update, names, values = update_expression(changes)
    allowed = {f":allowed{number}": wire_value(phase) for number, phase in enumerate(phases)}
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.switch_key(switch.workload_id, switch.switch_id),
            "ConditionExpression": (
                f"fence = :token AND #phase_now IN ({', '.join(allowed)}){extra}"
            ),
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names, "#phase_now": "phase"},
            "ExpressionAttributeValues": {
                **values,
                **allowed,
                ":token": wire_value(switch.fence),
            },
        }
    }


def _held_workload_update(
    ledger: Ledger, switch: SwitchItem, changes: Mapping[str, Any]
) -> dict[str, Any]:
    update, names, values = update_expression(changes)
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.workload_key(switch.workload_id),
            "ConditionExpression": "fence = :token AND #holder = :switch",
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names, "#holder": "claim_switch_id"},
            "ExpressionAttributeValues": {
                **values,
                ":token": wire_value(switch.fence),
                ":switch": wire_value(switch.switch_id),
            },
        }
    }


def _put_pointer(ledger: Ledger, switch: SwitchItem) -> dict[str, Any]:
    assert switch.replacement_id is not None
    return {
        "Put": {
            "TableName": ledger.table,
            "Item": {
                **keys.pointer_key(switch.replacement_id),
                **to_wire({"workload_id": switch.workload_id}),
            },
        }
    }


def _stack_update(ledger: Ledger, stack: StackItem, changes: Mapping[str, Any]) -> dict[str, Any]:
    update, names, values = update_expression({**changes, "version": stack.version + 1})
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.stack_key(),
            "ConditionExpression": "attribute_not_exists(#version) OR #version = :seen",
            "UpdateExpression": update,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {**values, ":seen": wire_value(stack.version)},
        }
    }


def _advance(
    ledger: Ledger, switch: SwitchItem, changes: Mapping[str, Any], phases: tuple[Phase, ...]
) -> None:
    part = _switch_update(ledger, switch, changes, phases)["Update"]
    try:
        client("dynamodb").update_item(**part)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        raise ClaimLost(f"switch '{switch.switch_id}' has moved on without this run") from error


def _transact(*parts: Mapping[str, Any]) -> int | None:
    """Run a transaction; None if it went through, else the index of the first condition that failed."""
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
