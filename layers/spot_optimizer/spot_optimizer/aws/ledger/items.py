"""The items of the ledger."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from spot_optimizer.contracts.boundary import stored_as
from spot_optimizer.contracts.switch import (
    GuardRules,
    LaunchTemplateRef,
    StandingLoadBalancing,
    SwitchOrder,
)
from spot_optimizer.vocabulary import (
    Lifecycle,
    Mode,
    Phase,
    Pool,
    Scope,
)

Status = Literal["managed", "refused", "gone"]


class Item(BaseModel):
    """Base of ledger items. Unknown attributes are ignored: during an upgrade two versions of the
    code read the same item."""

    model_config = ConfigDict(frozen=True, extra="ignore", serialize_by_alias=True)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """The item of a row. Raises ValidationError where it is damaged.

        Contracts within it, which forbid unknown fields at a boundary, are read as the item itself.
        """
        return cls.model_validate(row, extra="ignore")


class PastSwitchItem(Item):
    """A switch of a workload that succeeded."""

    at: AwareDatetime
    lifecycle: Lifecycle
    planned: bool
    """Neither a rescue nor forced by a user."""


PAST_SWITCHES_KEPT = timedelta(hours=24)


class WorkloadItem(Item):
    """The hot item of a workload: all that a cycle and a claim need, and nothing that grows."""

    workload_id: str
    instance_id: str
    instance_type: str = ""
    """Type that the workload runs on; another one on the same instance means that a user resized it."""
    availability_zone: str = ""
    lifecycle: Lifecycle = Lifecycle.SPOT
    launched_at: AwareDatetime | None = None
    status: Status = "managed"
    status_reason: str = ""
    """Why it is refused or gone; for a managed one its warnings."""
    home_type: str = ""
    adopted_at: AwareDatetime | None = None
    mode: Mode | None = None
    """Set by command; stronger than the tag."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Thresholds set by command; stronger than tags."""
    failures: int = 0
    """Failed switches in a row."""
    breaker_open_since: AwareDatetime | None = None
    backoffs: int = 0
    """Refused or failed launches in a row."""
    backoff_until: AwareDatetime | None = None
    cooldown_until: AwareDatetime | None = None
    sized_up_at: AwareDatetime | None = None
    fallback_pending_since: AwareDatetime | None = None
    signals: dict[str, AwareDatetime] = Field(default_factory=dict)
    """Pool as text -> last interruption or rebalance recommendation met there."""
    fence: int = 0
    """Token of the newest claim; only ever rises."""
    claim_switch_id: str | None = None
    claim_expires_at: AwareDatetime | None = None
    moves: tuple[PastSwitchItem, ...] = ()
    """Switches that succeeded, of the last day and maybe older ones."""
    decision_digest: str = ""
    """What the last recorded decision said, so that only changes are written."""
    doubted_at: AwareDatetime | None = None
    """When a replacement turned out to be another machine: what was read before is read again."""
    interruption_told: str = ""
    """The last interruption that the sweep found without an event: instance id and launch time."""
    gone_at: AwareDatetime | None = None
    """When a cycle found that its instance is no more; counts while the status is ``gone``."""


class FailoverTerms(Item):
    """What a rescue must know of a workload's tags and settings: an event carries none."""

    mode: Mode
    dry_run: bool
    fallback_to_on_demand: bool
    guard: GuardRules
    advisor_bucket: int
    """Spot Advisor bucket of the current pool; -1 without an entry."""
    on_demand: tuple[str, ...] = ()
    """Where the home type may be bought on-demand, as ``zone/subnet``; the current zone first."""


class PointerItem(Item):
    """Whose an instance is: events carry no tags and no workload id."""

    workload_id: str


class PoolEventItem(Item):
    """A refused launch or an interruption, in the list of what all pools have shown."""

    pool: str
    at: AwareDatetime


class SignalItem(Item):
    """One signal in a pool's history."""

    kind: str
    at: AwareDatetime
    instance_id: str = ""


