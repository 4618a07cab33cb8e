"""What happened in the world, for subscribers: frozen facts with a virtual time and a caller."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class WorldEvent:
    """Base of all events.

    time: virtual time (UTC) at which it took effect, which may lie a little before the moment of
    publication. caller: whoever made the AWS call (as passed to World.handle), None when the
    world did it by itself or a scenario asked for it.
    """

    time: datetime
    caller: object


@dataclass(frozen=True)
class InstanceEvent(WorldEvent):
    """Something happened to an instance."""

    instance_id: str


@dataclass(frozen=True)
class InstanceLaunched(InstanceEvent):
    """A launch was accepted; the instance is pending."""

    instance_type: str
    availability_zone: str
    lifecycle: str


@dataclass(frozen=True)
class InstanceRunning(InstanceEvent):
    """The instance reached running."""


@dataclass(frozen=True)
class InstanceStopping(InstanceEvent):
    """A stop was accepted."""


@dataclass(frozen=True)
class InstanceStopped(InstanceEvent):
    """The instance reached stopped."""


@dataclass(frozen=True)
class InstanceTerminating(InstanceEvent):
    """A termination was accepted; the instance is shutting down and cannot be saved."""


@dataclass(frozen=True)
class InstanceTerminated(InstanceEvent):
    """The instance is gone; caller is who asked for its termination."""


@dataclass(frozen=True)
class InterruptionWarned(InstanceEvent):
    """EC2 will take the instance back: terminate, stop or hibernate it."""

    action: str


@dataclass(frozen=True)
class RebalanceRecommended(InstanceEvent):
    """EC2 sees an elevated risk of interruption."""


@dataclass(frozen=True)
class InstanceEventScheduled(InstanceEvent):
    """EC2 will retire, stop, reboot or maintain the instance at ``not_before``."""

    code: str
    not_before: datetime


@dataclass(frozen=True)
class SpotRequestCancelled(WorldEvent):
    """A spot instance request was cancelled."""

    spot_instance_request_id: str


@dataclass(frozen=True)
class AddressMoved(WorldEvent):
    """An elastic IP address points elsewhere; None means that it was or is free."""

    allocation_id: str
    from_instance_id: str | None
    to_instance_id: str | None


@dataclass(frozen=True)
class TargetRegistered(WorldEvent):
    """An instance, or its address, was registered with a target group."""

    target_group_arn: str
    instance_id: str


@dataclass(frozen=True)
class TargetDeregistered(WorldEvent):
    """An instance, or its address, began to leave a target group."""

    target_group_arn: str
    instance_id: str
