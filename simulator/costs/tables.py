"""Sizes of stored items, read past the API: the cost of a call depends on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from simulator.costs.item_sizes import item_bytes

__all__ = ["Tables"]

TypedItem = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Tables:
    """The tables of an account."""

    account_id: str

    def stored_size(self, region: str, table: str, key: TypedItem) -> int:
        """Bytes of the item with this key, 0 if there is none. ``key`` may be a whole item."""
        found = self._table(region, table).get_item(DynamoType(key["pk"]), DynamoType(key["sk"]))
        return _size(found) if found is not None else 0

    def partition_sizes(self, region: str, table: str, partition: str) -> list[int]:
        """Bytes of each item of a partition."""
        rows = self._table(region, table).items.get(DynamoType({"S": partition}), {})
        return [_size(item) for item in rows.values()]

    def table_sizes(self, region: str, table: str) -> list[int]:
        """Bytes of each item of a table."""
        return [_size(item) for item in self._table(region, table).all_items()]

    def _table(self, region: str, name: str) -> Any:
        return dynamodb_backends[self.account_id][region].tables[name]


def _size(item: Any) -> int:
    return item_bytes({name: value.to_regular_json() for name, value in item.attrs.items()})
