"""Events that EC2 schedules for instances: retirement, stop, reboot, maintenance.

EC2 user guide, "Scheduled events for Amazon EC2 instances": a stop or the retirement of an instance whose
root device is an EBS volume stops it at the scheduled time; a start moves it to another host. The other
events leave it running.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.world.events import InstanceEventScheduled
from simulator.world.instances import STOPPED_FOR_RETIREMENT, end_by_ec2
from simulator.world.model import Instance
from simulator.world.state import WorldState

HEALTH_TYPES = {
    "instance-retirement": "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
    "instance-stop": "AWS_EC2_INSTANCE_STOP_SCHEDULED",
    "instance-reboot": "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
    "system-reboot": "AWS_EC2_SYSTEM_REBOOT_MAINTENANCE_SCHEDULED",
    "system-maintenance": "AWS_EC2_INSTANCE_NETWORK_MAINTENANCE_SCHEDULED",
}
"""Code of an event (API_InstanceStatusEvent) -> eventTypeCode of the AWS Health event about it."""
STOPS = ("instance-retirement", "instance-stop")

_DESCRIPTIONS = {
    "instance-retirement": "The instance is running on degraded hardware",
    "instance-stop": "The instance is running on degraded hardware",
    "instance-reboot": "The instance is scheduled for a reboot",
    "system-reboot": "The instance's host is scheduled for a reboot",
    "system-maintenance": "The instance's host is scheduled for maintenance",
}
_SHOWN_AFTER = timedelta(days=7)
"""API_InstanceStatusEvent, Description: a completed event is described for up to a week."""


@dataclass
class ScheduledEvent:
    """An event of one instance. ``ended`` is ``[Completed]`` or ``[Canceled]`` once it is over."""

    event_id: str
    code: str
    not_before: datetime
    host_since: datetime
    """Launch time of the instance when it was scheduled: a start moves the instance to another host."""
    ended: str = ""
    ended_at: datetime | None = None

    def end(self, how: str, now: datetime) -> None:
        """Say that it is over, once."""
        if not self.ended:
            self.ended, self.ended_at = how, now


def schedule(
    state: WorldState, instance: Instance, code: str, not_before: datetime, *, published: bool
) -> None:
    """Schedule an event; ``published``: subscribers receive it, as AWS Health sends it."""
    event = ScheduledEvent(state.new_id("instance-event"), code, not_before, instance.launch_time)
    _events(state, instance).append(event)
    if published:
        state.publish(
            InstanceEventScheduled(state.now(), None, instance.instance_id, code, not_before)
        )
    state.at(not_before, lambda: _carry_out(state, instance, event))


def cancel(state: WorldState, instance: Instance) -> None:
    """Cancel all events of an instance that have not happened."""
    for event in _events(state, instance):
        event.end("[Canceled]", state.now())


def event_rows(state: WorldState, instance: Instance) -> list[dict[str, Any]]:
    """The events of an instance as DescribeInstanceStatus shows them."""
    now = state.now()
    rows = []
    for event in _events(state, instance):
        if instance.launch_time != event.host_since:
            event.end("[Completed]", now)
        if event.ended_at is not None and now >= event.ended_at + _SHOWN_AFTER:
            continue
        rows.append(
            {
                "InstanceEventId": event.event_id,
                "Code": event.code,
                "Description": f"{event.ended} {_DESCRIPTIONS[event.code]}".lstrip(),
                "NotBefore": event.not_before,
            }
        )
    return rows


def _carry_out(state: WorldState, instance: Instance, event: ScheduledEvent) -> None:
    if event.ended or instance.launch_time != event.host_since:
        return
    event.end("[Completed]", state.now())
    if event.code in STOPS:
        end_by_ec2(state, instance, "stop", STOPPED_FOR_RETIREMENT)


def _events(state: WorldState, instance: Instance) -> list[ScheduledEvent]:
    by_instance: dict[str, list[ScheduledEvent]] = state.caches.setdefault("scheduled", {})
    return by_instance.setdefault(instance.instance_id, [])
