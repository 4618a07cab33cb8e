"""Today's code reads all that version 0.1.0 has written, and writes what version 0.1.0 reads."""

import json
from collections.abc import Callable, Iterator
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
from spot_optimizer.decision.kept_inputs import inputs_from_bytes, inputs_to_bytes
from spot_optimizer.forecast.daily_lessons import Lessons
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.score_history import ScoreHistory
from spot_optimizer.market.advisor_copy import AdvisorCopy
from spot_optimizer.market.catalog_file import catalog_from_bytes, catalog_to_bytes
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.snapshot_file import snapshot_from_bytes, snapshot_to_bytes
from spot_optimizer.usage.usage_book import UsageBook
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


@pytest.mark.parametrize("machine", ["SwitchInstance", "FailOver"])
def test_old_execution_inputs_are_written_as_they_were(machine: str) -> None:
    """The old state machine and its pinned functions, which forbid unknown fields, read them."""
    for text in fixtures.executions()[machine]:
        _assert_same_to_old(text, *_order_of(text))


@pytest.mark.parametrize("function", REQUESTS)
def test_old_requests_are_understood_and_written_as_they_were(function: str) -> None:
    """Requests of the old definitions, schedules and users."""
    rows = fixtures.steps()[function]
    assert rows
    for row in rows:
        _assert_same_to_old(row["request"], *REQUESTS[function])


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


OBJECTS: dict[str, tuple[Read, Write, str]] = {
    "decisions/": (bytes, bytes, ""),
    "receipts/": (bytes, bytes, ""),
    "market/prices.npz": (PriceBook.from_bytes, PriceBook.to_bytes, "market.price_book:PriceBook"),
    "history/reported/": (PriceBook.from_bytes, PriceBook.to_bytes, "market.price_book:PriceBook"),
    "history/imported/": (PriceBook.from_bytes, PriceBook.to_bytes, "market.price_book:PriceBook"),
    "market/safety.npz": (
        SafetyHistory.from_bytes,
        SafetyHistory.to_bytes,
        "forecast.safety_history:SafetyHistory",
    ),
    "market/trial-safety.npz": (
        SafetyHistory.from_bytes,
        SafetyHistory.to_bytes,
        "forecast.safety_history:SafetyHistory",
    ),
    "market/scores.json.gz": (
        ScoreHistory.from_bytes,
        ScoreHistory.to_bytes,
        "forecast.score_book:ScoreBook",
    ),
    "market/advisor.json.gz": (
        AdvisorCopy.from_bytes,
        AdvisorCopy.to_bytes,
        "market.advisor_copy:AdvisorCopy",
    ),
    "market/lessons/": (Lessons.from_bytes, Lessons.to_bytes, "forecast.recalibration:Lessons"),
    "forecasts/": (
        IssuedForecasts.from_bytes,
        IssuedForecasts.to_bytes,
        "forecast.foretold:Foretold",
    ),
    "usage/usage.json.gz": (UsageBook.from_bytes, UsageBook.to_bytes, "usage.usage_book:UsageBook"),
    "market/snapshot.npz": (
        snapshot_from_bytes,
        snapshot_to_bytes,
        "market.snapshot_file:snapshot",
    ),
    "market/trial.npz": (snapshot_from_bytes, snapshot_to_bytes, "market.snapshot_file:snapshot"),
    "inputs/snapshots/": (snapshot_from_bytes, snapshot_to_bytes, "market.snapshot_file:snapshot"),
    "market/catalog.json.gz": (catalog_from_bytes, catalog_to_bytes, "market.catalog_file:catalog"),
    "inputs/catalogs/": (catalog_from_bytes, catalog_to_bytes, "market.catalog_file:catalog"),
    "inputs/cycles/": (
        inputs_from_bytes,
        lambda kept: _inputs_again(inputs_to_bytes, kept),
        "decision.inputs:inputs",
    ),
}
"""Beginning of a key -> how today's code reads and writes the object, and its class or the beginning
of its functions' names in version 0.1.0."""

ELSEWHERE = (
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


@pytest.mark.parametrize("prefix", [name for name, row in OBJECTS.items() if row[2]])
def test_object_survives_a_round_trip_through_todays_code(prefix: str) -> None:
    """What today's code reads and writes is to version 0.1.0 byte for byte what it was."""
    read, write, old_name = OBJECTS[prefix]
    old_read, old_write = _old_functions(old_name)
    bodies = [body for key, body in fixtures.objects().items() if key.startswith(prefix)]
    assert bodies
    for body in bodies:
        assert old_write(old_read(write(read(body)))) == old_write(old_read(body))


def _old_functions(name: str) -> tuple[Read, Write]:
    module_name, _, attribute = name.partition(":")
    module = old_version().module(module_name)
    if hasattr(module, attribute):
        kind = getattr(module, attribute)
        return kind.from_bytes, kind.to_bytes
    read, write = (
        getattr(module, f"{attribute}_from_bytes"),
        getattr(module, f"{attribute}_to_bytes"),
    )
    return read, (lambda kept: _inputs_again(write, kept)) if attribute == "inputs" else write
