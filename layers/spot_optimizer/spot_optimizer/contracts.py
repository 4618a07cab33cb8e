"""Everything that crosses a boundary: events, state machine payloads, events on the stack's bus.

Frozen, unknown fields forbidden: a payload with a field that nobody reads is a mistake somewhere.
"""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from spot_optimizer.words import (
    VERSION_PATTERN,
    DecisionKind,
    Lifecycle,
    Mode,
    RowsAre,
    Scope,
)

SCHEMA_VERSION = 1
"""Version of every payload below; an order of another version is refused, not guessed at."""

WorkloadId = Annotated[str, Field(min_length=1, max_length=128)]
InstanceId = Annotated[str, Field(pattern=r"^i-[0-9a-f]{8,17}$")]
TypeName = Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]
ZoneName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d(-[a-z]+-\d)?[a-z]$")]
"""A name such as ``us-east-1a`` or, in a Local Zone, ``us-west-2-lax-1a``; a zone id (``use1-az1``)
means another zone in every account."""


ModelVersion = Annotated[str, Field(pattern=VERSION_PATTERN)]
"""Folder of an uploaded model."""


class Boundary(BaseModel):
    """Base of all contracts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InvalidRequest(ValueError):
    """A payload that breaks its contract; the text names field, value and what is allowed."""


Contract = TypeVar("Contract")


def parse(contract: type[Contract] | Any, payload: object) -> Contract:
    """``payload`` as ``contract``, or InvalidRequest with one line per broken field."""
    try:
        parsed: Contract = TypeAdapter(contract).validate_python(payload)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'request'} = "
            f"{_shortened(problem['input'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise InvalidRequest("; ".join(lines)) from error
    return parsed


def _shortened(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


# --- requests to the scheduled functions ---------------------------------------------------------


class CollectPrices(Boundary):
    """Input of ``refresh_market`` every cycle."""

    task: Literal["prices"]


class HealGaps(Boundary):
    """Input of ``refresh_market`` every 15 minutes: what the last 24 hours lack is asked for again,
    and the archive grows by one slice."""

    task: Literal["gaps"]


class ReadReferenceData(Boundary):
    """Input of ``refresh_market`` every six hours."""

    task: Literal["reference"]
    accept_prices: tuple[TypeName, ...] = ()
    """Types whose new on-demand price is believed although it moved by more than half."""


class AnalyseHistory(Boundary):
    """What the price archive lacks and who can still tell it."""

    task: Literal["analyse"]
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> "AnalyseHistory":
        _demand_span(self.since, self.until)
        return self


class FillHistory(Boundary):
    """Take the price archive on by several slices at once."""

    task: Literal["fill"]


class HistoryStatus(Boundary):
    """How much of the wanted past the price archive holds."""

    task: Literal["status"]


class ImportPrices(Boundary):
    """Take a file of spot prices into the archive, beside what AWS reported."""

    task: Literal["import"]
    key: str = Field(pattern=r"^import/.+", max_length=1024)
    """Of an object in the stack's bucket."""
    rows_are: RowsAre


class ShowPrices(Boundary):
    """Prices every five minutes with method and confidence, of one type, for up to a day."""

    task: Literal["grid"]
    instance_type: TypeName
    since: AwareDatetime
    until: AwareDatetime

    @model_validator(mode="after")
    def _is_a_day(self) -> "ShowPrices":
        _demand_span(self.since, self.until)
        if self.until - self.since > timedelta(days=1):
            raise ValueError(f"until {self.until} is more than a day after since {self.since}")
        return self


