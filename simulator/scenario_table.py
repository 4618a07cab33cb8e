"""The schema of scenario files as the tables of README.md."""

from collections.abc import Iterable

from pydantic.fields import FieldInfo

from simulator.faults.kinds import MEANINGS
from simulator.scenario_errors import event_tables, fields_of, key_of, keys_of
from simulator.scenario_schema import (
    ExpectedWorkloadTable,
    ExpectTable,
    FaultTable,
    RecordedFiles,
    ScenarioTable,
    Table,
    WorkloadTable,
)

_PLACES: tuple[tuple[str, type[Table]], ...] = (
    ("", ScenarioTable),
    ("market.", RecordedFiles),
    ("workloads[].", WorkloadTable),
    ("faults[].", FaultTable),
    ("expect.", ExpectTable),
    ("expect.workloads.*.", ExpectedWorkloadTable),
)


def schema_rows() -> list[str]:
    """A row for each key outside of ``events``: key, allowed, default, meaning."""
    return [row for prefix, table in _PLACES for row in _rows(prefix, fields_of(table))]


def event_rows() -> list[str]:
    """A row for each kind of event: its word, its keys but ``at`` and ``event``, what happens."""
    return [
        f"| `{word}` | {_keys(table)} | {table.shows} |" for word, table in event_tables().items()
    ]


def event_key_rows() -> list[str]:
    """A row for each key that events know."""
    fields = {n: f for t in event_tables().values() for n, f in fields_of(t) if n != "event"}
    return _rows("events[].", fields.items())


def fault_rows() -> list[str]:
    """A row for each kind of fault: its word, what happens."""
    return [f"| `{kind.value}` | {meaning} |" for kind, meaning in MEANINGS.items()]


def _keys(table: type[Table]) -> str:
    return ", ".join(f"`{key}`" for key in keys_of(table) if key not in ("at", "event"))


def _rows(prefix: str, fields: Iterable[tuple[str, FieldInfo]]) -> list[str]:
    rows = []
    for name, field in fields:
        key = key_of(field)
        assert key is not None, name
        rows.append(f"| `{prefix}{name}` | {key.allowed} | {_default(field)} | {key.meaning} |")
    return rows


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | str) and value != "" else "-"
