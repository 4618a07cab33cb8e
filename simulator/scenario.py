"""What a simulation is made of: workloads, and what is scripted on top of the market."""

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isinf
from typing import Any, Literal

from simulator.api_calls import ApiCall
from simulator.faults.places import PlacedFault
from simulator.limits import LIMITS, Bucket, Limits


@dataclass(frozen=True, slots=True)
class Curve:
    """A demand over time: a polyline through (hours since the start, value), flat outside of it."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def flat(cls, value: float) -> "Curve":
        """The same demand at all times."""
        return cls(((0.0, value),))

    def at(self, hours: float) -> float:
        """The demand ``hours`` after the start; before it, that of the start."""
        right = bisect_right(self.points, hours, key=lambda point: point[0])
        if right == 0:
            return self.points[0][1]
        if right == len(self.points):
            return self.points[-1][1]
        (left_h, left), (right_h, value) = self.points[right - 1], self.points[right]
        return left + (value - left) * (hours - left_h) / (right_h - left_h)


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One machine of the user's, as it runs when the stack is deployed."""

    name: str
    """Its Name tag and workload id."""
    shows: str
    """What it is there to show, in a few words."""
    instance_type: str
    lifecycle: Literal["spot", "on-demand"]
    placement: str
    """``cheapest`` or ``dearest``: the zone in which the type costs least or most at the start; or the
    name of a zone."""
    cpu_vcpu: Curve
    memory_gib: Curve | None
    """None where no agent reports memory."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Without the prefix ``spot-optimizer:`` where they are ours; ``managed`` and ``workload`` are
    added."""
    other_tags: Mapping[str, str] = field(default_factory=dict)
    target_group: bool = False
    elastic_address: bool = False
    persistent: bool = False
    """Its spot request is persistent."""
    age_hours: float = 30 * 24
    """Since when it has been running, as its metrics show."""


@dataclass(frozen=True, slots=True)
class AdvisorChange:
    """From some hour on the Spot Advisor shows another bucket for types; hour 0 is the start."""

    hour: float
    instance_type: str
    """A type, or several by a pattern with * and ?; so it is in all events."""
    bucket: int

    def __str__(self) -> str:
        rates = ("<5 %", "5-10 %", "10-15 %", "15-20 %", ">20 %")
        return f"the Spot Advisor puts {self.instance_type} at {rates[self.bucket]} interruptions"


@dataclass(frozen=True, slots=True)
class PriceSurge:
    """Pools cost ``factor`` times as much for some hours."""

    hour: float
    until_hour: float
    """Infinite where it lasts to the end; so it is in all events."""
    instance_type: str
    factor: float
    availability_zone: str = "*"

    def __str__(self) -> str:
        pools = _pools(self.instance_type, self.availability_zone)
        span = "from now on" if isinf(self.until_hour) else f"for {self.until_hour - self.hour:g} h"
        return f"{pools} costs {self.factor:g} times as much {span}"


@dataclass(frozen=True, slots=True)
class CapacityShortage:
    """The pools that a workload would like best have no spot capacity for some hours."""

    hour: float
    until_hour: float
    workload: str
    pools: int

    def __str__(self) -> str:
        return (
            f"the {self.pools} cheapest pools for {self.workload} have no capacity"
            f"{_until(self.until_hour)}"
        )


@dataclass(frozen=True, slots=True)
class NoCapacity:
    """Pools refuse launches with an error code of EC2's for some hours."""

    hour: float
    until_hour: float
    instance_type: str
    availability_zone: str
    lifecycle: str
    """``spot``, ``on-demand`` or ``*``."""
    error: str

    def __str__(self) -> str:
        pools = _pools(self.instance_type, self.availability_zone)
        how = "" if self.lifecycle == "*" else f"{self.lifecycle} "
        return f"{how}launches in {pools} are refused with {self.error}{_until(self.until_hour)}"


@dataclass(frozen=True, slots=True)
class ChecksFail:
    """What is launched in these pools in these hours never passes its status checks."""

    hour: float
    until_hour: float
    instance_type: str
    availability_zone: str

    def __str__(self) -> str:
        pools = _pools(self.instance_type, self.availability_zone)
        return f"what is launched in {pools} never turns healthy{_until(self.until_hour)}"


@dataclass(frozen=True, slots=True)
class UserTerminates:
    """The user terminates the instance on which a workload runs."""

    hour: float
    workload: str

    def __str__(self) -> str:
        return f"the user terminates the instance of {self.workload}"


