"""What a simulation is made of: workloads, and what is scripted on top of the market."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


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


Placement = Literal["dearest", "cheapest"]


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One machine of the user's, as it runs when the stack is deployed."""

    name: str
    """Its Name tag and workload id."""
    shows: str
    """What it is there to show, in a few words."""
    instance_type: str
    lifecycle: Literal["spot", "on-demand"]
    placement: Placement
    """The zone in which the type costs most or least at the start."""
    cpu_vcpu: Curve
    memory_gib: Curve | None
    """None where no agent reports memory."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Without the prefix ``spot-optimizer:`` where they are ours; ``managed`` and ``workload`` are
    added."""
    other_tags: Mapping[str, str] = field(default_factory=dict)
    target_group: bool = False
    elastic_address: bool = False


@dataclass(frozen=True, slots=True)
class AdvisorChange:
    """From some hour on the Spot Advisor shows another bucket for a type; hour 0 is the start."""

    hour: float
    instance_type: str
    bucket: int

    def __str__(self) -> str:
        rates = ("<5 %", "5-10 %", "10-15 %", "15-20 %", ">20 %")
        return f"the Spot Advisor puts {self.instance_type} at {rates[self.bucket]} interruptions"


@dataclass(frozen=True, slots=True)
class PriceSurge:
    """All pools of a type cost ``factor`` times as much for some hours."""

    hour: float
    until_hour: float
    instance_type: str
    factor: float

    def __str__(self) -> str:
        hours = self.until_hour - self.hour
        return f"{self.instance_type} costs {self.factor:g} times as much for {hours:g} h"


@dataclass(frozen=True, slots=True)
class CapacityShortage:
    """The pools that a workload would like best have no capacity for some hours."""

    hour: float
    until_hour: float
    workload: str
    pools: int

    def __str__(self) -> str:
        return (
            f"the {self.pools} cheapest pools for {self.workload} have no capacity"
            f" until hour {self.until_hour:g}"
        )


Scripted = AdvisorChange | PriceSurge | CapacityShortage


@dataclass(frozen=True, slots=True)
class Scenario:
    """Workloads, scripted events and template parameters."""

    name: str
    workloads: tuple[WorkloadSpec, ...]
    scripted: tuple[Scripted, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
