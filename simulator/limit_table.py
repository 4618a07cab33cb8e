"""The table of limits, row by row: for people, and changed by a scenario."""

from collections.abc import Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any, NamedTuple, cast

from simulator.limits import LIMITS, Bucket, Limits, Span

__all__ = ["Figure", "InvalidLimit", "allowed", "changed", "figures", "limit_rows", "shown"]


class InvalidLimit(ValueError):
    """A value that a figure cannot have; the text names figure, value and what is allowed."""


class Figure(NamedTuple):
    """One row of the table.

    lowest, highest: what each number of the value must lie within; None if it is fixed.
    """

    name: str
    value: Any
    meaning: str
    source: str
    lowest: float | None
    highest: float | None


def figures(limits: Limits = LIMITS) -> list[Figure]:
    """The rows of the table, in its order."""
    return [
        Figure(item.name, getattr(limits, item.name), **item.metadata) for item in fields(limits)
    ]


def changed(given: Mapping[str, object], limits: Limits = LIMITS) -> Limits:
    """The table with other figures.

    given: name -> a number, or two in a list where the figure is a bucket or a span.
    Raises InvalidLimit for an unknown or fixed name and for a value out of bounds.
    """
    rows = {row.name: row for row in figures(limits) if row.lowest is not None}
    values = {}
    for name, value in given.items():
        if name not in rows:
            raise InvalidLimit(f"{name!r}: allowed is one of {', '.join(sorted(rows))}")
        values[name] = _value(rows[name], value)
    return replace(limits, **values)


def _value(row: Figure, given: object) -> Any:
    numbers: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    kind = type(row.value)
    wanted = len(row.value) if isinstance(row.value, tuple) else 1
    whole = kind is int
    good = len(numbers) == wanted and all(_fits(row, number, whole) for number in numbers)
    if good and kind is Span:
        good = numbers[0] <= numbers[1]
    if good and kind is Bucket:
        good = numbers[0] >= 1  # or no request would ever pass
    if not good:
        raise InvalidLimit(f"{row.name} = {given!r}: allowed is {allowed(row)}")
    return kind(*numbers)


def _fits(row: Figure, number: object, whole: bool) -> bool:
    if type(number) is not int and (whole or type(number) is not float):
        return False
    value = cast(float, number)
    assert row.lowest is not None
    assert row.highest is not None
    return isfinite(value) and row.lowest <= value <= row.highest


def allowed(row: Figure) -> str:
    """What a scenario may set the figure to, in words."""
    if row.lowest is None:
        return "fixed"
    bounds = f"{row.lowest:g} to {row.highest:,g}"
    if isinstance(row.value, Bucket):
        return f"[capacity of 1 or more, refill a second], up to {row.highest:,g}"
    if isinstance(row.value, Span):
        return f"[least, most], each {bounds}"
    return f"a whole number, {bounds}" if isinstance(row.value, int) else bounds


def shown(row: Figure) -> str:
    """The value for people."""
    if isinstance(row.value, Bucket):
        return f"{row.value.capacity:g} and {row.value.refill_per_s:g} a second"
    if isinstance(row.value, Span):
        return f"{row.value.low_s:g} to {row.value.high_s:g} s"
    unit = " s" if row.name.endswith("_s") else ""
    return f"{row.value:,g}{unit}" if isinstance(row.value, float) else f"{row.value:,}{unit}"


def limit_rows() -> list[str]:
    """The rows of docs/world.md: name, value, what a scenario may set, meaning, source."""
    return [
        f"| `{row.name}` | {shown(row)} | {allowed(row)} | {row.meaning} | {row.source} |"
        for row in figures()
    ]
