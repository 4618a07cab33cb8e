"""Between Python values and DynamoDB's attribute values."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_to, _from = TypeSerializer(), TypeDeserializer()


def instant(when: datetime) -> str:
    """A time as text of fixed width, so that comparing text compares times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def wire_value(value: Any) -> dict[str, Any]:
    """One value as attribute value; floats become decimals, times text."""
    return dict(_to.serialize(_plain(value)))


def to_wire(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as attribute values; attributes that are None are left out."""
    return {name: wire_value(value) for name, value in item.items() if value is not None}


def from_wire(item: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute values as plain values; whole numbers become int, others float."""
    return {name: _unplain(_from.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return Decimal(repr(float(value)))  # numpy's floats have a repr of their own
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _unplain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _unplain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unplain(inner) for inner in value]
    return value
