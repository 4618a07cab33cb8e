"""Which of EC2's and AWS Health's announcements end an instance."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.events import HealthEvent, InterruptionWarning, Signal, SignalRequest
from spot_optimizer.decision.scheduled_stop import ScheduledStop
from spot_optimizer.switching.scheduled_events import ends_instances, is_over, next_stop

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=14)


def _row(code: str, at: datetime | None = LATER, description: str = "degraded") -> dict[str, Any]:
    return {"Code": code, "Description": description, **({"NotBefore": at} if at else {})}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([_row("instance-retirement")], ScheduledStop(LATER, "instance-retirement")),
        (
            [_row("instance-retirement"), _row("instance-stop", SOON)],
            ScheduledStop(SOON, "instance-stop"),
        ),
        ([_row("instance-reboot"), _row("system-reboot"), _row("system-maintenance")], None),
        ([_row("instance-stop", description="[Completed] degraded")], None),
        ([_row("instance-stop", description="[Canceled] degraded")], None),
        ([_row("instance-stop", None)], ScheduledStop(NOW, "instance-stop")),
        ([{"Code": "instance-stop", "NotBefore": SOON}], ScheduledStop(SOON, "instance-stop")),
        ([_row("something-new"), {}], None),
    ],
)
def test_only_a_stop_or_retirement_that_is_due_counts(
    rows: list[dict[str, Any]], expected: ScheduledStop | None
) -> None:
    """The first of them; without a date it may come at any moment."""
    assert next_stop(rows, NOW) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", True),
        ("AWS_EC2_INSTANCE_RETIREMENT_EXPEDITED", True),
        ("AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED", True),
        ("AWS_EC2_INSTANCE_STOP_SCHEDULED", True),
        ("AWS_EC2_INSTANCE_TERMINATION_SCHEDULED", True),
        ("AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED", False),
        ("AWS_EC2_INSTANCE_REBOOT_FLEXIBLE_MAINTENANCE_SCHEDULED", False),
        ("AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED", False),
        ("AWS_EC2_INSTANCE_NETWORK_MAINTENANCE_SCHEDULED", False),
        ("AWS_EC2_PERSISTENT_INSTANCE_POWER_MAINTENANCE_SCHEDULED", False),
        ("AWS_EC2_OPERATIONAL_NOTIFICATION", False),
    ],
)
def test_health_events_that_end_instances_are_known_by_their_type(
    code: str, expected: bool
) -> None:
    """An instance survives reboots and maintenance."""
    assert ends_instances(code) is expected


@pytest.mark.parametrize(
    ("status", "entity", "expected"),
    [
        ("upcoming", "PENDING", False),
        ("open", "IMPAIRED", False),
        ("", "", False),
        ("closed", "PENDING", True),
        ("upcoming", "RESOLVED", True),
    ],
)
def test_health_events_are_over_when_aws_says_so(status: str, entity: str, expected: bool) -> None:
    """Closed as a whole, or resolved for the instance."""
    assert is_over(status, entity) is expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Mon, 16 Mar 2026 12:00:00 GMT", datetime(2026, 3, 16, 12, tzinfo=UTC)),
        ("2026-03-16T12:00:00Z", datetime(2026, 3, 16, 12, tzinfo=UTC)),
        ("2026-03-16T12:00:00", datetime(2026, 3, 16, 12, tzinfo=UTC)),
        ("soon", None),
        (7, None),
        (None, None),
    ],
)
def test_dates_of_health_events_are_read(written: object, read: datetime | None) -> None:
    """An unreadable date does not refuse the event."""
    event: Signal | HealthEvent = parse(SignalRequest, _health({"startTime": written}))
    assert isinstance(event, HealthEvent)
    assert event.detail.start_time == read


def test_a_health_event_needs_no_more_than_its_type() -> None:
    """Region, status, date and instances may be missing."""
    event: Signal | HealthEvent = parse(SignalRequest, _health({}))
    assert isinstance(event, HealthEvent)
    assert event.detail.affected_entities == ()


@pytest.mark.parametrize("action", [None, "explode", "", 7, ["stop"], {"stop": 1}])
def test_an_interruption_of_an_unknown_kind_counts_as_terminate(action: object) -> None:
    """Missing, new, or not even text: the workload must not go without its failover."""
    detail = {"instance-id": "i-0123456789abcdef0", "instance-action": action}
    for given in (detail, {"instance-id": "i-0123456789abcdef0"}):
        warning: Signal | HealthEvent = parse(
            SignalRequest,
            {
                "id": "x",
                "source": "aws.ec2",
                "detail-type": "EC2 Spot Instance Interruption Warning",
                "time": NOW.isoformat(),
                "detail": given,
            },
        )
        assert isinstance(warning, InterruptionWarning)
        assert (warning.detail.action, warning.detail.is_known) == ("terminate", False)


def _health(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "x",
        "source": "aws.health",
        "detail-type": "AWS Health Event",
        "time": NOW.isoformat(),
        "detail": {"service": "EC2", "eventTypeCode": "AWS_EC2_INSTANCE_STOP_SCHEDULED", **detail},
    }
