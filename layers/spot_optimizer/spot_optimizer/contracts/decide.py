"""Requests to ``decide``."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from spot_optimizer.contracts.boundary import Boundary, TypeName, WorkloadId, ZoneName
from spot_optimizer.vocabulary import Lifecycle


class ScheduledCycle(Boundary):
    """Input of ``decide`` from its schedule."""

    trigger: Literal["schedule"]


class ForcedDecision(Boundary):
    """Input of ``decide`` from ``command``: one workload, now, optionally with a target."""

    trigger: Literal["forced"]
    workload: WorkloadId
    asked_by: str = Field(min_length=1)
    instance_type: TypeName | None = None
    availability_zone: ZoneName | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT

    @model_validator(mode="after")
    def _target_is_whole(self) -> "ForcedDecision":
        demand_whole_target(self.instance_type, self.availability_zone, self.lifecycle)
        return self


def demand_whole_target(
    instance_type: str | None, availability_zone: str | None, lifecycle: Lifecycle
) -> None:
    if (instance_type is None) != (availability_zone is None):
        raise ValueError("a target needs both instance_type and availability_zone, or neither")
    if lifecycle is Lifecycle.ON_DEMAND and instance_type is None:
        raise ValueError("lifecycle on-demand needs instance_type and availability_zone")


class SignalledDecision(Boundary):
    """Input of ``decide`` from ``handle_signal``: one workload whose pool was just signalled.

    The same guards apply as to an urgent switch of a scheduled cycle.
    """

    trigger: Literal["signal"]
    workload: WorkloadId


DecideRequest = Annotated[
    ScheduledCycle | ForcedDecision | SignalledDecision, Field(discriminator="trigger")
]
