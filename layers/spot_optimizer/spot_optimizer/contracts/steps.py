"""Requests and answers of the functions that are steps of a state machine."""

from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
)

from spot_optimizer.contracts.boundary import Boundary, InstanceId, WorkloadId, stored_as
from spot_optimizer.contracts.patterns import CLAIM_TOKEN
from spot_optimizer.contracts.switch import (
    Attempt,
    LaunchTemplateRef,
    StandingLoadBalancing,
    SwitchOrder,
    Target,
)
from spot_optimizer.vocabulary import Scope


class Claim(Boundary):
    """Answer of ClaimSwitch. The token is a decimal string, as DynamoDB writes numbers."""

    token: str = Field(pattern=CLAIM_TOKEN)
    attempt: Attempt


class ClaimRequest(Boundary):
    """ClaimSwitch: one transaction, no live claim, breakers closed, decision new."""

    action: Literal["claim"]
    order: SwitchOrder


class TakeOverRequest(Boundary):
    """ClaimFailOver: claim for a failover, even if a switch holds the workload."""

    action: Literal["take-over"]
    order: SwitchOrder


class UnclaimRequest(Boundary):
    """ReleaseClaim: release a claim whose answer was lost, and with it the token."""

    action: Literal["unclaim"]
    workload_id: WorkloadId
    switch_id: str
    failure: dict[str, Any]


class SwitchStep(Boundary):
    """Base of all later steps: the switch and the fencing token of its claim."""

    workload_id: WorkloadId
    switch_id: str
    token: str = Field(pattern=CLAIM_TOKEN)


class RefuseRequest(SwitchStep):
    """NoCapacity: record why a launch was refused and choose the next candidate, if one is left."""

    action: Literal["refuse"]
    attempt: int
    cause: str
    """The ``Cause`` of the caught error: JSON of the Lambda runtime around a ``RefusedLaunch``."""


class StateReason(Boundary):
    """Why EC2 ended an instance (EC2 API reference, StateReason). EC2 may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str = Field(default="unknown", alias="Code")
    message: str = Field(default="", alias="Message")


class RefuseEndedRequest(SwitchStep):
    """RecordEnded: a failover's replacement ended before it ran, which counts as a refused launch."""

    action: Literal["refuse-ended"]
    replacement_id: InstanceId
    state_reasons: tuple[StateReason, ...]
    """One; none if EC2 does not say why."""


class RefusedLaunch(Boundary):
    """Why EC2 refused a launch: the text of CapacityUnavailable and LaunchRejected, as JSON."""

    code: str
    scope: Scope
    cure: str
    message: str
    again: bool = False
    """The refusal is transient: try the same candidate once more."""


class NextAttempt(Boundary):
    """Answer of NoCapacity and RecordEnded: the next attempt, or none."""

    attempt: Attempt | None


class CommitRequest(SwitchStep):
    """CommitSwitch: after this write a switch is only finished, never rolled back."""

    action: Literal["commit"]


class CommitOwingRequest(SwitchStep):
    """CommitOwing: commit a failover whose replacement runs although its hand-over failed, and note
    what it still owes the replacement."""

    action: Literal["commit-owing"]
    failure: dict[str, Any]
    """What was caught: ``{"Error": ..., "Cause": ...}``."""


class Committed(Boundary):
    """Answer of CommitSwitch: the permission to terminate the original."""

    original_id: InstanceId
    replacement_id: InstanceId
    auto_terminate: bool
    persistent_spot_request_id: str | None


class AbandonRequest(SwitchStep):
    """AbandonSwitch: rule out the commit before anything is undone."""

    action: Literal["abandon"]


class Abandoned(Boundary):
    """Answer of AbandonSwitch."""

    committed: Committed | None
    """None if the switch is abandoned; the commit, if that came first."""
    adopted: bool = False
    """A failover continues with this switch's replacement: there is nothing to undo."""
    runs_on: str = ""
    """The instance that the workload runs on now. It is never terminated: an execution can be redriven
    days after its switch ended, when its replacement may have become the workload's instance."""


class SucceedRequest(SwitchStep):
    """RecordSuccess: outcome, breaker and release in one transaction."""

    action: Literal["succeed"]
    original_remains: bool = False
    """EC2 only stopped the original of a failover. It remains, and we no longer manage it."""


