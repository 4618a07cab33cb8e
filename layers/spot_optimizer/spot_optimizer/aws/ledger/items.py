"""The items of the ledger.

An attribute has the name that the code uses. Some are stored under an older name, which ``stored_as``
gives: both names are read, the older one is written. An update of single attributes takes its names
from :meth:`Item.stored`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

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
    Placement,
    Pool,
    Scope,
)

Status = Literal["managed", "refused", "gone"]


class Item(BaseModel):
    """Base of ledger items. Unknown attributes are ignored, because during an upgrade two versions of
    the code read the same item."""

    model_config = ConfigDict(frozen=True, extra="ignore", serialize_by_alias=True)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """The item of a row. Raises ValidationError if the row is damaged.

        Contracts inside an item ignore unknown fields too; at a boundary they forbid them.
        """
        return cls.model_validate(row, extra="ignore")

    @classmethod
    def stored(cls, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Changes of attributes, by the names under which the ledger stores them.

        Raises KeyError for a name that the item does not have.
        """
        return {
            cls.model_fields[name].serialization_alias or name: value
            for name, value in changes.items()
        }


class PastSwitchItem(Item):
    """A switch of a workload that succeeded."""

    at: AwareDatetime
    lifecycle: Lifecycle
    planned: bool
    """Neither a failover nor an urgent switch nor forced by a user."""


PAST_SWITCHES_KEPT = timedelta(hours=24)


class ScheduledStopItem(Item):
    """EC2's announcement that it will stop or retire the instance of a workload."""

    instance_id: str
    at: AwareDatetime
    """The earliest time at which EC2 does it."""
    code: str
    """``instance-retirement`` or ``instance-stop``; from AWS Health its eventTypeCode."""
    noted_at: AwareDatetime
    """A start after this moved the instance to another host: the announcement no longer holds."""
    source: str = "status"
    """``status``: DescribeInstanceStatus, which also shows that an event is over; or ``health``."""
    reported: bool = False
    """An alert said that no switch is coming."""

    def holds_for(self, instance_id: str, launched_at: datetime) -> bool:
        """Whether it is about this run of this instance."""
        return self.instance_id == instance_id and self.noted_at >= launched_at


class WorkloadItem(Item):
    """The hot item of a workload: all that a cycle and a claim need, and nothing that grows."""

    workload_id: str
    instance_id: str
    instance_type: str = ""
    """Type of the instance. If the same instance has another type, a user has resized it."""
    availability_zone: str = ""
    lifecycle: Lifecycle = Lifecycle.SPOT
    launched_at: AwareDatetime | None = None
    status: Status = "managed"
    status_reason: str = ""
    """Why it is refused or gone. If it is managed: its warnings."""
    home_type: str = ""
    adopted_at: AwareDatetime | None = None
    mode: Mode | None = None
    """Set by command; overrides the tag."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Thresholds set by command; they override tags."""
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
    """Pool as text -> time of the last interruption or rebalance recommendation there."""
    fence: int = 0
    """Token of the newest claim. It only rises."""
    claim_switch_id: str | None = None
    claim_expires_at: AwareDatetime | None = None
    past_switches: tuple[PastSwitchItem, ...] = stored_as("moves", "past_switches", default=())
    """Switches that succeeded: all of the last 24 h, and sometimes older ones."""
    decision_digest: str = ""
    """Digest of the last recorded decision: a decision is written only if it differs."""
    template_doubted_at: AwareDatetime | None = stored_as(
        "doubted_at", "template_doubted_at", default=None
    )
    """When a replacement differed from its original. A launch template that was read before is not
    used: the instance is read again."""
    reported_interruption: str = stored_as("interruption_told", "reported_interruption", default="")
    """The last interruption that the sweep handled without an event, as
    ``reconcile.interruption_mark`` writes it: instance id and launch time."""
    state_rule: str = ""
    """``decision.guards.state_tag.StateRule``; empty until a cycle that knows the rule has looked."""
    gone_at: AwareDatetime | None = None
    """When a cycle found that its instance no longer exists; counts while the status is ``gone``."""

    scheduled_stop: ScheduledStopItem | None = None
    """The next stop or retirement that EC2 has announced; it may be of an earlier instance."""

    def claim_is_live(self, now: datetime) -> bool:
        """Whether a switch holds the workload and its claim has not expired."""
        return (
            self.claim_switch_id is not None
            and self.claim_expires_at is not None
            and self.claim_expires_at > now
        )


class ZoneSubnet(NamedTuple):
    """A subnet to launch in, with its availability zone."""

    availability_zone: str
    subnet_id: str


def _parts(value: Any) -> Any:
    return value.split("/") if isinstance(value, str) else value


_READ_FROM_TEXT, _WRITTEN_AS_TEXT = (
    BeforeValidator(_parts),
    PlainSerializer("/".join, return_type=str),
)


class FailoverTerms(Item):
    """What a failover must know of a workload's tags and settings, which an event does not carry."""

    mode: Mode
    dry_run: bool
    fallback_to_on_demand: bool
    guard: GuardRules
    advisor_bucket: int
    """Spot Advisor bucket of the current pool; -1 without an entry."""
    on_demand_subnets: tuple[Annotated[ZoneSubnet, _READ_FROM_TEXT, _WRITTEN_AS_TEXT], ...] = (
        stored_as("on_demand", "on_demand_subnets", default=())
    )
    """Where the home type may be launched on-demand, the current zone first. Stored as
    ``zone/subnet``."""


class PointerItem(Item):
    """The workload of an instance: EC2's events carry neither tags nor a workload id."""

    workload_id: str