class PlanItem(Item):
    """Launch template and standing failover plan, apart from the hot item because it is larger."""

    workload_id: str
    launch_template: LaunchTemplateRef | None = None
    """With an empty id where EC2 has it no more and the next cycle makes it anew."""
    read_instance_id: str = ""
    """The instance that was last read as a machine; a switch of ours keeps it faithful."""
    fingerprint: str = ""
    """Of that instance when it was last read; another one means that the machine was changed."""
    details: str = ""
    """Of its volumes and credit mode then (``stored_digests.details_digest``); empty where they have or
    may have changed: it is read again as soon as there is time."""
    identity_digest: str = ""
    """Of that instance's identity (``instance_identity``); empty if it was never computed."""
    state_digest: str = ""
    """Of its disks and addresses (``instance_state``); empty if it was never computed."""
    read_at: AwareDatetime | None = None
    """When it was last read."""
    read_launch_time: AwareDatetime | None = None
    """LaunchTime of that instance then. A stopped instance may be given other user data, and a start
    makes the time a new one."""
    persistent_spot_request_id: str | None = None
    pools: tuple[str, ...] = ()
    """Ranked pools that the engine lets in, as ``type/zone/subnet``, the best first."""
    terms: FailoverTerms | None = None
    """None until the first decision about the workload."""
    load_balancing: StandingLoadBalancing | None = stored_as(
        "traffic", "load_balancing", default=None
    )
    """None until a cycle has looked."""
    load_balancing_missed: tuple[str, ...] = stored_as(
        "traffic_missed", "load_balancing_missed", default=()
    )
    """What of ``load_balancing`` the last look missed; what the next one misses too is forgotten."""
    served_zones: tuple[str, ...] | None = None
    """Zones that all of these load balancers serve; empty where no load balancer limits them, None until
    a cycle has looked."""


class StackItem(Item):
    """What concerns the whole stack."""

    schema_version: int = 1
    """Of the whole ledger; see aws/ledger/schema.py."""
    global_stop: bool = False
    overrides: dict[str, Any] = Field(default_factory=dict)
    failures: tuple[dict[str, Any], ...] = ()
    """Failed switches of the last hour: ``{"workload_id", "at"}``."""
    breaker_open_since: AwareDatetime | None = None
    breaker_workloads: int = 3
    """Workloads failing within an hour that open it, as the last cycle found the setting: a switch ends
    with the version of the code that it began with, whose environment may be older."""
    load_balancing_read_at: AwareDatetime | None = stored_as(
        "traffic_read_at", "load_balancing_read_at", default=None
    )
    """When the target groups of all workloads were last read."""
    instances_looked_at: AwareDatetime | None = stored_as(
        "machines_looked_at", "instances_looked_at", default=None
    )
    """When the volumes and credit modes of all machines were last looked at."""
    version: int = 0
    """Rises with every write of ``failures``: optimistic locking."""


class RefusedAttempt(Item):
    """One attempt of a switch that EC2 refused."""

    attempt: int
    candidate: int
    """Index into the order's candidates."""
    code: str
    scope: Scope
    cure: str
    message: str
    again: bool = False
    """The next attempt had the same candidate: what refused this one was to pass by itself."""


class SwitchItem(Item):
    """One switch, from claim to outcome."""

    workload_id: str
    switch_id: str
    order: SwitchOrder
    phase: Phase
    fence: int
    candidate: int = 0
    """Index of the candidate that is being tried."""
    attempt: int = 1
    claimed_at: AwareDatetime
    refusals: tuple[RefusedAttempt, ...] = ()
    replacement_id: str | None = None
    launched_at: AwareDatetime | None = None
    healthy_at: AwareDatetime | None = None
    handed_over_at: AwareDatetime | None = None
    committed_at: AwareDatetime | None = None
    abandoned_at: AwareDatetime | None = None
    taken_over_by: str | None = None
    """The rescue that ended this switch: as FAILED before its commit, as DONE after it."""
    replacement_adopted: bool = False
    """That rescue goes on with this switch's replacement."""
    ended_at: AwareDatetime | None = None
    resumes: int = 0
    """Executions that the sweep has started to bring the switch to its end."""
    findings: str = "[]"
    """JSON list: what differed between original and replacement, each explained."""
    moved: str = "[]"
    """JSON list: target groups and addresses that were handed over."""
    left_alone: str = "[]"
    """JSON list: what a rescue was to hand over and found with another machine."""
    outcome: dict[str, Any] = Field(default_factory=dict)
    """Saving per hour, break-even, overlap, downtime; or the failure."""


def pool_from_text(text: str) -> Pool:
    """``m5.large/us-east-1a`` as a pool."""
    instance_type, _, zone = text.partition("/")
    return Pool(instance_type, zone)
