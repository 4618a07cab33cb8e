"""What one call of AWS is charged for."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from simulator.account.interception import WireCall
from simulator.costs.item_sizes import item_bytes, read_units, write_units
from simulator.costs.price_table import Item
from simulator.costs.tables import Tables

__all__ = ["Charge", "charges", "items_before"]

Charge = tuple[Item, float]

_EVENT_BYTES = 64 * 1024
"""So much of an event counts as one (Amazon EventBridge pricing)."""


def items_before(call: WireCall, tables: Tables) -> tuple[int, ...]:
    """Bytes of the items that a call of DynamoDB is about to write, as they are before it."""
    if call.service != "dynamodb":
        return ()
    region = call.caller.region
    return tuple(tables.stored_size(region, table, key) for table, key, _ in _writes(call))


def charges(
    call: WireCall,
    status: int,
    reply: Mapping[str, Any],
    before: Sequence[int],
    tables: Tables,
) -> Iterator[Charge]:
    """What a call is charged for, answered with ``reply``.

    ``before`` is what :func:`items_before` said. S3's events reach EventBridge, where the bucket sends
    them; deletions are free in S3. What is not here is free: EC2, load balancers, the price list.
    """
    match call.service:
        case "dynamodb":
            yield from _dynamodb(call, status, reply, before, tables)
        case "s3":
            yield from _s3(call.operation, status)
        case "cloudwatch":
            yield from _cloudwatch(call)
        case "events" if call.operation == "PutEvents":
            sizes = (len(str(entry["Detail"])) for entry in call.params["Entries"])
            yield Item.EVENTS, sum(max(1, ceil(size / _EVENT_BYTES)) for size in sizes)
        case "sns" if call.operation == "Publish":
            yield Item.NOTICES, 1
            yield Item.NOTICE_MAILS, 1
        case "sqs":
            yield Item.MESSAGES, 1
        case "kms":
            yield Item.KEY_REQUESTS, 1


def _dynamodb(
    call: WireCall,
    status: int,
    reply: Mapping[str, Any],
    before: Sequence[int],
    tables: Tables,
) -> Iterator[Charge]:
    region, consistent = call.caller.region, bool(call.params.get("ConsistentRead"))
    if call.operation == "GetItem":
        yield (
            Item.DYNAMODB_READS,
            read_units([item_bytes(reply.get("Item", {}))], consistent=consistent),
        )
    elif call.operation == "Query":
        sizes = [item_bytes(row) for row in reply.get("Items", ())]
        if "ProjectionExpression" in call.params and "ExclusiveStartKey" not in call.params:
            # All attributes are read, whichever are returned: the whole partition, at its first page.
            partition = call.params["ExpressionAttributeValues"][":pk"]["S"]
            sizes = tables.partition_sizes(region, call.params["TableName"], partition)
        yield Item.DYNAMODB_READS, read_units(sizes, consistent=consistent)
    for (table, key, written), size in zip(_writes(call), before, strict=True):
        after = size
        if status < 300 and written:
            after = tables.stored_size(region, table, key)
        transactional = call.operation == "TransactWriteItems"
        yield Item.DYNAMODB_WRITES, write_units(size, after, transactional=transactional)


def _writes(call: WireCall) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Table, key and whether something is left there, of each item that a call writes or checks."""
    params = call.params
    match call.operation:
        case "PutItem":
            yield params["TableName"], params["Item"], True
        case "UpdateItem":
            yield params["TableName"], params["Key"], True
        case "DeleteItem":
            yield params["TableName"], params["Key"], False
        case "TransactWriteItems":
            for each in params["TransactItems"]:
                ((kind, part),) = each.items()
                yield part["TableName"], part["Item" if kind == "Put" else "Key"], kind != "Delete"


def _s3(operation: str, status: int) -> Iterator[Charge]:
    if operation == "GetObject":
        yield Item.S3_GETS, 1
    elif operation in ("PutObject", "ListObjectsV2"):
        yield Item.S3_PUTS, 1
    if operation in ("PutObject", "DeleteObject") and status < 300:
        yield Item.EVENTS, 1


def _cloudwatch(call: WireCall) -> Iterator[Charge]:
    if call.operation == "GetMetricData":
        queries = call.params["MetricDataQueries"]
        yield Item.METRICS_READ, sum("MetricStat" in query for query in queries)
    elif call.operation == "ListMetrics":
        yield Item.METRIC_LISTS, 1
