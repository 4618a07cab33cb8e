"""What is wrong with a scenario file, in words."""

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from simulator.scenario_schema import Event, EventTable, Key, ScenarioTable, Table

_VALUE_CHARACTERS_MAX = 60
_OWN_SCHEMA = ("a manual request", "figure: value", "`spot-`", "service:Operation")


def lines_of(error: ValidationError) -> list[str]:
    """One line for each fault: key, value, what is allowed."""
    return [_line(fault) for fault in error.errors(include_url=False)]


def _line(fault: ErrorDetails) -> str:
    where, key, tables = _place(fault["loc"])
    value = _shortened(fault["input"])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(name for table in tables for name in keys_of(table))
        return f"{where}: unknown key; allowed are {known}"
    if fault["type"] == "union_tag_not_found":
        return f"{where}: the key event is missing; allowed is one of {', '.join(event_tables())}"
    if fault["type"] == "union_tag_invalid":
        given = _shortened(fault["input"]["event"])
        return f"{where}.event = {given}: allowed is one of {', '.join(event_tables())}"
    if key is None or fault["type"] in ("model_attributes_type", "model_type"):
        return f"{where or 'the file'} = {value}: a mapping of keys is needed"
    if fault["type"] == "missing":
        return f"{where} is missing; allowed is {key.allowed}"
    # These have a schema of their own, which says more than the row of this one.
    told = f" ({fault['ctx']['error']})" if key.allowed.startswith(_OWN_SCHEMA) else ""
    return f"{where} = {value}: allowed is {key.allowed}{told}"


def _place(loc: tuple[int | str, ...]) -> tuple[str, Key | None, list[type[Table]]]:
    """The path as people write it, the key that it ends at, and the tables in which it is looked up."""
    where, key, tables = "", None, _tables(ScenarioTable)
    kind: Any = ScenarioTable
    for part in loc:
        tables = _tables(kind)
        if isinstance(part, int):
            where += f"[{part}]"
            kind = _item(kind)
        elif part in (events := event_tables()) and set(tables) >= set(events.values()):
            kind = events[part]
            tables = [kind]
        elif tables:
            where += f".{part}" if where else part
            field = next((f for t in tables for n, f in fields_of(t) if n == part), None)
            key = key_of(field) if field else None
            kind = field.annotation if field else None
        else:
            where += f".{part}"
            kind = _item(kind)
    return where, key, tables


def fields_of(table: type[Table]) -> Iterator[tuple[str, FieldInfo]]:
    """Keys of a table, as the file writes them."""
    for name, field in table.model_fields.items():
        yield field.alias or name, field


def keys_of(table: type[Table]) -> list[str]:
    """Names of the keys of a table."""
    return [name for name, _ in fields_of(table)]


def key_of(field: FieldInfo) -> Key | None:
    """What people are told of a field."""
    return next((each for each in field.metadata if isinstance(each, Key)), None)


def _tables(kind: Any) -> list[type[Table]]:
    """The tables that a value of this kind may be."""
    if isinstance(kind, type) and issubclass(kind, Table):
        return [kind]
    if get_origin(kind) is Annotated:
        return _tables(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [table for each in get_args(kind) for table in _tables(each)]
    return []


def _item(kind: Any) -> Any:
    """The kind of an element of a list or of a value of a mapping."""
    if get_origin(kind) is Annotated:
        return _item(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return next((_item(each) for each in get_args(kind) if each is not NoneType), None)
    return get_args(kind)[-1] if get_origin(kind) in (list, dict) else None


def event_tables() -> dict[str, type[EventTable]]:
    """Word in ``event`` -> its table."""
    tables = [table for table in _tables(Event) if issubclass(table, EventTable)]
    return {get_args(t.model_fields["event"].annotation)[0]: t for t in tables}


def _shortened(value: object) -> str:
    try:
        text = json.dumps(value, default=str)
    except ValueError:  # it holds itself, by an anchor
        text = str(value)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[: _VALUE_CHARACTERS_MAX - 3]}..."
