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
    """Base of every manual request; each is recorded with who asked."""

    asked_by: str = Field(min_length=1, max_length=200)


class DecideNow(ManualRequest, ForcedTarget):
    """Decide on one workload now; with a target: switch it there unless that cannot work."""

    command: Literal["decide"]


class SetMode(ManualRequest):
    """Set a workload's mode over its tag; null gives the tag its word back."""

    command: Literal["set-mode"]
    workload: WorkloadId
    mode: Mode | None


class SetThreshold(ManualRequest):
    """Set a threshold or flag, for the stack or for one workload; null takes it back."""

    command: Literal["set-threshold"]
    name: str
    value: float | bool | None
    workload: WorkloadId | None = None


class ResetBreaker(ManualRequest):
    """Close the breaker of a workload, or the stack's when no workload is named."""

    command: Literal["reset-breaker"]
    workload: WorkloadId | None = None


class StopAll(ManualRequest):
    """The global stop: decisions are recorded, no new switch starts."""

    command: Literal["stop"]


class ResumeAll(ManualRequest):
    """Lift the global stop."""

    command: Literal["resume"]


class EvaluatePool(ManualRequest):
    """Judge one spot pool: what would be decided about a machine of this type that ran there."""

    command: Literal["evaluate"]
    instance_type: TypeName
    availability_zone: ZoneName
    engine: EngineName | None = None
    """Null: the stack's."""


class RecommendPools(ManualRequest):
    """Where machines of this size should run, and what that would save."""

    command: Literal["recommend"]
    vcpu: float = Field(gt=0, le=2048)
    memory_gib: float = Field(gt=0, le=65536)
    count: int = Field(ge=1, le=10_000)
    architecture: Literal["x86_64", "arm64"]
    types: tuple[str, ...] = Field(default=("*",), min_length=1, max_length=100)
    """Globs of type names."""
    zones: tuple[ZoneName, ...] = ()
    """Empty: all."""
    interruption_cost_minutes: float | None = Field(default=None, ge=0, le=10_080)
    """Work that an interruption loses; null: the stack's."""
    allow_burstable: bool | None = None
    """Null: the stack's."""


class ShowModels(ManualRequest):
    """Which model decides, what became of every upload, and how past forecasts did."""

    command: Literal["models"]


class ValidateModelNow(ManualRequest):
    """Look at an uploaded model again, when it was refused or could not be compared."""

    command: Literal["validate-model"]
    version: ModelVersion


class ActivateModel(ManualRequest):
    """Let another model decide: the pending one, the previous one, or ``shipped``."""

    command: Literal["activate-model"]
    version: ModelVersion


class RollBackModel(ManualRequest):
    """Let the model decide that did before."""

    command: Literal["roll-back-model"]


class TryModel(ManualRequest):
    """Let the pending model decide for a share of the workloads; 0 ends that."""

    command: Literal["try-model"]
    version: ModelVersion
    share: float = Field(ge=0, le=1)


class DropModel(ManualRequest):
    """Give the pending model up."""

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