class PoolEventItem(Item):
    """A refused launch or an interruption, in the list of all pools' events."""

    pool: str
    at: AwareDatetime
    subnet_id: str = ""
    """Of a launch that its subnet refused; empty for any other event."""


class SignalItem(Item):
    """One signal in a pool's history."""

    kind: str
    at: AwareDatetime
    instance_id: str = ""


class SupersededVersion(Item):
    """A version of a launch template that is not the workload's newest any more."""

    version: int
    at: AwareDatetime
    """When a newer one was written."""


class PlanItem(Item):
    """Launch template and standing failover plan, apart from the hot item because it is larger."""

    workload_id: str
    launch_template: LaunchTemplateRef | None = None
    """Its id is empty if EC2 no longer has the template; the next cycle creates another."""
    superseded_versions: tuple[SupersededVersion, ...] = ()
    """Versions of the template that an execution may still name which has not claimed its workload."""
    versions_deleted_to: int = 0
    """Versions up to this one have been deleted, except the first, EC2's default version."""
    launch_problem: str = ""
    """Why a replacement would not be like the instance, or not be launched at all: planned switches
    wait, a failover does what is possible. Empty if nothing is known to be wrong."""
    launch_losses: str = ""
    """What a replacement will lack, by the user's own leave."""
    read_instance_id: str = ""
    """The instance that was last read into the template. A replacement that we launched from the
    template need not be read."""
    fingerprint: str = ""
    """Of that instance when it was last read. If it differs now, the instance was changed."""
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
    changes its LaunchTime."""
    persistent_spot_request_id: str | None = None
    """Of the instance that was last read, and of no other (:meth:`spot_request_of`)."""
    placements: tuple[Annotated[Placement, _READ_FROM_TEXT, _WRITTEN_AS_TEXT], ...] = stored_as(
        "pools", "placements", default=()
    )
    """Where a failover may launch spot capacity, the best first. Stored as ``type/zone/subnet``."""
    terms: FailoverTerms | None = None
    """None until the first decision about the workload."""
    load_balancing: StandingLoadBalancing | None = stored_as(
        "traffic", "load_balancing", default=None
    )
    """None until a cycle has read it."""
    load_balancing_missed: tuple[str, ...] = stored_as(
        "traffic_missed", "load_balancing_missed", default=()
    )
    """What of ``load_balancing`` the last reading did not find; what the next one does not find either
    is removed."""
    served_zones: tuple[str, ...] | None = None
    """Zones that all of these load balancers serve. Empty if no load balancer limits them, None until a
    cycle has read them."""

    def spot_request_of(self, instance_id: str) -> str | None:
        """The persistent spot request of an instance. A replacement that we launched has none, and the
        request of an instance that the workload has left is its user's: cancelling it would terminate
        that instance if EC2 has stopped it."""
        return self.persistent_spot_request_id if instance_id == self.read_instance_id else None


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
    """Number of workloads that fail within an hour and open the breaker, as the last cycle found the
    setting. The steps of a switch read it here, because their version of the code may be older than the
    parameters."""
    load_balancing_read_at: AwareDatetime | None = stored_as(
        "traffic_read_at", "load_balancing_read_at", default=None
    )
    """When the target groups of all workloads were last read."""
    instances_looked_at: AwareDatetime | None = stored_as(
        "machines_looked_at", "instances_looked_at", default=None
    )
    """When the volumes and credit modes of all workloads were last read."""
    scheduled_events_read_at: AwareDatetime | None = None
    """When the scheduled events of all instances were last read."""
    state_demanded_since: AwareDatetime | None = None
    """When a cycle first demanded the tag ``state``. Workloads that were adopted before keep the old
    rule (``state_tag.state_rule``)."""
    state_alerted_at: AwareDatetime | None = None
    """When the last alert about workloads that keep the old rule was sent."""
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
    """The refusal was transient: the next attempt tried the same candidate."""


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
    """The failover that ended this switch: as FAILED before its commit, as DONE after it."""
    replacement_adopted: bool = False
    """That failover continues with this switch's replacement."""
    ended_at: AwareDatetime | None = None
    resumes: int = 0
    """Executions that the sweep has started to finish or roll back the switch."""
    findings: str = "[]"
    """JSON list: how the replacement differs from the original, and why each difference is harmless."""
    handed_over: str = stored_as("moved", "handed_over", default="[]")
    """JSON list: target groups and addresses that were handed over."""
    not_handed_over: str = stored_as("left_alone", "not_handed_over", default="[]")
    """JSON list: addresses that a failover could not hand over because another instance has them."""
    owed_because: str = ""
    """Why a failover committed without its hand-over; empty if it did not. See ``DebtItem``."""
    outcome: dict[str, Any] = Field(default_factory=dict)
    """Savings, break-even, overlap, downtime; or the failure."""


class DebtItem(Item):
    """What the instance of a workload still lacks of the instance before it.

    Written in the transaction that gives the workload that instance; deleted when it is paid.
    """

    workload_id: str
    switch_id: str
    """The switch or failover that launched the instance."""
    original_id: str
    """The instance that had it."""
    load_balancing: StandingLoadBalancing | None = None
    """Registrations and addresses, as the standing plan had them; None if it had none. While the
    original runs, its current ones count."""
    since: AwareDatetime
    reason: str
    """Why they were not handed over."""
    tries: int = 0
    """Executions that have tried to pay it."""
    tried_at: AwareDatetime | None = None
    reported_at: AwareDatetime | None = None
    """When the sweep last sent an alert about it."""


def pool_from_text(text: str) -> Pool:
    """``m5.large/us-east-1a`` as a pool."""
    instance_type, _, zone = text.partition("/")
    return Pool(instance_type, zone)