@dataclass(frozen=True, slots=True)
class UserTags:
    """The user sets a tag of the instance on which a workload runs, or removes it (value None)."""

    hour: float
    workload: str
    tag: str
    """As EC2 knows it, with the prefix ``spot-optimizer:`` where it is ours."""
    value: str | None

    def __str__(self) -> str:
        if self.value is None:
            return f"the user removes the tag {self.tag} of {self.workload}"
        return f"the user tags {self.workload} {self.tag} = {self.value}"


@dataclass(frozen=True, slots=True)
class UserProtects:
    """The user switches on the termination protection of a workload's instance."""

    hour: float
    workload: str

    def __str__(self) -> str:
        return f"the user protects the instance of {self.workload} from termination"


@dataclass(frozen=True, slots=True)
class ImageDeregistered:
    """The image from which a workload's instance was launched is deregistered."""

    hour: float
    workload: str

    def __str__(self) -> str:
        return f"the image of {self.workload} is deregistered"


@dataclass(frozen=True, slots=True)
class ManualCommand:
    """A manual request to the function Command."""

    hour: float
    request: Mapping[str, Any]

    def __str__(self) -> str:
        return f"manual request {json.dumps(self.request)}"


@dataclass(frozen=True, slots=True)
class Interruption:
    """EC2 takes back the spot instance on which a workload runs."""

    hour: float
    workload: str
    action: str = "terminate"
    """``terminate``, ``stop`` or ``hibernate``."""
    warned: bool = True
    """Whether the warning comes at all; EC2 sends it by best effort."""
    deliveries: int = 1
    late_seconds: float = 0

    def __str__(self) -> str:
        how = _warning(self.warned, self.deliveries, self.late_seconds)
        return f"EC2 interrupts {self.workload} ({self.action}), {how}"


@dataclass(frozen=True, slots=True)
class InterruptionWave:
    """EC2 takes back all spot instances that run in some pools."""

    hour: float
    instance_type: str
    availability_zone: str
    action: str = "terminate"
    warned: bool = True
    deliveries: int = 1
    late_seconds: float = 0

    def __str__(self) -> str:
        pools = _pools(self.instance_type, self.availability_zone)
        how = _warning(self.warned, self.deliveries, self.late_seconds)
        return f"EC2 interrupts all that runs on spot in {pools} ({self.action}), {how}"


@dataclass(frozen=True, slots=True)
class Rebalance:
    """EC2 recommends to move a workload off its spot instance."""

    hour: float
    workload: str
    deliveries: int = 1
    late_seconds: float = 0

    def __str__(self) -> str:
        how = _delivery(self.deliveries, self.late_seconds)
        return f"EC2 recommends to rebalance {self.workload}{how and f', told{how}'}"


Scripted = (
    AdvisorChange
    | PriceSurge
    | CapacityShortage
    | NoCapacity
    | ChecksFail
    | UserTerminates
    | UserTags
    | UserProtects
    | ImageDeregistered
    | ManualCommand
    | Interruption
    | InterruptionWave
    | Rebalance
)


def _pools(instance_type: str, availability_zone: str) -> str:
    if (instance_type, availability_zone) == ("*", "*"):
        return "every pool"
    if instance_type == "*":
        return f"every pool of {availability_zone}"
    return instance_type if availability_zone == "*" else f"{instance_type}/{availability_zone}"


def _warning(warned: bool, deliveries: int, late_seconds: float) -> str:
    return f"warned{_delivery(deliveries, late_seconds)}" if warned else "without a warning"


def _delivery(deliveries: int, late_seconds: float) -> str:
    times = f" {deliveries} times" if deliveries > 1 else ""
    return times + (f" {late_seconds:g} s late" if late_seconds else "")


def _until(hour: float) -> str:
    return "" if isinf(hour) else f" until hour {hour:g}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Workloads, scripted events, faults and template parameters."""

    name: str
    workloads: tuple[WorkloadSpec, ...]
    scripted: tuple[Scripted, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = LIMITS
    quotas_vcpu: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(lifecycle, family class) -> vCPUs, where they are not those of the limits."""
    rates: Mapping[ApiCall, Bucket] = field(default_factory=dict)
    """Operation -> token bucket, where it is not that of the limits."""
    faults: tuple[PlacedFault, ...] = ()