def _demand_span(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until <= since:
        raise ValueError(f"until {until} must be after since {since}")


class ModelUploaded(Boundary):
    """Input of ``refresh_market`` from S3's event that an object came to ``models/uploads/``."""

    task: Literal["model-uploaded"]
    key: str = Field(pattern=r"^models/uploads/", max_length=1024)
    requester: str = Field(max_length=200)
    """Account or AWS service that S3 names."""


class ValidateModel(Boundary):
    """Input of ``refresh_market`` from ``command``: look at an upload (again)."""

    task: Literal["validate-model"]
    version: ModelVersion
    asked_by: str = Field(min_length=1, max_length=200)


RefreshMarketRequest = Annotated[
    CollectPrices
    | HealGaps
    | ReadReferenceData
    | AnalyseHistory
    | FillHistory
    | HistoryStatus
    | ImportPrices
    | ShowPrices
    | ModelUploaded
    | ValidateModel,
    Field(discriminator="task"),
]


class ScheduledCycle(Boundary):
    """Input of ``decide`` from its schedule."""

    trigger: Literal["schedule"]


class ScheduledSweep(Boundary):
    """Input of ``sweep`` from its schedule."""

    trigger: Literal["schedule"]


class ForcedDecision(Boundary):
    """Input of ``decide`` from ``command``: one workload, now, optionally to a given place."""

    trigger: Literal["forced"]
    workload: WorkloadId
    asked_by: str = Field(min_length=1)
    instance_type: TypeName | None = None
    availability_zone: ZoneName | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT

    @model_validator(mode="after")
    def _target_is_whole(self) -> "ForcedDecision":
        _demand_whole_target(self.instance_type, self.availability_zone, self.lifecycle)
        return self


def _demand_whole_target(
    instance_type: str | None, availability_zone: str | None, lifecycle: Lifecycle
) -> None:
    if (instance_type is None) != (availability_zone is None):
        raise ValueError("a target needs both instance_type and availability_zone, or neither")
    if lifecycle is Lifecycle.ON_DEMAND and instance_type is None:
        raise ValueError("lifecycle on-demand needs instance_type and availability_zone")


class SignalledDecision(Boundary):
    """Input of ``decide`` from ``handle_signal``: one workload whose pool has just been flagged. All
    guards hold it as they hold a scheduled cycle's rescue."""

    trigger: Literal["signal"]
    workload: WorkloadId


DecideRequest = Annotated[
    ScheduledCycle | ForcedDecision | SignalledDecision, Field(discriminator="trigger")
]


# --- manual requests -----------------------------------------------------------------------------


class ManualRequest(Boundary):
    """Base of every manual request; each is recorded with who asked."""

    asked_by: str = Field(min_length=1, max_length=200)


class DecideNow(ManualRequest):
    """Judge one workload now; with a target: move it there unless that cannot work."""

    command: Literal["decide"]
    workload: WorkloadId
    instance_type: TypeName | None = None
    availability_zone: ZoneName | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT

    @model_validator(mode="after")
    def _target_is_whole(self) -> "DecideNow":
        _demand_whole_target(self.instance_type, self.availability_zone, self.lifecycle)
        return self


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


EngineName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


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


# --- the switch workflow -------------------------------------------------------------------------


class Target(Boundary):
    """A place to launch a replacement in."""

    instance_type: TypeName
    availability_zone: ZoneName
    lifecycle: Lifecycle
    subnet_id: str
    price_usd_per_hour: float | None
    """None in a rescue: the standing plan holds no prices."""


class Original(Boundary):
    """The instance that a switch leaves."""

    instance_id: InstanceId
    instance_type: TypeName
    availability_zone: ZoneName
    lifecycle: Lifecycle
    price_usd_per_hour: float | None
    """None when the market knew no price of its pool."""
    persistent_spot_request_id: str | None = None
    """Cancelled before the instance is terminated, or EC2 launches a ghost in its place."""


class LaunchTemplateRef(Boundary):
    """The memory of the machine: EC2 keeps the data, we keep id, version and a hash."""

    template_id: str
    version: int
    data_hash: str
    machine: str = ""
    """Digest of the machine that was read into it (``parity.machine_digest``); empty where unknown."""
    cpu_credits: str | None = None
    """Credit mode for burstable types; the template cannot hold it, other types refuse it."""
    shutdown_behavior: str | None = None
    """For on-demand launches; spot takes no ``stop``."""
    capacity_reservation_preference: str | None = None
    """For on-demand launches; spot has none."""


class StandingRegistration(Boundary):
    """A place in a target group that a workload's machine has."""

    target_group_arn: str
    port: int
    position: int = Field(ge=0)
    """Which of the machine's names is registered: 0 its id, 1 its private IPv4 address, then IPv6."""
    in_use: bool
    """A load balancer sent, or was to send, traffic there."""


class StandingTraffic(Boundary):
    """What turned traffic towards a workload's machine when a cycle last looked.

    EC2 and the load balancers forget it with the machine: its address is free, its registrations are
    gone. A rescue that comes after the machine's end has it from here.
    """

    instance_id: InstanceId
    addresses: tuple[str, ...]
    """Of that instance: its private IPv4 address, or "" for none, then the IPv6 addresses."""
    registrations: tuple[StandingRegistration, ...] = ()
    allocation_ids: tuple[str, ...] = ()
    """Of its elastic addresses."""


class GuardRules(Boundary):
    """The workload's own thresholds that count when a switch ends."""

    cooldown_minutes: float
    breaker_failures: int
    backoff_minutes: float
    backoff_minutes_max: float


ORIGINAL_LOOKS_MAX = 20
"""Ten minutes: then FailOver takes an original for one that was only stopped."""


class SwitchOrder(Boundary):
    """Input of one SwitchInstance or FailOver execution. Holds no user data and no secret."""

    schema_version: Literal[1] = 1
    switch_id: str = Field(pattern=r"^[0-9A-Za-z_-]{1,80}$")
    """Name of the execution; derived from the decision."""
    workload_id: WorkloadId
    decision_id: str
    decided_at: AwareDatetime
    kind: Literal[DecisionKind.SWITCH, DecisionKind.FALLBACK, DecisionKind.EVACUATE]
    row: int
    reason: str
    original: Original
    candidates: Annotated[tuple[Target, ...], Field(min_length=1, max_length=14)]
    """In rank order. A rescue's: up to ten spot pools, three on-demand, and the place of a
    replacement that it took over."""
    launch_template: LaunchTemplateRef
    home_type_after: TypeName
    auto_terminate: bool
    guard: GuardRules
    asked_by: str = ""
    original_ends_at: AwareDatetime | None = None
    """When EC2 takes the original of a rescue away, as far as its signal says."""
    original_looks: int = Field(default=0, ge=0, le=ORIGINAL_LOOKS_MAX)
    """Of the looks, one in half a minute, whether a rescue's original has gone: those that are not
    needed any more. EC2 had stopped it before the rescue began, so it does not go."""
    standing_traffic: StandingTraffic | None = None
    """Where the original's traffic was; counts when the original is gone before its hand-over."""
    goes_on_with: str = ""
    """A switch that broke off, rescue or not: a rescue takes its claim and its replacement over."""


class LeftInstance(Boundary):
    """An instance that a resumed switch works on."""

    instance_id: InstanceId


class LeftClaim(Boundary):
    """The fencing token on the record of a resumed switch."""

    token: str = Field(pattern=r"^\d+$")


class TrafficUnknown(Boundary):
    """The hand-over has to find the traffic itself."""

    traffic: None = None


class LeftFailure(Boundary):
    """Why a switch is resumed, in the form of a caught error."""

    Error: Literal["LeftUnfinished"] = "LeftUnfinished"
    Cause: str


class ResumeOrder(Boundary):
    """Input of a SwitchInstance execution that brings a switch to its end whose own has ended: it
    starts at AbandonSwitch, so the record says whether it goes forward or is undone."""

    schema_version: Literal[1] = 1
    resume: int = Field(ge=1)
    """Counts the executions that the sweep starts for one switch."""
    switch_id: str
    workload_id: WorkloadId
    claim: LeftClaim
    original: LeftInstance
    """The instance that is left when committed, else the one that the workload runs on."""
    replacement: LeftInstance
    hand_over: TrafficUnknown = TrafficUnknown()
    standing_traffic: StandingTraffic | None
    """As the switch was ordered with."""
    failure: LeftFailure


class Attempt(Boundary):
    """One try of a switch: which candidate, counted from 1."""

    number: int = Field(ge=1)
    target: Target


class Claim(Boundary):
    """Answer of ClaimSwitch. The token is a decimal string: DynamoDB's wire form of a number."""

    token: str = Field(pattern=r"^\d+$")
    attempt: Attempt


class ClaimRequest(Boundary):
    """ClaimSwitch: one transaction, no live claim, breakers closed, decision new."""

    action: Literal["claim"]
    order: SwitchOrder


class TakeOverRequest(Boundary):
    """TakeOverClaim: claim for a rescue, over the head of whoever holds the workload."""

    action: Literal["take-over"]
    order: SwitchOrder


class UnclaimRequest(Boundary):
    """ReleaseClaim: give a claim back whose answer was lost. No token: that was in the answer."""

    action: Literal["unclaim"]
    workload_id: WorkloadId
    switch_id: str
    failure: dict[str, Any]


class SwitchStep(Boundary):
    """What every later step names: the switch and the fencing token of its claim."""

    workload_id: WorkloadId
    switch_id: str
    token: str = Field(pattern=r"^\d+$")


class RefuseRequest(SwitchStep):
    """NoCapacity: note why a launch was refused and name the next candidate, if one is left."""

    action: Literal["refuse"]
    attempt: int
    cause: str
    """The ``Cause`` of the caught error: JSON of the Lambda runtime around a ``RefusedLaunch``."""


class RefusedLaunch(Boundary):
    """Why EC2 refused to launch, as the text of CapacityUnavailable and LaunchRejected."""

    code: str
    scope: Scope
    cure: str
    message: str
    again: bool = False
    """The same candidate is worth one more attempt."""


class NextAttempt(Boundary):
    """Answer of NoCapacity: the next attempt, or none."""

    attempt: Attempt | None


class CommitRequest(SwitchStep):
    """CommitSwitch: after this write only forward recovery is legal."""

    action: Literal["commit"]


class Committed(Boundary):
    """Answer of CommitSwitch: what the permission to terminate names."""

    original_id: InstanceId
    replacement_id: InstanceId
    auto_terminate: bool
    persistent_spot_request_id: str | None


class AbandonRequest(SwitchStep):
    """AbandonSwitch: shut the door to the commit before anything is undone."""

    action: Literal["abandon"]


class Abandoned(Boundary):
    """Answer of AbandonSwitch: None when it is abandoned, the commit when that came first."""

    committed: Committed | None
    adopted: bool = False
    """A rescue goes on with this switch's replacement: there is nothing to undo."""
    runs_on: str = ""
    """The instance that the workload runs on by now: it is never undone. Step Functions can redrive an
    execution days after its switch was ended and its replacement became the workload."""


class SucceedRequest(SwitchStep):
    """RecordSuccess: outcome, breaker and release in one transaction."""

    action: Literal["succeed"]
    original_remains: bool = False
    """EC2 only stopped the original of a rescue; it is there, and none of ours any more."""


class FailRequest(SwitchStep):
    """RecordFailure: outcome, breaker and release in one transaction."""

    action: Literal["fail"]
    failure: dict[str, Any]
    """What was caught or why no candidate is left: ``{"Error": ..., "Cause": ...}``."""


class Outcome(Boundary):
    """Answer of RecordSuccess and RecordFailure."""

    phase: str
    summary: str


UpdateLedgerRequest = Annotated[
    ClaimRequest
    | TakeOverRequest
    | UnclaimRequest
    | RefuseRequest
    | CommitRequest
    | AbandonRequest
    | SucceedRequest
    | FailRequest,
    Field(discriminator="action"),
]


class LaunchRequest(SwitchStep):
    """LaunchReplacement."""

    attempt: Attempt
    launch_template: LaunchTemplateRef


class Replacement(Boundary):
    """Answer of LaunchReplacement."""

    instance_id: InstanceId
    launched_at: AwareDatetime
    """When EC2 accepted the launch."""
    candidate: int = Field(default=0, ge=0)
    """Which of the order's candidates it is: a fleet chooses by itself."""


class TakenOver(Boundary):
    """Answer of TakeOverClaim: the claim, and the replacement of a graceful switch that goes on."""

    token: str = Field(pattern=r"^\d+$")
    attempt: Attempt
    replacement: Replacement | None


class InspectRequest(SwitchStep):
    """InspectReplacement."""

    original_id: InstanceId
    replacement: Replacement
    target: Target
    launch_template: LaunchTemplateRef
    """What the replacement was launched from: it bears the workload's credit mode, and the digest of
    the machine that it remembers."""
    auto_terminate: bool


class Inspection(Boundary):
    """Answer of InspectReplacement: readiness, lifecycle and parity in one verdict."""

    verdict: Literal["READY", "PENDING", "UNFIT"]
    findings: tuple[str, ...] = ()
    """What speaks against it; of a machine that is ready, what differs and why that is no loss."""
    error: Literal["", "ReplacementUnfit", "ReplacementDiffers", "OriginalChanged"] = ""
    """What an UNFIT one fails by: it does not run or is not healthy; it is another machine; it differs
    from an original that was changed after it had been read."""


class Traffic(Boundary):
    """What turns traffic towards original and replacement.

    Passed from step to step: EC2 forgets an instance's addresses when it ends, a target group does
    not.
    """

    groups: tuple[str, ...]
    """ARNs of the target groups that original or replacement are registered in."""
    original_addresses: tuple[str, ...]
    """The private IPv4 address, or "" for none, then the IPv6 addresses."""
    replacement_addresses: tuple[str, ...]
    found_at: AwareDatetime
    """When it was found, as the hand-over began; bounds the wait for healthy targets."""
    unserved_since: AwareDatetime | None = None
    """When the replacement was first seen where its load balancer does not serve its zone."""


class HandOverRequest(SwitchStep):
    """HandOver (shift), ShiftTraffic (rescue), UndoHandOver (undo), ReleaseOriginal (release)."""

    action: Literal["shift", "rescue", "undo", "release"]
    original_id: InstanceId
    replacement_id: InstanceId
    traffic: Traffic | None = None
    """As an earlier answer named it; None to find it."""
    standing: StandingTraffic | None = None
    """What the standing plan remembers of the original. Counts when it is gone; on ``undo`` when it
    lives, and the replacement that had its address is gone."""


class HandOverProgress(Boundary):
    """Answer of ``hand_over``: done, or look again after ``wait_s``."""

    done: bool
    wait_s: int = 0
    traffic: Traffic
    moved: tuple[str, ...] = ()
    """What was handed over: ARNs of target groups and allocation ids of addresses."""
    left_alone: tuple[str, ...] = ()
    """Addresses that the standing plan names and that another machine has by now, in words."""


# --- signals of EC2 ------------------------------------------------------------------------------


class _Signal(BaseModel):
    """What all events of EC2 share (EventBridge user guide, "AWS service event metadata"). Fields
    that AWS adds later are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(min_length=1, max_length=100)
    source: Literal["aws.ec2"]
    time: AwareDatetime


class InterruptedInstance(BaseModel):
    """Detail of an interruption warning."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")
    instance_action: Literal["terminate", "stop", "hibernate"] = Field(alias="instance-action")


