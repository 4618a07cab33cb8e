"""Invalid requests change nothing and say what is allowed; valid ones are recorded."""

from typing import Any

import pytest

from simulator.account.account import FunctionFailed
from simulator.deployed import ZONES
from simulator.stage import Stage


@pytest.fixture
def managed(stage: Stage) -> Stage:
    """A stage with one workload, web, on m5.large spot."""
    stage.launch()
    stage.adopt()
    return stage


BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"command": "dance"}, "dance"),
    ({"command": "decide", "workload": "nobody"}, "'nobody' is unknown; known are web"),
    ({"command": "set-mode", "workload": "nobody", "mode": "off"}, "'nobody' is unknown"),
    (
        {"command": "set-mode", "workload": "web", "mode": "fast"},
        'mode = "fast": allowed is auto, manual, off',
    ),
    ({"command": "reset-breaker", "workload": "nobody"}, "'nobody' is unknown"),
    ({"command": "stop", "reason": "lunch"}, "reason"),
    (
        {"command": "set-threshold", "name": "cooldown", "value": 1},
        "unknown setting 'cooldown'; allowed are",
    ),
    (
        {"command": "set-threshold", "name": "cooldown_minutes", "value": 1441},
        "cooldown_minutes = '1441.0' is not a number from 0 to 1440",
    ),
    (
        {"command": "set-threshold", "name": "auto_terminate", "value": 7},
        "auto_terminate = '7.0' is not true or false",
    ),
    (
        {
            "command": "set-threshold",
            "name": "confirm_safe_minutes",
            "value": 5,
            "workload": "web",
        },
        "unknown setting 'confirm_safe_minutes'",
    ),
    (
        {"command": "set-threshold", "name": "over_memory_fraction", "value": 0.9},
        "over_memory_fraction = 0.9 must be below under_fraction = 0.8",
    ),
    (
        {"command": "decide", "workload": "web", "instance_type": "m5a.large"},
        "needs both instance_type and availability_zone",
    ),
    (
        {
            "command": "decide",
            "workload": "web",
            "instance_type": "m5a.large",
            "availability_zone": "use1-az1",
        },
        "availability_zone",
    ),
]


def test_invalid_requests_name_field_and_value_and_change_nothing(managed: Stage) -> None:
    """Each answer says what is wrong and what is allowed; the ledger is unchanged."""
    before = managed.items()
    for request, complaint in BAD_REQUESTS:
        with pytest.raises(FunctionFailed) as refused:
            managed.command(**request)
        assert refused.value.error_type == "InvalidRequest", request
        assert complaint in str(refused.value), request
    assert managed.items() == before


def test_request_without_asked_by_is_refused(managed: Stage) -> None:
    """Every request says who asked."""
    with pytest.raises(FunctionFailed, match="asked_by"):
        managed.account.invoke("Command", {"command": "stop"})


IMPOSSIBLE = {
    ("m5.large", ZONES[0], "spot"): "already runs on m5.large/us-east-1a spot",
    ("m5.nano", ZONES[1], "spot"): "m5.nano is not in the catalog",
    ("t3.micro", ZONES[1], "spot"): "t3.micro does not fit the home type m5.large: burstable",
    ("m6g.large", ZONES[1], "spot"): "m6g.large does not fit the home type",
    ("m5.xlarge", ZONES[1], "spot"): "no usable price",
}


def test_impossible_target_is_refused_with_its_reason(managed: Stage) -> None:
    """A forced switch that cannot work is a STAY with the reason, and starts nothing."""
    for place, complaint in IMPOSSIBLE.items():
        summary = managed.force("web", *place)
        (made,) = summary["made"]
        assert made["kind"] == "STAY"
        assert complaint in made["reason"]
        assert summary["started"] == {}


def test_refused_workload_cannot_be_forced(stage: Stage) -> None:
    """The answer repeats why it is not managed."""
    stage.launch(tags={"spot-optimizer:mode": "automatic"})
    stage.adopt()
    with pytest.raises(FunctionFailed, match=r"'web' is refused: .*automatic"):
        stage.force()


def test_every_request_is_recorded_with_who_asked(managed: Stage) -> None:
    """Commands for a workload are in its history, those for the stack in the stack's."""
    managed.command(command="set-mode", workload="web", mode="manual")
    managed.command(command="stop")
    (of_workload,) = managed.history("web", "COMMAND")
    (of_stack,) = [
        i for i in managed.items() if i["sk"].startswith("COMMAND#") and i["pk"] == "STACK"
    ]
    assert (of_workload["asked_by"], of_workload["mode"]) == ("ann", "manual")
    assert (of_stack["asked_by"], of_stack["command"]) == ("ann", "stop")


def test_threshold_of_a_workload_overrides_the_stacks(managed: Stage) -> None:
    """Null removes an override; the orders of the switches show the value."""
    name = {"command": "set-threshold", "name": "cooldown_minutes"}

    def cooldown_minutes(instance_type: str) -> float:
        managed.force(instance_type=instance_type)
        ordered: float = managed.finish().input["guard"]["cooldown_minutes"]
        return ordered

    managed.command(**name, value=20)
    assert cooldown_minutes("m5a.large") == 20
    managed.command(**name, value=30, workload="web")
    assert cooldown_minutes("m6i.large") == 30
    managed.command(**name, value=None, workload="web")
    managed.command(**name, value=None)
    assert cooldown_minutes("m5a.large") == 10
    assert managed.workload()["overrides"] == {}
    assert managed.item("STACK", "STATE")["overrides"] == {}


def test_dry_run_by_command_holds_a_forced_switch(managed: Stage) -> None:
    """A flag of the stack is set and removed by command."""
    managed.command(command="set-threshold", name="dry_run", value=True)
    (made,) = managed.force()["made"]
    assert "dry run" in made["held_by"]
    managed.command(command="set-threshold", name="dry_run", value=False)
    assert managed.force(instance_type="m6i.large")["started"]
