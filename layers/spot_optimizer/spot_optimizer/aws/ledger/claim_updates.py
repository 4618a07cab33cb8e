"""Builders of the updates and conditions that claims.py writes.

Every update of a switch's record demands ``fence = :token`` and one of the phases that the write may
start from. The states RecordLaunched, RecordHealthy and RecordHandedOver of both state machines write
the same record under the same condition (statemachines/*.asl.yaml). A test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.claim_expiry import claim_is_free_or_expired
from spot_optimizer.aws.ledger.codec import to_wire, wire_value
from spot_optimizer.aws.ledger.items import DebtItem, StackItem, SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger, update_expression
from spot_optimizer.vocabulary import Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

BEFORE_COMMIT = (Phase.CLAIMED, Phase.LAUNCHED, Phase.HEALTHY, Phase.HANDED_OVER)
"""Phases in the order in which a switch passes them."""

AFTER_LAUNCH = BEFORE_COMMIT[1:]
"""Those in which the record names a replacement."""

STILL_HELD = "fence = :token"
"""No newer claim has raised the fence. Twin: the ConditionExpression of the state machines' writes."""

NOT_ABANDONED = "attribute_not_exists(abandoned_at)"


def take_claim(
    ledger: Ledger,
    workload: WorkloadItem,
    switch: SwitchItem,
    *,
    now: datetime,
    expires_at: datetime,
    seize: bool = False,
) -> TransactWriteItemTypeDef:
    """Give the workload's claim to ``switch``, if the workload is as it was read.

    ``seize``: even if another switch holds the claim or the workload's breaker is open.
    """
    conditions = [
        "attribute_exists(pk)",
        "instance_id = :original",
        "(fence = :seen OR (attribute_not_exists(fence) AND :seen = :zero))",
    ]
    values: dict[str, Any] = {
        ":original": switch.order.original.instance_id,
        ":seen": workload.fence,
        ":zero": 0,
        ":fence": switch.fence,
        ":switch": switch.switch_id,
        ":expires": expires_at,
    }
    if not seize:
        conditions += ["attribute_not_exists(breaker_open_since)", claim_is_free_or_expired()]
        values[":now"] = now
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.workload_key(workload.workload_id),
            "ConditionExpression": " AND ".join(conditions),
            "UpdateExpression": (
                "SET fence = :fence, claim_switch_id = :switch, claim_expires_at = :expires"
            ),
            "ExpressionAttributeValues": to_wire(values),
        }
    }


def stack_allows_switches(
    ledger: Ledger, *, despite_breaker: bool = False
) -> TransactWriteItemTypeDef:
    """Check that the global stop is not set and, unless ``despite_breaker``, the breaker is closed."""
    conditions = ["(attribute_not_exists(global_stop) OR global_stop = :no)"]
    if not despite_breaker:
        conditions.insert(0, "attribute_not_exists(breaker_open_since)")
    return {
        "ConditionCheck": {
            "TableName": ledger.table,
            "Key": keys.stack_key(),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": to_wire({":no": False}),
        }
    }


def new_record(ledger: Ledger, switch: SwitchItem) -> TransactWriteItemTypeDef:
    """Put the record of a switch that has none."""
    return {
        "Put": {
            "TableName": ledger.table,
            "Item": {
                **keys.switch_key(switch.workload_id, switch.switch_id),
                **to_wire(switch.model_dump(mode="json")),
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def switch_update(
    ledger: Ledger,
    switch: SwitchItem,
    changes: Mapping[str, Any],
    phases: Sequence[Phase],
    *,
    only_if: str = "",
) -> TransactWriteItemTypeDef:
    """Change the record, if its token is still ``switch``'s and its phase one of ``phases``."""
    update, names, values = update_expression(SwitchItem.stored(changes))
    allowed = {f":allowed{number}": wire_value(phase) for number, phase in enumerate(phases)}
    conditions = [
        STILL_HELD,
        f"#phase_now IN ({', '.join(allowed)})",
        *([only_if] if only_if else ()),
    ]
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.switch_key(switch.workload_id, switch.switch_id),
            "ConditionExpression": " AND ".join(conditions),
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names, "#phase_now": "phase"},
            "ExpressionAttributeValues": {**values, **allowed, ":token": wire_value(switch.fence)},
        }
    }


def held_workload_update(
    ledger: Ledger, switch: SwitchItem, changes: Mapping[str, Any]
) -> TransactWriteItemTypeDef:
    """Change the workload's hot item, if ``switch`` still holds its claim."""
    update, names, values = update_expression(WorkloadItem.stored(changes))
    return {
        "Update": {
            "TableName": ledger.table,
            "Key": keys.workload_key(switch.workload_id),
            "ConditionExpression": f"{STILL_HELD} AND #holder = :switch",
            "UpdateExpression": update,
            "ExpressionAttributeNames": {**names, "#holder": "claim_switch_id"},
            "ExpressionAttributeValues": {
                **values,
                ":token": wire_value(switch.fence),
                ":switch": wire_value(switch.switch_id),
            },
        }
    }


def put_pointer(ledger: Ledger, switch: SwitchItem) -> TransactWriteItemTypeDef:
    """Let events about the replacement find the workload."""
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


def delete_pointer(ledger: Ledger, instance_id: str) -> TransactWriteItemTypeDef:
    """Let events about an instance find no workload."""
    return {"Delete": {"TableName": ledger.table, "Key": keys.pointer_key(instance_id)}}


def put_debt(ledger: Ledger, debt: DebtItem) -> TransactWriteItemTypeDef:
    """Note what the workload's new instance still lacks."""
    return {
        "Put": {
            "TableName": ledger.table,
            "Item": {
                **keys.debt_key(debt.workload_id, debt.switch_id),
                **to_wire(debt.model_dump()),
            },
        }
    }


def delete_debt(ledger: Ledger, workload_id: str, switch_id: str) -> TransactWriteItemTypeDef:
    """Forget a debt that is paid."""
    return {"Delete": {"TableName": ledger.table, "Key": keys.debt_key(workload_id, switch_id)}}


def runs_unclaimed(
    ledger: Ledger, workload_id: str, instance_id: str, now: datetime
) -> TransactWriteItemTypeDef:
    """A condition: the workload runs on this instance, and no switch is replacing it."""
    return {
        "ConditionCheck": {
            "TableName": ledger.table,
            "Key": keys.workload_key(workload_id),
            "ConditionExpression": f"instance_id = :instance AND {claim_is_free_or_expired()}",
            "ExpressionAttributeValues": {
                ":instance": wire_value(instance_id),
                ":now": wire_value(now),
            },
        }
    }


def stack_update(
    ledger: Ledger, stack: StackItem, changes: Mapping[str, Any]
) -> TransactWriteItemTypeDef:
    """Change the stack's item, if it is still of the version that was read."""
    update, names, values = update_expression(
        StackItem.stored({**changes, "version": stack.version + 1})
    )
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
