"""Signals of EC2 on the ledger: pointers to workloads, duplicates, and the history of a pool."""

from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.claims import LedgerBusy
from spot_optimizer.aws.ledger.codec import (
    from_wire,
    instant,
    to_wire,
    wire_value,
)
from spot_optimizer.aws.ledger.items import PointerItem, SignalItem, WorkloadItem
from spot_optimizer.aws.ledger.pool_events import record_pool_event
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.vocabulary import Pool

_HOT_SIGNALS_LIFE = timedelta(days=1)
"""Longer than the two hours that a decision looks back; the hot item must not grow."""


def read_pointer(ledger: Ledger, instance_id: str) -> PointerItem | None:
    """The workload of an instance; None if the instance is not ours."""
    return ledger.item(keys.pointer_key(instance_id), PointerItem)


def first_of_its_kind(
    ledger: Ledger,
    instance_id: str,
    kind: str,
    event_id: str,
    now: datetime,
    window: timedelta,
) -> bool:
    """Write a signal to the instance's pointer; False if one of its kind came within ``window``.

    A second delivery of the same event counts as the first: it is the retry of a run that failed, and
    every following step is idempotent.
    """
    name = kind.replace("-", "_")
    try:
        client("dynamodb").update_item(
            TableName=ledger.table,
            Key=keys.pointer_key(instance_id),
            ConditionExpression=(
                "attribute_exists(pk) AND"
                " (attribute_not_exists(#at) OR #at < :since OR #event = :event)"
            ),
            UpdateExpression="SET #at = :now, #event = :event",
            ExpressionAttributeNames={"#at": f"{name}_at", "#event": f"{name}_event"},
            ExpressionAttributeValues=to_wire(
                {":now": now, ":since": now - window, ":event": event_id}
            ),
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def flag_pool(ledger: Ledger, workload: WorkloadItem, pool: Pool, at: datetime) -> None:
    """Write to the hot item that the pool was signalled, so that a cycle leaves the pool.

    Raises LedgerBusy if another signal of the workload was written at the same moment.
    """
    kept = {text: when for text, when in workload.signals.items() if at - when < _HOT_SIGNALS_LIFE}
    values: dict[str, Any] = {":signals": {**kept, str(pool): at}}
    condition = "attribute_not_exists(signals) OR signals = :none"
    if workload.signals:
        condition, values[":seen"] = "signals = :seen", workload.signals
    else:
        values[":none"] = {}
    try:
        client("dynamodb").update_item(
            TableName=ledger.table,
            Key=keys.workload_key(workload.workload_id),
            ConditionExpression=condition,
            UpdateExpression="SET signals = :signals",
            ExpressionAttributeValues=to_wire(values),
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            raise LedgerBusy(f"signals of workload '{workload.workload_id}' changed") from error
        raise


def record_signal(
    ledger: Ledger,
    workload_id: str,
    pool: Pool | None,
    signal: dict[str, Any],
    at: datetime,
    days: int,
) -> None:
    """Write a signal to the history of its workload and of its pool. Idempotent."""
    sk = f"SIGNAL#{instant(at)}#{signal['kind']}#{signal['instance_id']}"
    ledger.put_history(f"WORKLOAD#{workload_id}", sk, signal, at, days)
    if pool is not None:
        ledger.put_history(keys.pool_partition(pool), sk, signal, at, days)
    if pool is not None and signal["kind"] == "interruption":
        record_pool_event(ledger, "INTERRUPTED", pool, at, signal["instance_id"])


def pool_signals(ledger: Ledger, pool: Pool, before: datetime) -> list[SignalItem]:
    """The pool's signals so far, of all workloads, oldest first."""
    pages = (
        client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=ledger.table,
            KeyConditionExpression="pk = :pk AND sk < :before",
            ExpressionAttributeValues={
                ":pk": wire_value(keys.pool_partition(pool)),
                ":before": wire_value(f"SIGNAL#{instant(before)}"),
            },
        )
    )
    return [SignalItem.read(from_wire(row)) for page in pages for row in page["Items"]]
