"""Today's code reads all that version 0.1.0 has written, and writes what version 0.1.0 reads."""

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from spot_optimizer.aws.ledger import items, models
from spot_optimizer.aws.ledger.codec import from_wire, to_wire
from spot_optimizer.contracts import announcements, steps, switch
from spot_optimizer.contracts.command import CommandRequest
from spot_optimizer.contracts.decide import DecideRequest
from spot_optimizer.contracts.events import SignalRequest
from spot_optimizer.contracts.market import RefreshMarketRequest
from spot_optimizer.contracts.sweep import ScheduledSweep
from tests.compatibility import fixtures
from tests.compatibility.old_version import old_version

Row = dict[str, Any]

# --- the ledger ------------------------------------------------------------------------------------

ITEMS: dict[str, tuple[str, type[items.Item], str]] = {
    "workload": ("WORKLOADS/", items.WorkloadItem, "aws.ledger.items:WorkloadItem"),
    "plan": ("PLANS/", items.PlanItem, "aws.ledger.items:PlanItem"),
    "stack": ("STACK/STATE", items.StackItem, "aws.ledger.items:StackItem"),
    "switch": ("WORKLOAD#/SWITCH#", items.SwitchItem, "aws.ledger.items:SwitchItem"),
    "pointer": ("INSTANCE#/POINTER", items.PointerItem, "aws.ledger.items:PointerItem"),
    "signal": ("WORKLOAD#/SIGNAL#", items.SignalItem, "aws.ledger.items:SignalItem"),
    "pool signal": ("POOL#/SIGNAL#", items.SignalItem, "aws.ledger.items:SignalItem"),
    "pool event": ("POOLS/", items.PoolEventItem, "aws.ledger.items:PoolEventItem"),
    "registry": ("MODELS/REGISTRY", models.RegistryItem, "aws.ledger.models:RegistryItem"),
    "model": ("MODELS/MODEL#", models.ModelItem, "aws.ledger.models:ModelItem"),
}
"""Kind of item -> beginning of its keys, its class, and its class in version 0.1.0."""

WITHOUT_A_CLASS = ("DECISION#", "COMMAND#", "CHANGE#", "LEASE#")
"""Sort keys of items that are written as they are; ``test_versions_take_turns.py`` compares them."""


def _rows(kind: str) -> list[Row]:
    pk, sk = ITEMS[kind][0].split("/")
    return [
        from_wire(row)
        for moment in fixtures.ledger().values()
        for row in moment
        if _begins(row["pk"]["S"], pk) and row["sk"]["S"].startswith(sk)
    ]


def _begins(text: str, beginning: str) -> bool:
    return text.startswith(beginning) if beginning.endswith("#") else text == beginning


def test_every_item_of_the_old_ledger_is_of_a_known_kind() -> None:
    """No item of the fixtures escapes these tests."""
    known = {json.dumps(row, sort_keys=True) for kind in ITEMS for row in _rows(kind)}
    for moment in fixtures.ledger().values():
        for row in map(from_wire, moment):
            if row["pk"] != "FORECASTS" and not row["sk"].startswith(WITHOUT_A_CLASS):
                assert json.dumps(row, sort_keys=True) in known, (row["pk"], row["sk"])


@pytest.mark.parametrize("kind", ITEMS)
def test_item_survives_a_round_trip_through_todays_code(kind: str) -> None:
    """Read and written whole by today's code, an item is to version 0.1.0 what it was before, also if
    any one of its attributes is missing."""
    _, new, old_name = ITEMS[kind]
    old = _old_class(old_name)
    rows = [partial for row in _rows(kind) for partial in _with_one_left_out(row)]
    assert rows
    for row in rows:
        try:
            before = old.read(row)
        except ValidationError:
            with pytest.raises(ValidationError):
                new.read(row)
            continue
        written = from_wire(to_wire(new.read(row).model_dump()))
        assert old.read(written) == before


@pytest.mark.parametrize("kind", ITEMS)
def test_attributes_of_old_items_are_written_under_their_old_names(kind: str) -> None:
    """No attribute of version 0.1.0 disappears when today's code writes the item."""
    _, new, old_name = ITEMS[kind]
    known = set(_old_class(old_name).model_fields)
    for row in _rows(kind):
        assert row.keys() & known <= set(to_wire(new.read(row).model_dump()))


