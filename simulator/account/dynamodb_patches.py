"""What moto 5.2.5's DynamoDB does over and over, done once; its answers stay the same.

An item that is stored is never changed any more: an update changes a copy that takes its place. So
a transaction keeps what it may have to restore without copying it, and whoever reads an item may
remember what it made of it (:func:`remembered`).
"""

import copy
import functools
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar

import moto.dynamodb.models as models
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

from simulator.account.modules import Replacements

__all__ = ["apply_dynamodb", "remembered"]

_SETS = frozenset({"SS", "NS", "BS"})
_ITEM_BYTES_MAX = 405_000
"""moto's own bound of an item's size."""
_Made = TypeVar("_Made")


def apply_dynamodb(replacements: Replacements) -> None:
    """Apply every patch of this module."""
    _copy_what_can_change(replacements)
    _compare_texts_at_once(replacements)
    _measure_an_item_once(replacements)
    _replace_what_is_updated(replacements)
    _parse_each_update_once(replacements)
    _serialize_attribute_values_at_once(replacements)


def remembered(item: Any, name: str, make: Callable[[Any], _Made]) -> _Made:
    """What ``make`` makes of a stored item, made once; ``name`` tells it from what others make."""
    notes: dict[str, Any] = vars(item).setdefault("remembered", {})
    if name not in notes:
        notes[name] = make(item)
    made: _Made = notes[name]
    return made


def _copy_what_can_change(replacements: Replacements) -> None:
    """Scalars are copied, and so is a value before each of its parts is copied again."""

    def copied(self: Any, _memo: Any = None) -> Any:
        kind, value = self.type, self.value
        if kind == "M":
            value = {key: copied(inner) for key, inner in value.items()}
        elif kind == "L":
            value = [copied(inner) for inner in value]
        elif kind in _SETS:
            value = list(value)
        else:
            return self
        return _dynamo_type(kind, value)

    def item_copied(self: Any, _memo: Any = None) -> Any:
        result = Item.__new__(Item)
        result.hash_key, result.range_key = self.hash_key, self.range_key
        result.attrs = LimitedSizeDict()
        for name, value in self.attrs.items():
            dict.__setitem__(result.attrs, name, copied(value))
        return result

    def to_regular_json(self: Any) -> dict[str, Any]:
        kind, value = self.type, self.value
        if kind == "M":
            value = {key: to_regular_json(inner) for key, inner in value.items()}
        elif kind == "L":
            value = [to_regular_json(inner) for inner in value]
        elif kind in _SETS:
            value = list(value)
        elif kind == "B" and isinstance(value, str):
            value = b64decode(value)
        return {kind: value}

    replacements.set(DynamoType, "__deepcopy__", copied)
    replacements.set(DynamoType, "to_regular_json", to_regular_json)
    replacements.set(Item, "__deepcopy__", item_copied)


def _dynamo_type(kind: str, value: Any) -> Any:
    made = DynamoType.__new__(DynamoType)
    made.type, made.value = kind, value
    return made


def _compare_texts_at_once(replacements: Replacements) -> None:
    """Every read of a partition sorts the whole table, with four comparisons of each key."""
    cast = vars(DynamoType)["cast_value"].fget

    def cast_value(self: Any) -> Any:
        if self.type == "S":
            return self.value
        return Decimal(self.value) if self.type == "N" else cast(self)

    def equal(self: Any, other: Any) -> bool:
        if self.type != other.type:
            return False
        if self.type == "S":
            return bool(self.value == other.value)
        return bool(cast_value(self) == cast_value(other))

    all_items = Table.all_items

    def sorted_items(self: Any) -> list[Any]:
        if not self.range_key_attr or self.range_key_type != "S" or self.hash_key_type != "S":
            found: list[Any] = all_items(self)
            return found
        items = [item for partition in self.items.values() for item in partition.values()]
        return sorted(items, key=lambda item: (item.hash_key.value, item.range_key.value))

    replacements.set(DynamoType, "cast_value", property(cast_value))
    replacements.set(DynamoType, "__eq__", equal)
    replacements.set(Table, "all_items", sorted_items)


