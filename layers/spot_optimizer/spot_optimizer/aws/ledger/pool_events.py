"""Pool events: refused launches and interruptions, in one list for all pools.

A launch that was refused by its subnet says nothing about the pool: it is an event of another kind, which
version 0.1.0 does not read.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from spot_optimizer.aws.clients import client
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import (
    from_wire,
    instant,
    wire_value,
)
from spot_optimizer.aws.ledger.items import PoolEventItem, pool_from_text
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.vocabulary import Pool

PoolEventKind = Literal["REFUSED", "REFUSED_BY_SUBNET", "INTERRUPTED"]

KEPT_DAYS = 90


def record_pool_event(
    ledger: Ledger,
    kind: PoolEventKind,
    pool: Pool,
    at: datetime,
    detail: str,
    *,
    subnet_id: str = "",
) -> None:
    """Record one event. Idempotent."""
    subnet = {"subnet_id": subnet_id} if subnet_id else {}
    ledger.put_history(
        keys.POOL_EVENTS,
        keys.pool_event_sk(kind, instant(at), pool, detail),
        {"pool": str(pool), "at": at, **subnet},
        at,
        KEPT_DAYS,
    )


def pool_events(
    ledger: Ledger, kind: Literal["REFUSED", "INTERRUPTED"], now: datetime, memory: timedelta
) -> tuple[PoolEvent, ...]:
    """The events of one kind within ``memory``, oldest first."""
    items = _items(ledger, kind, now, memory)
    return tuple(PoolEvent(pool_from_text(item.pool), item.at) for item in items)


def refused_subnets(ledger: Ledger, now: datetime, memory: timedelta) -> frozenset[str]:
    """Ids of the subnets that refused a launch within ``memory``."""
    return frozenset(item.subnet_id for item in _items(ledger, "REFUSED_BY_SUBNET", now, memory))


def _items(
    ledger: Ledger, kind: PoolEventKind, now: datetime, memory: timedelta
) -> Iterator[PoolEventItem]:
    pages = (
        client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=ledger.table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :until",
            ExpressionAttributeValues={
                ":pk": wire_value(keys.POOL_EVENTS),
                ":since": wire_value(f"{kind}#{instant(now - memory)}"),
                ":until": wire_value(f"{kind}#~"),
            },
        )
    )
    yield from (PoolEventItem.read(from_wire(row)) for page in pages for row in page["Items"])