def _old_class(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(old_version().module(module), attribute)


def _with_one_left_out(row: Row) -> Iterator[Row]:
    yield row
    for name in row:
        yield {key: value for key, value in row.items() if key != name}


# --- inputs of executions, requests --------------------------------------------------------------


REQUESTS: dict[str, tuple[Any, str]] = {
    "Command": (CommandRequest, "CommandRequest"),
    "Decide": (DecideRequest, "DecideRequest"),
    "HandleSignal": (SignalRequest, "SignalRequest"),
    "RefreshMarket": (RefreshMarketRequest, "RefreshMarketRequest"),
    "Sweep": (ScheduledSweep, "ScheduledSweep"),
    "UpdateLedger": (steps.UpdateLedgerRequest, "UpdateLedgerRequest"),
    "LaunchReplacement": (steps.LaunchRequest, "LaunchRequest"),
    "InspectReplacement": (steps.InspectRequest, "InspectRequest"),
    "HandOver": (steps.HandOverRequest, "HandOverRequest"),
}
"""Function -> its request, and that in version 0.1.0."""


def _order_of(text: Any) -> tuple[Any, str]:
    return (
        (switch.ResumeOrder, "ResumeOrder")
        if "resume" in text
        else (switch.SwitchOrder, "SwitchOrder")
    )


@pytest.mark.parametrize("state_machine", ["SwitchInstance", "FailOver"])
def test_old_execution_inputs_are_written_as_they_were(state_machine: str) -> None:
    """The old state machine and its pinned functions, which forbid unknown fields, read them."""
    for text in fixtures.executions()[state_machine]:
        _assert_same_to_old(text, *_order_of(text))


@pytest.mark.parametrize("function", REQUESTS)
def test_old_requests_are_understood_and_written_as_they_were(function: str) -> None:
    """Requests of the old definitions, schedules and users."""
    rows = fixtures.steps()[function]
    assert rows
    for row in rows:
        if function != "HandOver":
            _assert_same_to_old(row["request"], *REQUESTS[function])


def test_old_hand_overs_are_understood() -> None:
    """A definition calls the version of HandOver that it was published with, so only today's reading of
    the old action ``rescue`` counts, for whoever invokes it by hand."""
    for row in fixtures.steps()["HandOver"]:
        asked = row["request"]["action"]
        read = steps.HandOverRequest.model_validate(row["request"])
        assert read.action == {"rescue": "fail-over"}.get(asked, asked)


def _assert_same_to_old(payload: Any, new: Any, old_name: str) -> None:
    contracts = old_version().module("contracts")
    old = getattr(contracts, old_name)
    adapter: TypeAdapter[Any] = TypeAdapter(new)
    written = adapter.dump_python(adapter.validate_python(payload), mode="json", by_alias=True)
    assert contracts.parse(old, written) == contracts.parse(old, payload)


LEDGER_ANSWERS: dict[str, Any] = {
    "claim": steps.Claim,
    "take-over": steps.TakenOver,
    "refuse": steps.NextAttempt,
    "commit": steps.Committed,
    "abandon": steps.Abandoned,
    "succeed": steps.Outcome,
    "fail": steps.Outcome,
}
ANSWERS: dict[str, Any] = {
    "LaunchReplacement": steps.Replacement,
    "InspectReplacement": steps.Inspection,
    "HandOver": steps.HandOverProgress,
}


@pytest.mark.parametrize("function", ["UpdateLedger", *ANSWERS])
def test_answers_of_steps_keep_the_names_that_state_machines_select(function: str) -> None:
    """An old definition that still runs selects from an answer by the names of version 0.1.0."""
    for row in fixtures.steps()[function]:
        answer = ANSWERS.get(function) or LEDGER_ANSWERS[row["request"]["action"]]
        assert answer.model_validate(row["answer"]).model_dump(mode="json") == row["answer"]


EVENTS: dict[str, Any] = {
    "Spot Optimizer Decision": announcements.DecisionMade,
    "Spot Optimizer Switch": announcements.SwitchEnded,
    "Spot Optimizer Model": announcements.ModelChanged,
    "Spot Optimizer Forecast": announcements.ForecastJudged,
}


def test_events_of_today_have_every_field_of_the_old_ones() -> None:
    """A rule or a script of a user that listens to version 0.1.0 goes on working."""
    assert set(fixtures.events()) == set(EVENTS)
    for detail_type, details in fixtures.events().items():
        schema = EVENTS[detail_type].model_json_schema(mode="serialization", by_alias=True)
        for detail in details:
            assert detail.keys() <= schema["properties"].keys()


# --- the data bucket -----------------------------------------------------------------------------

Read = Callable[[bytes], Any]
Write = Callable[[Any], bytes]


def _inputs_again(module: Any, kept: Any) -> bytes:
    body: bytes = module(
        kept.world,
        kept.at,
        kept.region,
        market_id=kept.market_id,
        catalog_id=kept.catalog_id,
        layers=kept.layers,
        trial=kept.trial,
    )
    return body


OBJECTS: dict[str, tuple[str, str]] = {
    "market/prices.npz": ("market.price_book", "market.price_book"),
    "history/reported/": ("market.price_book", "market.price_book"),
    "history/imported/": ("market.price_book", "market.price_book"),
    "market/safety.npz": ("forecast.safety_history", "forecast.safety_history"),
    "market/trial-safety.npz": ("forecast.safety_history", "forecast.safety_history"),
    "market/scores.json.gz": ("forecast.score_history", "forecast.score_book"),
    "market/advisor.json.gz": ("market.advisor_copy", "market.advisor_copy"),
    "market/lessons/": ("forecast.daily_lessons", "forecast.recalibration"),
    "forecasts/": ("forecast.issued_forecasts", "forecast.foretold"),
    "usage/usage.json.gz": ("usage.usage_book", "usage.usage_book"),
    "market/snapshot.npz": ("market.snapshot_file", "market.snapshot_file"),
    "market/trial.npz": ("market.snapshot_file", "market.snapshot_file"),
    "inputs/snapshots/": ("market.snapshot_file", "market.snapshot_file"),
    "market/catalog.json.gz": ("market.catalog_file", "market.catalog_file"),
    "inputs/catalogs/": ("market.catalog_file", "market.catalog_file"),
    "inputs/cycles/": ("decision.kept_inputs", "decision.inputs"),
}
"""Beginning of a key -> the module that reads and writes the object, today and in version 0.1.0."""

ELSEWHERE = (
    *("decisions/", "receipts/"),
    "usage/memory-metrics.json",
    "usage/throughput.json",
    "history/imports.json",
    "models/",
    "import/",
)
"""Objects that the code reads and writes within a larger step: ``test_versions_take_turns.py``."""


def test_every_object_of_the_old_bucket_is_of_a_known_kind() -> None:
    """No object of the fixtures escapes these tests."""
    for key in fixtures.objects():
        assert key.startswith((*OBJECTS, *ELSEWHERE)), key


@pytest.mark.parametrize("prefix", OBJECTS)
def test_object_survives_a_round_trip_through_todays_code(prefix: str) -> None:
    """What today's code reads and writes is to version 0.1.0 byte for byte what it was, but for a column
    that it demands and never uses."""
    new_name, old_name = OBJECTS[prefix]
    read, write = _codec(importlib.import_module(f"spot_optimizer.{new_name}"))
    old_read, old_write = _codec(old_version().module(old_name))
    bodies = [body for key, body in fixtures.objects().items() if key.startswith(prefix)]
    assert bodies
    for body in bodies:
        before, after = old_read(body), old_read(write(read(body)))
        assert old_write(_as_used(after)) == old_write(_as_used(before))


def _as_used(stored: Any) -> Any:
    """An object of version 0.1.0 without the values that its code never looks at."""
    if hasattr(stored, "volatility_24h"):
        return replace(stored, volatility_24h=stored.price)
    return stored


def _codec(module: Any) -> tuple[Read, Write]:
    """``from_bytes`` and ``to_bytes`` of the module's class, or its functions whose names end so."""
    name, values = module.__name__, vars(module).values()
    own = [value for value in values if getattr(value, "__module__", "") == name]
    for value in own:
        if isinstance(value, type) and hasattr(value, "from_bytes") and hasattr(value, "to_bytes"):
            return value.from_bytes, value.to_bytes
    (read,) = (value for value in own if value.__name__.endswith("_from_bytes"))
    (write,) = (value for value in own if value.__name__.endswith("_to_bytes"))
    return read, (lambda kept: _inputs_again(write, kept)) if "inputs" in write.__name__ else write
