"""Inputs of the state machines SwitchInstance and FailOver."""

from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    Field,
)

from spot_optimizer.contracts.boundary import (
    Boundary,
    InstanceId,
    TypeName,
    WorkloadId,
    ZoneName,
    stored_as,
)
from spot_optimizer.vocabulary import DecisionKind, Lifecycle


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
    """Digest of the instance that was read into it (``stored_digests.instance_digest``); may be empty."""
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


class StandingLoadBalancing(Boundary):
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
    standing_load_balancing: StandingLoadBalancing | None = stored_as(
        "standing_traffic", "standing_load_balancing", default=None
    )
    """Where the original's traffic was; counts when the original is gone before its hand-over."""
    goes_on_with: str = ""
    """A switch that broke off, rescue or not: a rescue takes its claim and its replacement over."""


class LeftInstance(Boundary):
    """An instance that a resumed switch works on."""

    instance_id: InstanceId


class LeftClaim(Boundary):
    """The fencing token on the record of a resumed switch."""

    token: str = Field(pattern=r"^\d+$")


class LoadBalancingUnknown(Boundary):
    """The hand-over has to find the traffic itself."""

    load_balancing: None = stored_as("traffic", "load_balancing", default=None)


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
    hand_over: LoadBalancingUnknown = LoadBalancingUnknown()
    standing_load_balancing: StandingLoadBalancing | None = stored_as(
        "standing_traffic", "standing_load_balancing"
    )
    """As the switch was ordered with."""
    failure: LeftFailure


class Attempt(Boundary):
    """One try of a switch: which candidate, counted from 1."""

    number: int = Field(ge=1)
    target: Target
