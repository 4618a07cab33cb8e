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
from spot_optimizer.contracts.patterns import CLAIM_TOKEN, SWITCH_ID
from spot_optimizer.vocabulary import DecisionKind, Lifecycle


class Target(Boundary):
    """Where to launch a replacement."""

    instance_type: TypeName
    availability_zone: ZoneName
    lifecycle: Lifecycle
    subnet_id: str
    forecast_usd_per_hour: float | None = stored_as("price_usd_per_hour", "forecast_usd_per_hour")
    """Forecast price for spot, list price for on-demand; None in a failover, whose standing plan holds
    no prices."""


class Original(Boundary):
    """The instance that a switch leaves."""

    instance_id: InstanceId
    instance_type: TypeName
    availability_zone: ZoneName
    lifecycle: Lifecycle
    spot_usd_per_hour: float | None = stored_as("price_usd_per_hour", "spot_usd_per_hour")
    """Current price: the list price if it is on-demand. None if the pool's price was unknown."""
    persistent_spot_request_id: str | None = None
    """Cancelled before the instance is terminated; otherwise EC2 would launch another one."""


class LaunchTemplateRef(Boundary):
    """The workload's launch template: EC2 keeps the data, we keep id, version and a hash."""

    template_id: str
    version: int
    data_hash: str
    instance_digest: str = stored_as("machine", "instance_digest", default="")
    """Of the instance that was read into it (``stored_digests.instance_digest``); empty if unknown."""
    cpu_credits: str | None = None
    """Credit mode for burstable types; the template cannot hold it, other types refuse it."""
    shutdown_behavior: str | None = None
    """For on-demand launches; a spot launch must not ask for ``stop``."""
    capacity_reservation_preference: str | None = None
    """For on-demand launches; spot launches have none."""


class StandingRegistration(Boundary):
    """A registration of a workload's instance in a target group."""

    target_group_arn: str
    port: int
    position: int = Field(ge=0)
    """Which of the instance's names is registered: 0 its id, 1 its private IPv4 address, then IPv6."""
    in_use: bool
    """A load balancer sent traffic there or was about to."""


class StandingLoadBalancing(Boundary):
    """Registrations and addresses of a workload's instance, as a cycle last read them.

    When the instance ends, its addresses become free and its registrations are removed. A failover that
    begins after that takes them from here.
    """

    instance_id: InstanceId
    addresses: tuple[str, ...]
    """Of that instance: its private IPv4 address, or "" for none, then the IPv6 addresses."""
    registrations: tuple[StandingRegistration, ...] = ()
    allocation_ids: tuple[str, ...] = ()
    """Of its Elastic IP addresses."""


class GuardRules(Boundary):
    """The workload's own thresholds that apply when a switch ends."""

    cooldown_minutes: float
    breaker_failures: int
    backoff_minutes: float
    backoff_minutes_max: float


CANDIDATES_MAX = 14
"""Version 0.1.0 refuses an order with more."""

ORIGINAL_LOOKS_MAX = 20
"""One look in 30 s, for ten minutes. Then FailOver concludes that the original was only stopped."""


class SwitchOrder(Boundary):
    """Input of one SwitchInstance or FailOver execution. Holds no user data and no secret."""

    schema_version: Literal[1] = 1
    switch_id: str = Field(pattern=SWITCH_ID)
    """Name of the execution; derived from the decision."""
    workload_id: WorkloadId
    decision_id: str
    decided_at: AwareDatetime
    kind: Literal[DecisionKind.SWITCH, DecisionKind.FALLBACK, DecisionKind.EVACUATE]
    row: int
    reason: str
    original: Original
    candidates: Annotated[tuple[Target, ...], Field(min_length=1, max_length=CANDIDATES_MAX)]
    """In rank order; a pool may come several times, with other subnets of its zone. Those of a failover:
    up to ten spot pools, three places on-demand, and that of a replacement that it adopted."""
    launch_template: LaunchTemplateRef
    home_type_after: TypeName
    auto_terminate: bool
    guard: GuardRules
    asked_by: str = ""
    original_ends_at: AwareDatetime | None = None
    """When EC2 ends the original of a failover, if its signal says so."""
    original_looks: int = Field(default=0, ge=0, le=ORIGINAL_LOOKS_MAX)
    """How many of the looks whether the original of a failover is gone count as done. All of them if EC2
    had already stopped it: a stopped instance remains."""
    standing_load_balancing: StandingLoadBalancing | None = stored_as(
        "standing_traffic", "standing_load_balancing", default=None
    )
    """Used if the original is gone before its hand-over."""
    continues_switch_id: str = stored_as("goes_on_with", "continues_switch_id", default="")
    """An interrupted switch or failover, whose claim and replacement this failover takes over."""


class LeftInstance(Boundary):
    """An instance that a resumed switch works on."""

    instance_id: InstanceId


class LeftClaim(Boundary):
    """The fencing token on the record of a resumed switch."""

    token: str = Field(pattern=CLAIM_TOKEN)


class LoadBalancingUnknown(Boundary):
    """The hand-over must read registrations and addresses itself."""

    load_balancing: None = stored_as("traffic", "load_balancing", default=None)


class LeftFailure(Boundary):
    """Why the sweep resumes or ends a switch, in the form of a caught error."""

    Error: Literal["LeftUnfinished"] = "LeftUnfinished"
    Cause: str


class LaterOrder(Boundary):
    """What the sweep's executions have in common: they continue what a switch has begun."""

    schema_version: Literal[1] = 1
    switch_id: str
    workload_id: WorkloadId
    claim: LeftClaim
    original: LeftInstance
    replacement: LeftInstance
    hand_over: LoadBalancingUnknown = LoadBalancingUnknown()
    standing_load_balancing: StandingLoadBalancing | None = stored_as(
        "standing_traffic", "standing_load_balancing"
    )


class ResumeOrder(LaterOrder):
    """Input of a SwitchInstance execution that finishes or rolls back a switch whose own execution has
    ended. It starts at AbandonSwitch: the record says whether it goes forward or is undone.

    ``original``: if committed, the instance that the workload left; otherwise the one that it runs on.
    ``standing_load_balancing``: as in the switch's order.
    """

    resume: int = Field(ge=1)
    """Number of this execution among those that the sweep starts for one switch."""
    failure: LeftFailure


class DebtOrder(LaterOrder):
    """Input of a FailOver execution that pays a debt: it hands over what an instance still lacks.

    It holds no claim, and its token is of none. The debt is forgotten only if the workload still runs on
    the instance and no switch is replacing it. ``original``: the instance that had what is owed;
    ``replacement``: the instance that the workload runs on; ``standing_load_balancing``: what the debt
    names.
    """

    pays_debt: Literal[True] = True
    payment: int = Field(ge=1)
    """Number of this execution among those that the sweep starts for one debt."""


class Attempt(Boundary):
    """One try of a switch: which candidate, counted from 1."""

    number: int = Field(ge=1)
    target: Target
