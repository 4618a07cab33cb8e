"""Manual requests to ``command``."""

from typing import Annotated, Literal

from pydantic import Field

from spot_optimizer.contracts.boundary import (
    Boundary,
    EngineName,
    ModelVersion,
    TypeName,
    WorkloadId,
    ZoneName,
)
from spot_optimizer.contracts.decide import ForcedTarget
from spot_optimizer.vocabulary import Mode


class ManualRequest(Boundary):
    """Base of all manual requests. Each is recorded with the requester."""

    asked_by: str = Field(min_length=1, max_length=200)


class DecideNow(ManualRequest, ForcedTarget):
    """Decide on one workload now; with a target: switch it there unless that cannot work."""

    command: Literal["decide"]


class SetMode(ManualRequest):
    """Override a workload's mode tag; null removes the override."""

    command: Literal["set-mode"]
    workload: WorkloadId
    mode: Mode | None


class SetThreshold(ManualRequest):
    """Override a threshold or flag for the stack or one workload; null removes the override."""

    command: Literal["set-threshold"]
    name: str
    value: float | bool | None
    workload: WorkloadId | None = None


class ResetBreaker(ManualRequest):
    """Close the breaker of a workload; without a workload, that of the stack."""

    command: Literal["reset-breaker"]
    workload: WorkloadId | None = None


class StopAll(ManualRequest):
    """The global stop: decisions are recorded, no new switch starts."""

    command: Literal["stop"]


class ResumeAll(ManualRequest):
    """Lift the global stop."""

    command: Literal["resume"]


class EvaluatePool(ManualRequest):
    """Judge one spot pool: what would be decided about an instance of this type that ran there."""

    command: Literal["evaluate"]
    instance_type: TypeName
    availability_zone: ZoneName
    engine: EngineName | None = None
    """Null: the stack's setting."""


class RecommendPools(ManualRequest):
    """Where instances of this size should run, and what that would save."""

    command: Literal["recommend"]
    vcpu: float = Field(gt=0, le=2048)
    memory_gib: float = Field(gt=0, le=65536)
    count: int = Field(ge=1, le=10_000)
    architecture: Literal["x86_64", "arm64"]
    types: tuple[str, ...] = Field(default=("*",), min_length=1, max_length=100)
    """Glob patterns of type names."""
    zones: tuple[ZoneName, ...] = ()
    """Empty: all."""
    interruption_cost_minutes: float | None = Field(default=None, ge=0, le=10_080)
    """Work that is lost by an interruption; null: the stack's setting."""
    allow_burstable: bool | None = None
    """Null: the stack's setting."""


class ShowModels(ManualRequest):
    """Which model is live, the state of every upload, and the accuracy of past forecasts."""

    command: Literal["models"]


class ValidateModelNow(ManualRequest):
    """Validate an uploaded model again that was refused or could not be compared."""

    command: Literal["validate-model"]
    version: ModelVersion


class ActivateModel(ManualRequest):
    """Make another model live: the pending one, the previous one, or ``shipped``."""

    command: Literal["activate-model"]
    version: ModelVersion


class RollBackModel(ManualRequest):
    """Make the previous model live again."""

    command: Literal["roll-back-model"]


class TryModel(ManualRequest):
    """Use the pending model for a share of the workloads; 0 ends the trial."""

    command: Literal["try-model"]
    version: ModelVersion
    share: float = Field(ge=0, le=1)


class DropModel(ManualRequest):
    """Discard the pending model."""

    command: Literal["drop-model"]
    version: ModelVersion


CommandRequest = Annotated[
    DecideNow
    | SetMode
    | SetThreshold
    | ResetBreaker
    | StopAll
    | ResumeAll
    | EvaluatePool
    | RecommendPools
    | ShowModels
    | ValidateModelNow
    | ActivateModel
    | RollBackModel
    | TryModel
    | DropModel,
    Field(discriminator="command"),
]
