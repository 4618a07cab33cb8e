"""What a schedule sends is what its function's contract accepts."""

import json
from typing import Any

import pytest

from spot_optimizer.contracts import DecideRequest, RefreshMarketRequest, parse
from tests.house.repository import resources

REQUESTS: dict[str, Any] = {"Decide": DecideRequest, "RefreshMarket": RefreshMarketRequest}


def _schedules() -> list[Any]:
    return [
        pytest.param(logical_id, event["Properties"], id=f"{logical_id}-{name}")
        for logical_id, function in resources("AWS::Serverless::Function").items()
        for name, event in function.get("Events", {}).items()
        if event["Type"] in {"Schedule", "ScheduleV2"}
    ]


@pytest.mark.parametrize(("function", "schedule"), _schedules())
def test_schedule_input_is_accepted(function: str, schedule: dict[str, Any]) -> None:
    """A schedule with an input that its function refuses would fail every few minutes, unseen."""
    parse(REQUESTS[function], json.loads(schedule["Input"]))


@pytest.mark.parametrize("task", ["prices", "reference"])
def test_every_market_task_is_scheduled(task: str) -> None:
    """Prices and reference data are both refreshed by the clock, not by hand."""
    events = resources("AWS::Serverless::Function")["RefreshMarket"]["Events"].values()
    assert {"task": task} in [json.loads(event["Properties"]["Input"]) for event in events]
