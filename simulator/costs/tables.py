"""Items of the stack's tables, looked at past the API: what a call finds and leaves is what it costs."""

from collections.abc import Mapping
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from simulator.costs.item_sizes import item_bytes

__all__ = ["partition_sizes", "stored_size", "table_sizes"]

TypedItem = Mapping[str, Mapping[str, Any]]


def stored_size(region: str, table: str, key: TypedItem) -> int:
    """Bytes of the item with this key, 0 where there is none. ``key`` may be a whole item."""
    found = _table(region, table).get_item(DynamoType(key["pk"]), DynamoType(key["sk"]))
    return _size(found) if found is not None else 0


def partition_sizes(region: str, table: str, partition: str) -> list[int]:
    """Bytes of each item of a partition."""
    rows = _table(region, table).items.get(DynamoType({"S": partition}), {})
    return [_size(item) for item in rows.values()]


def table_sizes(region: str, table: str) -> list[int]:
    """Bytes of each item of a table."""
    return [_size(item) for item in _table(region, table).all_items()]


def _table(region: str, name: str) -> Any:
    return dynamodb_backends[ACCOUNT_ID][region].tables[name]


def _size(item: Any) -> int:
    return item_bytes({name: value.to_regular_json() for name, value in item.attrs.items()})
