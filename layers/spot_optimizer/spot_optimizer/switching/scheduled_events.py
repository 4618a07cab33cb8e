"""Which of AWS's announcements end an instance, and when.

EC2 user guide, "Scheduled events for Amazon EC2 instances": a stop or a retirement stops an instance
whose root device is an EBS volume. A reboot of the instance or of its host, and maintenance of power or
network, leave the instance with its disks and addresses: it is back within minutes, and a switch would
interrupt it as long. They lead to no switch.
"""

from collections.abc import Iterable
from datetime import datetime

from spot_optimizer.decision.scheduled_stop import ScheduledStop
from spot_optimizer.switching.instance_record import Record

ENDING_CODES = ("instance-retirement", "instance-stop")
"""EC2 API reference, InstanceStatusEvent, code."""
_OVER = ("[Completed]", "[Canceled]")
"""EC2 API reference, InstanceStatusEvent, description: an event that is over is shown for a week."""
_ENDING_WORDS = ("RETIREMENT", "INSTANCE_STOP", "TERMINATION")
_ENTITY_IS_OVER = frozenset({"RESOLVED", "UNIMPAIRED"})


def next_stop(events: Iterable[Record], now: datetime) -> ScheduledStop | None:
    """The first stop or retirement among the ``Events`` of one instance (DescribeInstanceStatus).

    One without a date may come at any moment.
    """
    stops = [
        ScheduledStop(row.get("NotBefore") or now, str(row["Code"]))
        for row in events
        if row.get("Code") in ENDING_CODES
        and not str(row.get("Description") or "").startswith(_OVER)
    ]
    return min(stops, key=lambda stop: stop.at, default=None)


def ends_instances(event_type_code: str) -> bool:
    """Whether an AWS Health event of this type announces the end of its instances, such as
    ``AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED``."""
    return any(word in event_type_code for word in _ENDING_WORDS)


def is_over(status_code: str, entity_status: str) -> bool:
    """Whether an AWS Health event no longer concerns an instance (AWS Health API reference, Event,
    statusCode, and AffectedEntity, statusCode)."""
    return status_code == "closed" or entity_status in _ENTITY_IS_OVER
