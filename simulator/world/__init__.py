"""A world that answers EC2, load balancing, metric, price list and Spot Advisor calls."""

from simulator.world.errors import AwsError, NotModelled
from simulator.world.events import (
    AddressMoved,
    InstanceEvent,
    InstanceLaunched,
    InstanceRunning,
    InstanceStopped,
    InstanceStopping,
    InstanceTerminated,
    InstanceTerminating,
    SpotRequestCancelled,
    TargetDeregistered,
    TargetRegistered,
    WorldEvent,
)
from simulator.world.metrics import Load
from simulator.world.model import DataVolume, Instance, PriceHistory
from simulator.world.shapes import InvalidReply
from simulator.world.view import INSTANCE_ROLE_ARN
from simulator.world.world import World

__all__ = [
    "INSTANCE_ROLE_ARN",
    "AddressMoved",
    "AwsError",
    "DataVolume",
    "Instance",
    "InstanceEvent",
    "InstanceLaunched",
    "InstanceRunning",
    "InstanceStopped",
    "InstanceStopping",
    "InstanceTerminated",
    "InstanceTerminating",
    "InvalidReply",
    "Load",
    "NotModelled",
    "PriceHistory",
    "SpotRequestCancelled",
    "TargetDeregistered",
    "TargetRegistered",
    "World",
    "WorldEvent",
]
