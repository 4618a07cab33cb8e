"""Decisions on the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import (
    from_wire,
    instant,
    to_wire,
)
from spot_optimizer.aws.ledger.table import TOGETHER_FROM, Ledger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, TransactWriteItemTypeDef

_DECISIONS_AT_ONCE = 50
"""In a transaction of 100 parts: each decision and its workload's hot item."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision writes to the ledger.

    Attributes:
        record: the decision, for its workload's history; None if it says nothing new.
        if_recorded: changes of the hot item that apply only if the record is written.
        always: changes of the hot item that apply in any case.
    """

    workload_id: str
    record: Mapping[str, Any] | None
    if_recorded: Mapping[str, Any]
    always: Mapping[str, Any]


def record_changes(
    ledger: Ledger, changes: Sequence[Change], at: datetime, retention_days: int
) -> frozenset[str]:
    """Write the changes. Returns the ids of the workloads whose decision was recorded.

    A decision that was acted upon is not overwritten. An event that is delivered twice asks twice, and
    the second decision, held because the switch of the first runs, would replace its reason.
    """
    written: set[str] = set()
    for start in range(0, len(changes), _DECISIONS_AT_ONCE):
        some = changes[start : start + _DECISIONS_AT_ONCE]
        together = len(changes) >= TOGETHER_FROM
        if together and _written_together(ledger, some, at, retention_days):
            written.update(c.workload_id for c in some if c.record is not None)
            continue
        for change in some:
            if _written(ledger, change, at, retention_days):
                written.add(change.workload_id)
    return frozenset(written)


def _written_together(
    ledger: Ledger, changes: Sequence[Change], at: datetime, retention_days: int
) -> bool:
    """Write all of them or none; returns whether they were written."""
    parts: list[TransactWriteItemTypeDef] = []
    for change in changes:
        if change.record is not None:
            parts.append({"Put": _put(ledger, change.record, at, retention_days)})
        hot = {**change.if_recorded, **change.always}
        if hot:
            parts.append({"Update": ledger.update_of(keys.workload_key(change.workload_id), hot)})
    return ledger.write_together(parts)


def _written(ledger: Ledger, change: Change, at: datetime, retention_days: int) -> bool:
    """Whether the decision was recorded."""
    recorded = False
    if change.record is not None:
        try:
            client("dynamodb").put_item(**_put(ledger, change.record, at, retention_days))
            recorded = True
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
    hot = {**(change.if_recorded if recorded else {}), **change.always}
    if hot:
        ledger.update(keys.workload_key(change.workload_id), hot)
    return recorded


def _put(
    ledger: Ledger, decision: Mapping[str, Any], at: datetime, retention_days: int
) -> PutTypeDef:
    expires = int((at + timedelta(days=retention_days)).timestamp())
    return {
        "TableName": ledger.table,
        "Item": {
            **keys.decision_key(decision["workload_id"], at, decision["decision_id"]),
            **to_wire({**decision, "expires_at_s": expires}),
        },
        "ConditionExpression": "attribute_not_exists(pk) OR #kind = :stay OR #held <> :nothing",
        "ExpressionAttributeNames": {"#kind": "kind", "#held": "held_by"},
        "ExpressionAttributeValues": to_wire({":stay": "STAY", ":nothing": ""}),
    }


def read_decision(
    ledger: Ledger, workload_id: str, at: datetime, decision_id: str
) -> dict[str, Any] | None:
    """The record of one decision; None if there is none, or if its retention is over."""
    reply = client("dynamodb").get_item(
        TableName=ledger.table,
        Key=keys.decision_key(workload_id, at, decision_id),
        ConsistentRead=True,
    )
    return from_wire(reply["Item"]) if "Item" in reply else None


def last_decision(ledger: Ledger, workload_id: str, until: datetime) -> dict[str, Any] | None:
    """The last recorded change of decision up to ``until``; None if none is kept."""
    reply = client("dynamodb").query(
        TableName=ledger.table,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :until",
        ExpressionAttributeValues=to_wire(
            {
                ":pk": f"WORKLOAD#{workload_id}",
                ":since": "DECISION#",
                ":until": f"DECISION#{instant(until)}~",
            }
        ),
        ScanIndexForward=False,
        Limit=1,
    )
    return from_wire(reply["Items"][0]) if reply["Items"] else None
