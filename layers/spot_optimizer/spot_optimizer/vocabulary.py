"""The vocabulary that every floor speaks."""

from enum import IntEnum, StrEnum
from typing import NamedTuple

TAG_PREFIX = "spot-optimizer:"
"""All our tags begin so; IAM conditions in template.yaml hang on it."""

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""A model's version: one step of a path in the data bucket."""

HOUR_S, DAY_S, WEEK_S = 3_600, 86_400, 604_800
"""Seconds."""


class Pool(NamedTuple):
    """A spot pool: capacity of one instance type in one availability zone (product Linux/UNIX)."""

    instance_type: str
    availability_zone: str

    def __str__(self) -> str:
        return f"{self.instance_type}/{self.availability_zone}"


class Placement(NamedTuple):
    """A place to launch in: a pool and one of the subnets of its zone."""

    instance_type: str
    availability_zone: str
    subnet_id: str

    @property
    def pool(self) -> Pool:
        return Pool(self.instance_type, self.availability_zone)


class Lifecycle(StrEnum):
    """How an instance is bought. EC2 calls the absence of ``InstanceLifecycle`` on-demand."""

    SPOT = "spot"
    ON_DEMAND = "on-demand"


class Mode(StrEnum):
    """What the user lets us do with a workload: act, only advise, or look away."""

    AUTO = "auto"
    MANUAL = "manual"
    OFF = "off"


class RowsAre(StrEnum):
    """What a row of an imported file of prices means."""

    CHANGES = "changes"
    """A price that holds until the next row, as AWS reports it."""
    SAMPLES = "samples"
    """The price at one moment: it says nothing of the next five minutes."""


class DecisionKind(StrEnum):
    """The outcome of one look at one workload."""

    STAY = "STAY"
    SWITCH = "SWITCH"
    FALLBACK = "FALLBACK"
    EVACUATE = "EVACUATE"
    """Answer to an interruption: leave now, by the standing plan."""


class Rule(IntEnum):
    """The rows of the decision table; the first that holds decides."""

    NONE = 0
    """A precondition failed (no price, no catalog entry, no engine), or a user forced the target."""
    SIZE_UP = 1
    SIZE_DOWN = 2
    LEAVE_ON_DEMAND = 3
    IMPROVE = 4
    """The current pool is acceptable; a better one must be worth a switch."""
    LEAVE_EXPENSIVE = 5
    LEAVE_UNBEARABLE = 6
    LEAVE_UNSAFE = 7


class Phase(StrEnum):
    """Where a switch stands; phases only advance, FAILED is reached from any before COMMITTED."""

    CLAIMED = "CLAIMED"
    LAUNCHED = "LAUNCHED"
    HEALTHY = "HEALTHY"
    HANDED_OVER = "HANDED_OVER"
    COMMITTED = "COMMITTED"
    DONE = "DONE"
    FAILED = "FAILED"


class Scope(StrEnum):
    """What would cure a refused launch (the error table in switching/launch_refusals.py)."""

    POOL = "pool"
    SUBNET = "subnet"
    """Sent and stored as ZONE, because version 0.1.0 does not know it; read back from the code
    (``launch_refusals.scope_of_stored``)."""
    ZONE = "zone"
    FAMILY = "family class"
    LIFECYCLE = "lifecycle"
    TIME = "time"
    NOTHING = "nothing"
