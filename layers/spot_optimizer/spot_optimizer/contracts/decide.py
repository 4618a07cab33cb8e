"""Requests to ``decide``."""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from spot_optimizer.contracts.boundary import Boundary, TypeName, WorkloadId, ZoneName
from spot_optimizer.vocabulary import Lifecycle


class ScheduledCycle(Boundary):
    """Input of ``decide`` from its schedule."""

    trigger: Literal["schedule"]


class ForcedTarget(Boundary):
    """The workload of a forced decision and, optionally, the place to switch it to."""

    workload: WorkloadId
    instance_type: TypeName | None = None
    availability_zone: ZoneName | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT

    @model_validator(mode="after")
    def _target_is_whole(self) -> Self:
        if (self.instance_type is None) != (self.availability_zone is None):
            raise ValueError("a target needs both instance_type and availability_zone, or neither")
        if self.lifecycle is Lifecycle.ON_DEMAND and self.instance_type is None:
            raise ValueError("lifecycle on-demand needs instance_type and availability_zone")
        return self


class ForcedDecision(ForcedTarget):
    """Input of ``decide`` from ``command``: decide on one workload now."""

    trigger: Literal["forced"]
    asked_by: str = Field(min_length=1)


class SignalledDecision(Boundary):
    """Input of ``decide`` from ``handle_signal``: one workload whose pool was just signalled.

    The same guards apply as to an urgent switch of a scheduled cycle.
    """

    trigger: Literal["signal"]
    workload: WorkloadId


DecideRequest = Annotated[
    ScheduledCycle | ForcedDecision | SignalledDecision, Field(discriminator="trigger")
]
