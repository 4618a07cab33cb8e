"""Inputs of schedules and sample events satisfy their function's contract."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.account.transform import target_input
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.command import CommandRequest
from spot_optimizer.contracts.decide import DecideRequest
from spot_optimizer.contracts.events import SignalRequest
from spot_optimizer.contracts.market import RefreshMarketRequest
from spot_optimizer.contracts.sweep import ScheduledSweep
from tests.house.repository import ROOT, resources

REQUESTS: dict[str, Any] = {
    "command": CommandRequest,
    "decide": DecideRequest,
    "handle_signal": SignalRequest,
    "refresh_market": RefreshMarketRequest,
    "sweep": ScheduledSweep,
}
"""Folder of a function -> contract of its input."""

SAMPLES = sorted((ROOT / "events").glob("*/*.json"))


def _schedules() -> list[Any]:
    return [
        pytest.param(Path(function["CodeUri"]).name, event["Properties"], id=f"{logical_id}-{name}")
        for logical_id, function in resources("AWS::Serverless::Function").items()
        for name, event in function.get("Events", {}).items()
        if event["Type"] in {"Schedule", "ScheduleV2"}
    ]


@pytest.mark.parametrize(("function", "schedule"), _schedules())
def test_schedule_input_is_accepted(function: str, schedule: dict[str, Any]) -> None:
    """A schedule with an invalid input would fail every few minutes without notice."""
    parse(REQUESTS[function], json.loads(schedule["Input"]))


@pytest.mark.parametrize("task", ["gaps", "prices", "reference"])
def test_every_market_task_is_scheduled(task: str) -> None:
    """Prices, price gaps and reference data are read on a schedule."""
    inputs = [
        json.loads(p.values[1]["Input"]) for p in _schedules() if "RefreshMarket" in str(p.id)
    ]
    assert {"task": task} in inputs


def test_event_that_a_rule_transforms_is_accepted() -> None:
    """The input transformer of a rule produces what its function's contract accepts."""
    rewriting = 0
    for function in resources("AWS::Serverless::Function").values():
        for event in function.get("Events", {}).values():
            transformer = event["Properties"].get("InputTransformer")
            if transformer is None:
                continue
            rewriting += 1
            target = {"InputTransformer": transformer}
            detail = {"object": {"key": "models/uploads/one/metadata.json"}, "requester": "me"}
            text = target_input(target, {"time": "", "detail": detail}, "arn:aws:events:::rule/r")
            parse(REQUESTS[Path(function["CodeUri"]).name], json.loads(text))
    assert rewriting


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_sample_event_is_accepted(path: Path) -> None:
    """A sample can be sent unchanged to the function that its folder is named after."""
    parse(REQUESTS[path.parent.name], json.loads(path.read_text(encoding="utf-8")))


def test_every_function_with_external_inputs_has_samples() -> None:
    """Each function that people or schedules invoke has a sample for each input."""
    assert {path.parent.name for path in SAMPLES} == set(REQUESTS)
