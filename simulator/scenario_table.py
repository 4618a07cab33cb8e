"""The schema of scenario files as the tables of docs/scenarios.md."""

from collections.abc import Mapping

from pydantic.fields import FieldInfo

from simulator.expectations import Expectations, ExpectedWorkload
from simulator.faults.kinds import MEANINGS
from simulator.scenario import WorkloadSpec
from simulator.scenario_events import EVENTS
from simulator.scenario_faults import FaultTable
from simulator.scenario_fields import Table, allowed_in, keys_of
from simulator.scenario_schema import PlannedRun, RecordedFiles

_PLACES: tuple[tuple[str, type[Table]], ...] = (
    ("", PlannedRun),
    ("market.", RecordedFiles),
    ("workloads[].", WorkloadSpec),
    ("faults[].", FaultTable),
    ("expect.", Expectations),
    ("expect.workloads.*.", ExpectedWorkload),
)


def schema_rows() -> list[str]:
    """A row for each key outside of ``events``: key, allowed, default, meaning."""
    return [row for prefix, table in _PLACES for row in _rows(prefix, keys_of(table))]


def event_rows() -> list[str]:
    """A row for each kind of event: its word, its keys but ``at`` and ``event``, what happens."""
    return [
        f"| `{word}` | {_own_keys(table)} | {_sentence(table.__doc__)} |"
        for word, table in EVENTS.items()
    ]


def event_key_rows() -> list[str]:
    """A row for each key of events."""
    return _rows("events[].", {k: f for t in EVENTS.values() for k, f in keys_of(t).items()})


def fault_rows() -> list[str]:
    """A row for each kind of fault: its word, what happens."""
    return [f"| `{kind.value}` | {meaning} |" for kind, meaning in MEANINGS.items()]


def _own_keys(table: type[Table]) -> str:
    return ", ".join(f"`{key}`" for key in keys_of(table) if key not in ("at", "event"))


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).rstrip(".")


def _rows(prefix: str, fields: Mapping[str, FieldInfo]) -> list[str]:
    return [
        f"| `{prefix}{key}` | {allowed_in(field)} | {_default(field)} | {_sentence(field.description)} |"
        for key, field in fields.items()
        if key != "event"
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float | str) and value != "" else "-"
