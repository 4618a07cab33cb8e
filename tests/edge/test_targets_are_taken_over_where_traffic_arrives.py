"""The original leaves its target groups only when the replacement is really served by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spot_optimizer.aws import targets
from spot_optimizer.contracts import HandOverProgress, HandOverRequest
from spot_optimizer.services.hand_over import TARGET_DEADLINE, TargetsNotHealthy, hand_over

ORIGINAL, REPLACEMENT = "i-0000000000000000a", "i-0000000000000000b"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/0123456789abcdef"
STARTED = datetime(2026, 3, 2, tzinfo=UTC)


class _Aws:
    """Target health as it is told to say; no addresses."""

    def __init__(self) -> None:
        self.health: dict[str, tuple[str, str]] = {}

    def describe_target_health(self, **_asked: Any) -> dict[str, Any]:
        return {
            "TargetHealthDescriptions": [
                {
                    "Target": {"Id": instance_id, "Port": 80},
                    "TargetHealth": {"State": state, "Reason": reason},
                }
                for instance_id, (state, reason) in self.health.items()
            ]
        }

    def describe_addresses(self, **_asked: Any) -> dict[str, Any]:
        return {"Addresses": []}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> _Aws:
    fake = _Aws()
    monkeypatch.setattr(targets, "client", lambda _service: fake)
    return fake


def _shift(at: datetime = STARTED) -> HandOverProgress:
    return hand_over(
        HandOverRequest(
            action="shift",
            workload_id="web",
            switch_id="web-1",
            token="1",
            original_id=ORIGINAL,
            replacement_id=REPLACEMENT,
            execution_started_at=STARTED,
            groups=(GROUP,),
        ),
        at,
    )


def test_a_zone_that_the_load_balancer_has_not_enabled_is_no_place_to_go(aws: _Aws) -> None:
    """There the replacement stays ``unused``: the switch waits, and gives up at the deadline."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: ("unused", "Target.NotInUse")}
    assert not _shift().done
    with pytest.raises(TargetsNotHealthy, match=r"unused \(Target.NotInUse\)"):
        _shift(STARTED + TARGET_DEADLINE + timedelta(seconds=1))


def test_a_group_without_a_load_balancer_holds_nothing_up(aws: _Aws) -> None:
    """Where the original too is ``unused`` no traffic can be lost."""
    aws.health = {
        ORIGINAL: ("unused", "Target.NotInUse"),
        REPLACEMENT: ("unused", "Target.NotInUse"),
    }
    assert _shift().done


@pytest.mark.parametrize("state", ["initial", "unhealthy", "unhealthy.draining"])
def test_a_target_that_is_not_healthy_is_waited_for(aws: _Aws, state: str) -> None:
    """Each of the states without traffic keeps the original in service."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: (state, "Target.FailedHealthChecks")}
    assert not _shift().done


@pytest.mark.parametrize("state", ["healthy", "unavailable"])
def test_a_target_that_is_served_is_taken(aws: _Aws, state: str) -> None:
    """``unavailable`` is the state of a group whose health checks are off."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: (state, "")}
    progress = _shift()
    assert progress.done
    assert progress.moved == (GROUP,)