class FlaggedInstance(BaseModel):
    """Detail of a rebalance recommendation."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")


class ChangedInstance(BaseModel):
    """Detail of a change of state."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    instance_id: InstanceId = Field(alias="instance-id")
    state: Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]


class InterruptionWarning(_Signal):
    """``EC2 Spot Instance Interruption Warning`` (EC2 user guide, "Spot Instance interruption
    notices"): best effort, two minutes ahead; a hibernation begins at once."""

    detail_type: Literal["EC2 Spot Instance Interruption Warning"] = Field(alias="detail-type")
    detail: InterruptedInstance


class RebalanceRecommendation(_Signal):
    """``EC2 Instance Rebalance Recommendation`` (EC2 user guide, "EC2 instance rebalance
    recommendations"): an elevated risk, best effort, possibly together with the warning."""

    detail_type: Literal["EC2 Instance Rebalance Recommendation"] = Field(alias="detail-type")
    detail: FlaggedInstance


class StateChange(_Signal):
    """``EC2 Instance State-change Notification``."""

    detail_type: Literal["EC2 Instance State-change Notification"] = Field(alias="detail-type")
    detail: ChangedInstance


Signal = InterruptionWarning | RebalanceRecommendation | StateChange
SignalRequest = Annotated[Signal, Field(discriminator="detail_type")]