class FailRequest(SwitchStep):
    """RecordFailure: outcome, breaker and release in one transaction."""

    action: Literal["fail"]
    failure: dict[str, Any]
    """What was caught or why no candidate is left: ``{"Error": ..., "Cause": ...}``."""


class PayRequest(SwitchStep):
    """RecordPaid: the instance has what it was owed."""

    action: Literal["pay"]
    instance_id: InstanceId


class Outcome(Boundary):
    """Answer of RecordSuccess and RecordFailure."""

    phase: str
    summary: str


UpdateLedgerRequest = Annotated[
    ClaimRequest
    | TakeOverRequest
    | UnclaimRequest
    | RefuseRequest
    | RefuseEndedRequest
    | CommitRequest
    | CommitOwingRequest
    | AbandonRequest
    | SucceedRequest
    | FailRequest
    | PayRequest,
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
    """Index of the order's candidate that EC2 launched: EC2 Fleet chooses among them."""


class TakenOver(Boundary):
    """Answer of ClaimFailOver: the claim, and the replacement that it adopts from a switch, if any."""

    token: str = Field(pattern=CLAIM_TOKEN)
    attempt: Attempt
    replacement: Replacement | None


class InspectRequest(SwitchStep):
    """InspectReplacement."""

    original_id: InstanceId
    replacement: Replacement
    target: Target
    launch_template: LaunchTemplateRef
    """What the replacement was launched from. The reference has the workload's credit mode and the
    digest of the instance that was read into the template."""
    auto_terminate: bool


class Inspection(Boundary):
    """Answer of InspectReplacement: readiness, lifecycle and parity in one verdict."""

    verdict: Literal["READY", "PENDING", "UNFIT"]
    findings: tuple[str, ...] = ()
    """If UNFIT, what is wrong; if READY, each difference from the original and why it is harmless."""
    error: Literal["", "ReplacementUnfit", "ReplacementDiffers", "OriginalChanged"] = ""
    """Why it is UNFIT: it does not run or is not healthy; it differs from the original; it differs
    because the original was changed after it had been read."""


class FoundLoadBalancing(Boundary):
    """Target groups and addresses of original and replacement.

    Passed from step to step, because EC2 releases an instance's addresses when it ends, while a target
    group still has them registered.
    """

    groups: tuple[str, ...]
    """ARNs of the target groups in which original or replacement is registered."""
    original_addresses: tuple[str, ...]
    """The private IPv4 address, or "" for none, then the IPv6 addresses."""
    replacement_addresses: tuple[str, ...]
    found_at: AwareDatetime
    """When it was read, at the start of the hand-over; limits the wait for healthy targets."""
    unserved_since: AwareDatetime | None = None
    """When the replacement was first seen in a zone that its load balancer does not serve."""


HandOverAction = Annotated[
    Literal["shift", "fail-over", "pay", "undo", "release"],
    BeforeValidator(lambda action: "fail-over" if action == "rescue" else action),
]
"""Definitions of version 0.1.0 say ``rescue`` for ``fail-over``."""


class HandOverRequest(SwitchStep):
    """HandOver (``shift`` in SwitchInstance, ``fail-over`` in FailOver), PayDebt (``pay``), UndoHandOver
    (``undo``), ReleaseOriginal (``release``)."""

    action: HandOverAction
    original_id: InstanceId
    replacement_id: InstanceId
    load_balancing: FoundLoadBalancing | None = stored_as("traffic", "load_balancing", default=None)
    """From an earlier answer; None to read it now."""
    standing: StandingLoadBalancing | None = None
    """What the standing plan says about the original. Used if the original is gone, and on ``undo`` if
    the original runs and the replacement that had its address is gone."""


class HandOverProgress(Boundary):
    """Answer of ``hand_over``: done, or look again after ``wait_s``."""

    done: bool
    wait_s: int = 0
    load_balancing: FoundLoadBalancing = stored_as("traffic", "load_balancing")
    handed_over: tuple[str, ...] = stored_as("moved", "handed_over", default=())
    """ARNs of target groups and allocation ids of addresses."""
    not_handed_over: tuple[str, ...] = stored_as("left_alone", "not_handed_over", default=())
    """Addresses of the standing plan that another instance has by now, in words."""
