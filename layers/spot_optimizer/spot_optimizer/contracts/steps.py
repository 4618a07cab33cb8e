"""Requests and answers of the functions that are steps of a state machine."""

from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
)

from spot_optimizer.contracts.boundary import Boundary, InstanceId, WorkloadId, stored_as
from spot_optimizer.contracts.switch import (
    Attempt,
    LaunchTemplateRef,
    StandingLoadBalancing,
    SwitchOrder,
    Target,
)
from spot_optimizer.vocabulary import Scope


class Claim(Boundary):
    """Answer of ClaimSwitch. The token is a decimal string: DynamoDB's wire form of a number."""

    token: str = Field(pattern=r"^\d+$")
    attempt: Attempt


class ClaimRequest(Boundary):
    """ClaimSwitch: one transaction, no live claim, breakers closed, decision new."""

    action: Literal["claim"]
    order: SwitchOrder


class TakeOverRequest(Boundary):
    """ClaimFailOver: claim for a rescue, over the head of whoever holds the workload."""

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
    """Answer of ClaimFailOver: the claim, and the replacement of a graceful switch that goes on."""

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


class FoundLoadBalancing(Boundary):
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


HandOverAction = Annotated[
    Literal["shift", "fail-over", "undo", "release"],
    BeforeValidator(lambda action: "fail-over" if action == "rescue" else action),
]
"""Definitions of version 0.1.0 say ``rescue`` for ``fail-over``."""


class HandOverRequest(SwitchStep):
    """HandOver of SwitchInstance (shift) and of FailOver (fail-over), UndoHandOver (undo),
    ReleaseOriginal (release)."""

    action: HandOverAction
    original_id: InstanceId
    replacement_id: InstanceId
    load_balancing: FoundLoadBalancing | None = stored_as("traffic", "load_balancing", default=None)
    """As an earlier answer named it; None to find it."""
    standing: StandingLoadBalancing | None = None
    """What the standing plan remembers of the original. Counts when it is gone; on ``undo`` when it
    lives, and the replacement that had its address is gone."""


class HandOverProgress(Boundary):
    """Answer of ``hand_over``: done, or look again after ``wait_s``."""

    done: bool
    wait_s: int = 0
    load_balancing: FoundLoadBalancing = stored_as("traffic", "load_balancing")
    moved: tuple[str, ...] = ()
    """What was handed over: ARNs of target groups and allocation ids of addresses."""
    left_alone: tuple[str, ...] = ()
    """Addresses that the standing plan names and that another machine has by now, in words."""