class SignalOutcome(Boundary):
    """Answer of ``handle_signal``: what a signal led to, and why."""

    effect: Literal["EVACUATE", "DRAIN", "RECORDED", "NONE"]
    reason: str
    workload_id: str | None = None


# --- events on the stack's bus -------------------------------------------------------------------


class DecisionMade(Boundary):
    """Detail of ``Spot Optimizer Decision``."""

    workload_id: str
    instance_id: str
    decision_id: str
    at: datetime
    kind: DecisionKind
    reason: str
    held_by: str
    target: Target | None


class SwitchEnded(Boundary):
    """Detail of ``Spot Optimizer Switch``."""

    workload_id: str
    switch_id: str
    phase: str
    summary: str


class ModelChanged(Boundary):
    """Detail of ``Spot Optimizer Model``."""

    version: str
    status: Literal["refused", "pending", "trial", "activated", "rolled-back", "dropped", "removed"]
    reason: str
    at: datetime
    asked_by: str
    comparison: dict[str, Any]
    """With the live model; empty where nothing was compared."""


class ForecastJudged(Boundary):
    """Detail of ``Spot Optimizer Forecast``: the forecasts of the model that decides turned bad, or
    good again."""

    model: str
    degraded: bool
    reasons: tuple[str, ...]
    at: datetime
    horizons: dict[str, dict[str, float]]
    """Hours ahead -> figures of the last seven days."""
