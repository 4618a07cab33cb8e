"""The original leaves its target groups only when requests reach the replacement."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError

from spot_optimizer.aws import instances
from spot_optimizer.aws import load_balancing as targets
from spot_optimizer.aws.clients import TryAgain
from spot_optimizer.contracts.steps import (
    FoundLoadBalancing,
    HandOverProgress,
    HandOverRequest,
)
from spot_optimizer.services.hand_over.errors import TargetsNotHealthy
from spot_optimizer.services.hand_over.sequence import hand_over
from spot_optimizer.services.hand_over.targets import TARGET_DEADLINE, UNSERVED_MAX

ORIGINAL, REPLACEMENT = "i-0000000000000000a", "i-0000000000000000b"
ADDRESSES = ("10.0.0.5", "2001:db8::5"), ("10.0.1.7", "2001:db8:1::7")
"""Of the original and of the replacement."""
GROUP = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/0123456789abcdef"
STARTED = datetime(2026, 3, 2, tzinfo=UTC)


class _Aws:
    """Target health as a test sets it; Elastic IP addresses that cannot be given to an ended instance."""

    def __init__(self) -> None:
        self.health: dict[str, tuple[str, str]] = {}
        self.addresses: list[dict[str, str]] = []
        self.registered: list[str] = []
        self.state: str | None = "running"
        """State of the replacement in DescribeInstances; None if it is not listed."""
        self.takes_targets = True

    def describe_instances(self, **_asked: Any) -> dict[str, Any]:
        row = {"InstanceId": REPLACEMENT, "State": {"Name": self.state}}
        return {"Reservations": [{"Instances": [row]}] if self.state else []}

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

    def register_targets(self, Targets: list[dict[str, Any]], **_asked: Any) -> None:  # noqa: N803
        assert all(target.keys() == {"Id", "Port"} for target in Targets)
        if not self.takes_targets:
            text = "The following targets are not in a running state and cannot be registered"
            raise ClientError(
                {"Error": {"Code": "InvalidTarget", "Message": text}}, "RegisterTargets"
            )
        self.registered += [target["Id"] for target in Targets]

    def describe_addresses(self, **_asked: Any) -> dict[str, Any]:
        return {"Addresses": self.addresses}

    def associate_address(self, **asked: Any) -> None:
        text = f"The terminated instance '{asked['InstanceId']}' is not in a valid state"
        raise ClientError(
            {"Error": {"Code": "InvalidInstanceID", "Message": text}}, "AssociateAddress"
        )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> _Aws:
    fake = _Aws()
    for module in (instances, targets):
        monkeypatch.setattr(module, "client", lambda _service: fake)
    return fake


def _shift(
    at: datetime = STARTED,
    *,
    has_addresses: bool = True,
    action: Literal["shift", "fail-over"] = "shift",
    known: FoundLoadBalancing | None = None,
) -> HandOverProgress:
    return hand_over(
        HandOverRequest(
            action=action,
            workload_id="web",
            switch_id="web-1",
            token="1",
            original_id=ORIGINAL,
            replacement_id=REPLACEMENT,
            load_balancing=known
            or FoundLoadBalancing(
                groups=(GROUP,),
                original_addresses=ADDRESSES[0],
                replacement_addresses=ADDRESSES[1] if has_addresses else ("",),
                found_at=STARTED,
            ),
        ),
        at,
    )


def test_a_zone_that_the_load_balancer_has_not_enabled_is_refused(aws: _Aws) -> None:
    """There the replacement stays ``unused``: a planned switch gives up a minute after that was seen."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: ("unused", "Target.NotInUse")}
    seen_at = STARTED + timedelta(minutes=4)
    first = _shift(seen_at)
    assert (first.done, first.wait_s) == (False, 15)
    later = _shift(seen_at + UNSERVED_MAX - timedelta(seconds=1), known=first.load_balancing)
    assert not later.done
    with pytest.raises(
        TargetsNotHealthy, match="does not serve the zone that the replacement is in"
    ):
        _shift(seen_at + UNSERVED_MAX, known=later.load_balancing)


def test_a_zone_that_is_served_after_a_moment_is_accepted(aws: _Aws) -> None:
    """The state right after a registration may change."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: ("unused", "Target.NotInUse")}
    first = _shift()
    aws.health[REPLACEMENT] = ("initial", "Elb.InitialHealthChecking")
    checked = _shift(STARTED + 2 * UNSERVED_MAX, known=first.load_balancing)
    assert not checked.done
    aws.health[REPLACEMENT] = ("healthy", "")
    assert _shift(STARTED + 3 * UNSERVED_MAX, known=checked.load_balancing).done


def test_a_failover_waits_for_its_zone_until_the_deadline(aws: _Aws) -> None:
    """Its replacement may be the only instance, and a user may enable the zone for it."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: ("unused", "Target.NotInUse")}
    first = _shift(action="fail-over")
    assert not _shift(
        STARTED + TARGET_DEADLINE, action="fail-over", known=first.load_balancing
    ).done
    with pytest.raises(TargetsNotHealthy, match=r"unused \(Target.NotInUse\)"):
        _shift(STARTED + TARGET_DEADLINE + timedelta(seconds=1), action="fail-over")


