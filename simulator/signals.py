"""Events that EC2 sends for a world's instances: warnings, recommendations, state changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime

from simulator.account import EmbeddedAccount
from simulator.world import World
from simulator.world.events import (
    InstanceEventScheduled,
    InstanceStopped,
    InstanceStopping,
    InstanceTerminated,
    InstanceTerminating,
    InterruptionWarned,
    RebalanceRecommended,
    WorldEvent,
)
from simulator.world.scheduled_events import HEALTH_TYPES

_LOOKS = (timedelta(minutes=2), timedelta(minutes=4))
"""When to look again after a warning, so that the end of the instance is published in time."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event arrives: EventBridge delivers at least once, and for up to a day."""

    count: int = 1
    delay: timedelta = timedelta()


class Signals:
    """Puts the events of EC2 on the account's default bus as the world publishes them.

    Detail types and details: EC2 user guide, "Spot Instance interruption notices", "EC2 instance
    rebalance recommendations", "State change events".
    """

    def __init__(self, account: EmbeddedAccount, world: World) -> None:
        self._account, self._world = account, world
        self._delivery = Delivery()
        world.subscribe(self._on_event)

    @contextmanager
    def delivered(self, delivery: Delivery) -> Iterator[None]:
        """Events published within are delivered like this."""
        self._delivery = delivery
        try:
            yield
        finally:
            self._delivery = Delivery()

    def look_at_the_end(self) -> None:
        """Have the end of an interrupted instance published in time, with or without a warning."""
        for delay in _LOOKS:
            self._account.clock.call_later(delay, self._world.advance)

    def _on_event(self, event: WorldEvent) -> None:
        match event:
            case InterruptionWarned():
                detail = {"instance-action": event.action}
                self._emit("EC2 Spot Instance Interruption Warning", event.instance_id, detail)
                self.look_at_the_end()
            case RebalanceRecommended():
                self._emit("EC2 Instance Rebalance Recommendation", event.instance_id, {})
            case InstanceEventScheduled():
                self._health(event)
            case InstanceTerminating():
                self._account.clock.call_later(_LOOKS[0], self._world.advance)
                self._changed(event.instance_id, "shutting-down")
            case InstanceStopping():
                self._changed(event.instance_id, "stopping")
            case InstanceTerminated():
                self._changed(event.instance_id, "terminated")
            case InstanceStopped():
                self._changed(event.instance_id, "stopped")

    def _changed(self, instance_id: str, state: str) -> None:
        self._emit("EC2 Instance State-change Notification", instance_id, {"state": state})

    def _health(self, event: InstanceEventScheduled) -> None:
        """AWS Health user guide, "AWS Health events Amazon EventBridge schema". AWS sends every event
        to a second region as well, which no rule of this account is in."""
        region, code = self._account.region, HEALTH_TYPES[event.code]
        began = format_datetime(event.not_before, usegmt=True)
        self._account.emit(
            "aws.health",
            "AWS Health Event",
            {
                "eventArn": f"arn:aws:health:{region}::event/EC2/{code}/{event.instance_id}",
                "service": "EC2",
                "eventTypeCode": code,
                "eventTypeCategory": "scheduledChange",
                "eventScopeCode": "ACCOUNT_SPECIFIC",
                "eventRegion": region,
                "statusCode": "upcoming",
                "startTime": began,
                "endTime": began,
                "affectedAccount": self._account.account_id,
                "affectedEntities": [{"entityValue": event.instance_id, "status": "PENDING"}],
                "page": "1",
                "totalPages": "1",
            },
            [event.instance_id],
            deliveries=self._delivery.count,
            delay=self._delivery.delay,
        )

    def _emit(self, detail_type: str, instance_id: str, detail: dict[str, str]) -> None:
        place = f"{self._account.region}:{self._account.account_id}"
        arn = f"arn:aws:ec2:{place}:instance/{instance_id}"
        self._account.emit(
            "aws.ec2",
            detail_type,
            {"instance-id": instance_id, **detail},
            [arn],
            deliveries=self._delivery.count,
            delay=self._delivery.delay,
        )
