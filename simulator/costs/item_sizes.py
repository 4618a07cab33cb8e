"""Bytes and request units of items of DynamoDB.

Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats" and "DynamoDB read and
write operations" (4 KB a strongly consistent read unit, half for an eventually consistent one; 1 KB a
write unit, twice for a transactional one; a query is charged for all that it reads, whatever part
of it is returned; a write for the larger of the item before and after it, also where its
condition fails).
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

__all__ = ["STORAGE_OVERHEAD_BYTES", "item_bytes", "read_units", "write_units"]

STORAGE_OVERHEAD_BYTES = 100
"""Of each item, where storage is billed."""

_READ_BYTES, _WRITE_BYTES = 4096, 1024


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Size of an item in DynamoDB's own JSON: names and values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return len(inner.encode())
        case "N":
            return _number_bytes(inner)
        case "B":
            return len(inner)
        case "SS":
            return sum(len(each.encode()) for each in inner)
        case "NS":
            return sum(map(_number_bytes, inner))
        case "M":
            return 3 + sum(1 + len(k.encode()) + _value_bytes(v) for k, v in inner.items())
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in inner)
        case _:  # BOOL and NULL
            return 1


def _number_bytes(text: str) -> int:
    digits = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    return min(21, ceil(len(digits) / 2) + 1 + text.startswith("-"))


def read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Of one read of items of these sizes: a GetItem, or a page of a query."""
    blocks = max(1, ceil(sum(sizes) / _READ_BYTES))
    return blocks if consistent else blocks / 2


def write_units(before: int, after: int, *, transactional: bool = False) -> float:
    """Of one write; sizes in bytes, 0 if there is no item."""
    blocks = max(1, ceil(max(before, after) / _WRITE_BYTES))
    return blocks * (2 if transactional else 1)