def _measure_an_item_once(replacements: Replacements) -> None:
    """Each attribute that is set measures all those before it, each reader the whole item."""

    def make_item(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
        self.hash_key, self.range_key, self.attrs = hash_key, range_key, LimitedSizeDict()
        for name, value in attrs.items():
            dict.__setitem__(self.attrs, name, DynamoType(value))
        if measure(self) > _ITEM_BYTES_MAX:
            raise ItemSizeTooLarge

    measure = Item.size
    replacements.set(Item, "__init__", make_item)
    replacements.set(Item, "size", lambda item: remembered(item, "size", measure))


def _replace_what_is_updated(replacements: Replacements) -> None:
    """An update changes the stored item, and a transaction copies the table for each of its items."""
    update = models.DynamoDBBackend.update_item

    def update_item(
        self: Any, table_name: str, key: dict[str, Any], *rest: Any, **more: Any
    ) -> Any:
        table = self.get_table(table_name)
        stored = self.get_item(table_name, key)
        if stored is None:
            return update(self, table_name, key, *rest, **more)
        partition = table.items
        if table.range_key_attr:
            partition = partition[stored.hash_key]
        place = stored.range_key if table.range_key_attr else stored.hash_key
        partition[place] = copy.deepcopy(stored)
        try:
            return update(self, table_name, key, *rest, **more)
        except BaseException:
            partition[place] = stored
            raise

    transact = models.DynamoDBBackend.transact_write_items
    copies: dict[int, Any] = {}

    def transact_write_items(self: Any, items: list[dict[str, Any]]) -> None:
        # A copy for each of a hundred parts, all made before the first write: one will do.
        copies.clear()
        try:
            transact(self, items)
        finally:
            copies.clear()

    def kept(value: Any) -> Any:
        if not isinstance(value, Table) or value.stream_shard is not None:
            return copy.deepcopy(value)
        if id(value) not in copies:
            copies[id(value)] = kept_table(value)
        return copies[id(value)]

    def kept_table(value: Any) -> Any:
        table = copy.copy(value)
        table.items = defaultdict(dict)
        for key, partition in value.items.items():
            table.items[key] = dict(partition) if isinstance(partition, dict) else partition
        return table

    replacements.set(models.DynamoDBBackend, "update_item", update_item)
    replacements.set(models.DynamoDBBackend, "transact_write_items", transact_write_items)
    replacements.set(models, "copy", SimpleNamespace(deepcopy=kept))


_parsed_update = functools.lru_cache(maxsize=256)(UpdateExpressionParser.make)


def _parse_each_update_once(replacements: Replacements) -> None:
    """An update expression is parsed twice for each call; who changes the result copies it first."""
    replacements.set(UpdateExpressionParser, "make", staticmethod(_parsed_update))


def _serialize_attribute_values_at_once(replacements: Replacements) -> None:
    """The serializer looks for each of ten members of an attribute value under several names.

    An attribute value is a dict with one member, named by its type ("AttributeValue" in the DynamoDB
    API reference).
    """
    serialize = BaseJSONSerializer._serialize_type_structure

    def serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and key and type(value) is dict and len(value) == 1:
            serialized[self.get_serialized_name(shape, key)] = _attribute_json(value)
        else:
            serialize(self, serialized, value, shape, key)

    replacements.set(BaseJSONSerializer, "_serialize_type_structure", serialize_structure)


def _attribute_json(attribute: dict[str, Any]) -> dict[str, Any]:
    ((kind, value),) = attribute.items()
    if kind == "M":
        value = {name: _attribute_json(inner) for name, inner in value.items()}
    elif kind == "L":
        value = [_attribute_json(inner) for inner in value]
    elif kind == "B":
        value = _base64(value)
    elif kind == "BS":
        value = [_base64(inner) for inner in value]
    return {kind: value}


def _base64(value: str | bytes) -> str:
    return b64encode(value.encode() if isinstance(value, str) else value).decode()