def test_hand_over_reads_the_action_of_older_definitions() -> None:
    """An execution that began on version 0.1.0 says ``rescue``."""
    request = HandOverRequest.model_validate(
        {
            "action": "rescue",
            "workload_id": "web",
            "switch_id": "web-1",
            "token": "1",
            "original_id": ORIGINAL,
            "replacement_id": REPLACEMENT,
        }
    )
    assert request.action == "fail-over"


def test_a_group_without_a_load_balancer_delays_nothing(aws: _Aws) -> None:
    """If the original is ``unused`` too, no request can be lost."""
    aws.health = {
        ORIGINAL: ("unused", "Target.NotInUse"),
        REPLACEMENT: ("unused", "Target.NotInUse"),
    }
    assert _shift().done


@pytest.mark.parametrize("state", ["initial", "unhealthy", "unhealthy.draining"])
def test_an_unhealthy_target_is_waited_for(aws: _Aws, state: str) -> None:
    """Each state without requests keeps the original in service."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: (state, "Target.FailedHealthChecks")}
    assert not _shift().done


@pytest.mark.parametrize("state", ["healthy", "unavailable"])
def test_a_target_that_gets_requests_is_accepted(aws: _Aws, state: str) -> None:
    """``unavailable`` is the state of a group whose health checks are off."""
    aws.health = {ORIGINAL: ("healthy", ""), REPLACEMENT: (state, "")}
    progress = _shift()
    assert progress.done
    assert progress.handed_over == (GROUP,)


@pytest.mark.parametrize(("original", "replacement"), list(zip(*ADDRESSES, strict=True)))
def test_an_address_is_replaced_by_one_of_its_kind(
    aws: _Aws, original: str, replacement: str
) -> None:
    """IPv4 by IPv4, IPv6 by IPv6; done when requests reach it."""
    aws.health = {original: ("healthy", "")}
    assert not _shift().done
    assert aws.registered == [replacement]
    aws.health[replacement] = ("healthy", "")
    assert _shift().done
    assert aws.registered == [replacement]


def test_an_address_that_drains_is_waited_for(aws: _Aws) -> None:
    """ELB accepts an address again only when it has drained; the wait is limited."""
    drains = ("draining", "Target.DeregistrationInProgress")
    aws.health = {ADDRESSES[0][0]: ("healthy", ""), ADDRESSES[1][0]: drains}
    assert not _shift().done
    assert not aws.registered
    with pytest.raises(TargetsNotHealthy, match="draining"):
        _shift(STARTED + TARGET_DEADLINE + timedelta(seconds=1))
    del aws.health[ADDRESSES[1][0]]
    assert not _shift().done
    assert aws.registered == [ADDRESSES[1][0]]


@pytest.mark.parametrize("original", ADDRESSES[0])
def test_a_replacement_without_such_an_address_is_refused(aws: _Aws, original: str) -> None:
    """It has ended, or its subnet has no IPv6 block: the switch is undone."""
    aws.health = {original: ("healthy", "")}
    with pytest.raises(TargetsNotHealthy, match="has no address"):
        _shift(has_addresses=False)


@pytest.mark.parametrize("state", ["shutting-down", "terminated", "stopping", "stopped"])
@pytest.mark.parametrize("what", ["address", "target"])
def test_a_replacement_that_ends_before_it_is_reached_is_reported(
    aws: _Aws, what: str, state: str
) -> None:
    """The error names the replacement that does not serve, not AWS's error; the switch is undone."""
    _refuse(aws, what)
    aws.state = state
    with pytest.raises(
        TargetsNotHealthy, match=rf"{REPLACEMENT} (is given no|cannot be registered)"
    ):
        _shift()


@pytest.mark.parametrize("state", [None, "pending", "running"])
@pytest.mark.parametrize("what", ["address", "target"])
def test_a_running_replacement_is_not_given_up_while_elb_does_not_know_it(
    aws: _Aws, what: str, state: str | None
) -> None:
    """EC2 and ELB report the same errors for an ended instance and one that they do not know yet."""
    _refuse(aws, what)
    aws.state = state
    with pytest.raises(TryAgain, match=REPLACEMENT):
        _shift()


def _refuse(aws: _Aws, what: str) -> None:
    aws.health = {ORIGINAL: ("healthy", "")}
    aws.takes_targets = what != "target"
    if what == "address":
        aws.health[REPLACEMENT] = ("healthy", "")
        aws.addresses = [{"AllocationId": "eipalloc-1", "InstanceId": ORIGINAL}]
