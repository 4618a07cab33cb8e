"""What a simulation is made of: workloads, and what is scripted on top of the market."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FiniteFloat,
    PlainValidator,
    TypeAdapter,
)

from simulator.api_calls import ApiCall
from simulator.faults.places import PlacedFault
from simulator.limits import LIMITS, Bucket, Limits
from simulator.scenario_events import Scripted
from simulator.scenario_fields import Allowed, Lifecycle, Table, TypeName

WORKLOADS_MAX = 100
_YEAR_H = 8760
_Demands = Annotated[
    list[Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=2, max_length=2)]],
    Field(min_length=1),
]
_DEMANDS: TypeAdapter[list[list[float]]] = TypeAdapter(_Demands)


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


def _curve(value: object) -> Curve:
    if isinstance(value, Curve):
        return value
    points = _DEMANDS.validate_python(
        value if isinstance(value, list) else [[0.0, value]], strict=True
    )
    if any(left >= right for (left, _), (right, _) in pairwise(points)):
        raise ValueError("the hours must rise")
    return Curve(tuple((hour, demand) for hour, demand in points))


def _as_text(value: object) -> object:
    """Tags and parameters are text in AWS; YAML writes numbers and booleans without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _zone(name: str) -> str:
    """``dearest`` is the name in version 0.1.0."""
    return "most-expensive" if name == "dearest" else name


Texts = dict[str, Annotated[str, BeforeValidator(_as_text)]]
_Demand = Annotated[
    Curve,
    PlainValidator(_curve),
    Allowed(
        "a number, or a list of [hour, value] with rising hours, straight in between", whole=True
    ),
]
_Placement = Annotated[
    str, AfterValidator(_zone), Allowed("cheapest, most-expensive, or a zone name")
]
_Tags = Annotated[Texts, Allowed("tag: value")]


class WorkloadSpec(Table):
    """One instance of the user's, as it runs when the stack is deployed."""

    name: Annotated[
        str, Field(pattern="^[a-z0-9][a-z0-9-]{0,27}$"), Allowed("1 to 28 of a-z, 0-9 and -")
    ]
    """Its Name tag and workload id."""
    shows: str = ""
    """What it demonstrates, in a few words."""
    count: Annotated[int, Field(ge=1, le=WORKLOADS_MAX)] = 1
    """Number of such workloads; if several, named `name-01` and on."""
    instance_type: TypeName = Field(validation_alias="type")
    """Its type at the start."""
    lifecycle: Lifecycle
    """Its purchase option at the start."""
    placement: _Placement = Field(default="cheapest", validation_alias="zone")
    """Its zone at the start: by the price of its type, or by name."""
    cpu_vcpu: _Demand
    """vCPUs that it uses."""
    memory_gib: _Demand | None = None
    """GiB that it uses; default: no agent reports memory."""
    tags: _Tags = Field(default_factory=dict)
    """Tags without `spot-optimizer:`; `managed` and `workload` are added; without `state` it is held."""
    other_tags: _Tags = Field(default_factory=dict)
    """Tags without a prefix of ours."""
    target_group: bool = False
    """It is registered with a target group."""
    elastic_address: bool = Field(default=False, validation_alias="elastic_ip")
    """It has an elastic IP (5 in all)."""
    persistent: bool = False
    """Its spot request is persistent: EC2 may stop it and start it again."""
    age_hours: Annotated[float, Field(ge=0, le=_YEAR_H)] = 30 * 24
    """Hours that it has run before the start, as its metrics show."""

    @property
    def each(self) -> list["WorkloadSpec"]:
        """The workloads one by one."""
        if self.count == 1:
            return [self]
        names = (f"{self.name}-{number:02}" for number in range(1, self.count + 1))
        return [self.model_copy(update={"name": name, "count": 1}) for name in names]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Workloads, scripted events, faults and template parameters."""

    name: str
    workloads: tuple[WorkloadSpec, ...]
    scripted: tuple[Scripted, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = LIMITS
    quotas_vcpu: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(lifecycle, family class) -> vCPUs, where they differ from the limits."""
    rates: Mapping[ApiCall, Bucket] = field(default_factory=dict)
    """Operation -> token bucket, where it differs from the limits."""
    faults: tuple[PlacedFault, ...] = ()
    subnets: int = 1
    """In each zone."""
