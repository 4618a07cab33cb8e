"""Events of EC2 and AWS Health that ``handle_signal`` answers."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from spot_optimizer.contracts.boundary import Boundary, InstanceId


class _Signal(BaseModel):
    """Fields of all events of EC2 (EventBridge user guide, "AWS service event metadata"). Fields
    that AWS adds later are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(min_length=1, max_length=100)
    source: Literal["aws.ec2"]
    time: AwareDatetime


INSTANCE_ACTIONS = ("terminate", "stop", "hibernate")
"""EC2 user guide, "Spot Instance interruption notices", instance-action."""


class InterruptedInstance(BaseModel):
    """Detail of an interruption warning."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")
    instance_action: Any = Field(default=None, alias="instance-action")
    """As EC2 wrote it. A missing or new action must not keep a workload from its failover."""

    @property
    def is_known(self) -> bool:
        """Whether the action is one of INSTANCE_ACTIONS."""
        return isinstance(self.instance_action, str) and self.instance_action in INSTANCE_ACTIONS

    @property
    def action(self) -> str:
        """The action; ``terminate``, the worst of them, for one that is missing or new."""
        return str(self.instance_action) if self.is_known else "terminate"


class FlaggedInstance(BaseModel):
    """Detail of a rebalance recommendation."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")


class ChangedInstance(BaseModel):
    """Detail of a state change."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")
    state: Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]


def _moment(value: Any) -> datetime | None:
    """AWS Health writes ``Wed, 26 Jun 2019 15:00:00 GMT``. None for what is no time."""
    if not isinstance(value, str):
        return None
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = read(value)
        except (IndexError, OverflowError, TypeError, ValueError):
            continue
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None


class AffectedEntity(BaseModel):
    """A resource that an AWS Health event concerns."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    entity_value: str = Field(alias="entityValue", max_length=300)
    """Of EC2's events, the instance id."""
    status: str = ""


class HealthDetail(BaseModel):
    """Detail of an AWS Health event."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    service: Literal["EC2"]
    event_type_code: str = Field(alias="eventTypeCode", max_length=200)
    event_region: str = Field(default="", alias="eventRegion")
    """The region that is affected. AWS delivers every event to a second region too."""
    status_code: str = Field(default="", alias="statusCode")
    start_time: Annotated[datetime | None, BeforeValidator(_moment)] = Field(
        default=None, alias="startTime"
    )
    affected_entities: tuple[AffectedEntity, ...] = Field(default=(), alias="affectedEntities")


class HealthEvent(BaseModel):
    """``AWS Health Event`` (AWS Health user guide, "AWS Health events Amazon EventBridge schema"):
    among others, the retirement of instances, usually weeks in advance."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(min_length=1, max_length=100)
    source: Literal["aws.health"]
    time: AwareDatetime
    detail_type: Literal["AWS Health Event"] = Field(alias="detail-type")
    detail: HealthDetail


class InterruptionWarning(_Signal):
    """``EC2 Spot Instance Interruption Warning`` (EC2 user guide, "Spot Instance interruption
    notices"): best effort, two minutes in advance; a hibernation begins at once."""

    detail_type: Literal["EC2 Spot Instance Interruption Warning"] = Field(alias="detail-type")
    detail: InterruptedInstance


class RebalanceRecommendation(_Signal):
    """``EC2 Instance Rebalance Recommendation`` (EC2 user guide, "EC2 instance rebalance
    recommendations"): an elevated risk; best effort, possibly together with the warning."""

    detail_type: Literal["EC2 Instance Rebalance Recommendation"] = Field(alias="detail-type")
    detail: FlaggedInstance


class StateChange(_Signal):
    """``EC2 Instance State-change Notification``."""

    detail_type: Literal["EC2 Instance State-change Notification"] = Field(alias="detail-type")
    detail: ChangedInstance


Signal = InterruptionWarning | RebalanceRecommendation | StateChange


SignalRequest = Annotated[Signal | HealthEvent, Field(discriminator="detail_type")]


SignalEffect = Literal["EVACUATE", "DRAIN", "RECORDED", "NONE"]
"""A failover, a decision about the workload, an entry in the history, or nothing."""


class SignalOutcome(Boundary):
    """Answer of ``handle_signal``: the effect of a signal, and why."""

    effect: SignalEffect
    reason: str
    workload_id: str | None = None
