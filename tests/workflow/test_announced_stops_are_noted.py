"""What AWS announces about an instance is on the ledger as long as it holds, and reported once."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from simulator.call_log import Fault
from simulator.stage import Stage
from tests.workflow.scenarios_of_failovers import ready_stage

RETIREMENT = "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED"
FORTNIGHT = timedelta(days=14)


@pytest.fixture
def ready() -> Iterator[tuple[Stage, dict[str, str]]]:
    """Two workloads, of which one is in manual mode: its switch stays a decision."""
    tags = {"spot-optimizer:mode": "manual"}
    with ready_stage("web", "api", launch={"tags": tags}) as (stage, originals):
        yield stage, originals


def _after_an_hour(stage: Stage) -> None:
    stage.account.clock.run_until(stage.account.clock.now() + timedelta(hours=1))
    stage.api.clear()
    stage.cycle()


def _health(stage: Stage, *instances: str, **detail: Any) -> dict[str, Any]:
    answer: dict[str, Any] = stage.account.invoke(
        "HandleSignal",
        {
            "id": "h",
            "source": "aws.health",
            "detail-type": "AWS Health Event",
            "time": stage.account.clock.now().isoformat(),
            "detail": {
                "service": "EC2",
                "eventTypeCode": RETIREMENT,
                "eventRegion": "us-east-1",
                "statusCode": "upcoming",
                "startTime": (stage.account.clock.now() + FORTNIGHT).isoformat(),
                "affectedEntities": [{"entityValue": each} for each in instances],
                **detail,
            },
        },
    )
    return answer


def test_announced_stops_are_read_hourly_and_reported_once(
    ready: tuple[Stage, dict[str, str]],
) -> None:
    """One call an hour for all instances; one alert with the date; what was canceled is forgotten."""
    stage, originals = ready
    stage.world.schedule_event(originals["web"], "instance-stop", FORTNIGHT, published=False)
    stage.world.schedule_event(originals["api"], "system-reboot", FORTNIGHT, published=False)
    stage.cycle()
    assert not stage.calls_of("DescribeInstanceStatus")
    assert "scheduled_stop" not in stage.workload("web")
    _after_an_hour(stage)
    assert len(stage.calls_of("DescribeInstanceStatus")) == 1
    noted = stage.workload("web")["scheduled_stop"]
    assert (noted["instance_id"], noted["code"]) == (originals["web"], "instance-stop")
    assert not stage.workload("api").get("scheduled_stop")
    (alerted,) = stage.calls_of("Publish")
    assert "2026-03-16T" in alerted.params["Message"]
    assert "manual mode" in alerted.params["Message"]
    _after_an_hour(stage)
    assert not stage.calls_of("Publish")
    stage.world.cancel_events(originals["web"])
    _after_an_hour(stage)
    assert "scheduled_stop" not in stage.workload("web")


def test_a_cycle_without_scheduled_events_decides_and_asks_again(
    ready: tuple[Stage, dict[str, str]],
) -> None:
    """EC2 does not answer: the cycle goes on, and the next one reads what this one could not."""
    stage, originals = ready
    stage.world.schedule_event(originals["web"], "instance-stop", FORTNIGHT, published=False)
    fault = Fault("DescribeInstanceStatus", code="UnauthorizedOperation", caller="Decide")
    stage.faults.append(fault)
    _after_an_hour(stage)
    assert fault.met
    assert stage.calls_of("PutObject")
    stage.faults.clear()
    stage.cycle()
    assert stage.workload("web")["scheduled_stop"]["code"] == "instance-stop"


def test_health_events_are_noted_for_every_instance_of_ours(
    ready: tuple[Stage, dict[str, str]],
) -> None:
    """Those of other regions and instances, and of what an instance survives, change no workload."""
    stage, originals = ready
    stranger = "i-0123456789abcdef0"
    assert _health(stage, originals["web"], eventRegion="us-west-2")["effect"] == "NONE"
    assert _health(stage, stranger)["effect"] == "NONE"
    reboot = _health(
        stage, originals["web"], eventTypeCode="AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED"
    )
    assert reboot["effect"] == "RECORDED"
    assert "scheduled_stop" not in stage.workload("web")
    assert _health(stage, stranger, *originals.values())["effect"] == "RECORDED"
    for name, instance_id in originals.items():
        noted = stage.workload(name)["scheduled_stop"]
        assert (noted["instance_id"], noted["code"]) == (instance_id, RETIREMENT)
    assert _health(stage, originals["web"], statusCode="closed")["effect"] == "RECORDED"
    assert "scheduled_stop" not in stage.workload("web")
    assert stage.workload("api")["scheduled_stop"]
