"""The inputs of a cycle's decisions."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.decision.guards.windows import Window
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.scheduled_stop import ScheduledStop
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    Lifecycle,
    Mode,
    Pool,
)


@dataclass(frozen=True, slots=True)
class PastSwitch:
    """A successful switch of the last day."""

    at: datetime
    lifecycle: Lifecycle
    """Of its target."""
    planned: bool
    """Neither urgent nor forced by a user."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload in a cycle: its instance, what the user allows, its state on the ledger."""

    workload_id: str
    instance_id: str
    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    launched_at: datetime
    home_type: str
    settings: Settings
    mode: Mode = Mode.AUTO
    type_globs: tuple[str, ...] = ("*",)
    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Availability zone -> ids of the subnets to launch in, the preferred one first; never empty. The
    workload is not placed in zones that are missing here."""
    refused_zones: Mapping[str, str] = field(default_factory=dict)
    """Availability zone whose subnets cannot be used -> why, in words."""
    usage: Usage | None = None
    signals: Mapping[Pool, datetime] = field(default_factory=dict)
    """The workload's last interruption or rebalance recommendation, by pool."""
    sized_up_at: datetime | None = None
    fallback_pending_since: datetime | None = None
    """When a cycle first decided to fall back; the next cycle with the same result does so."""
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None
    breaker_open: bool = False
    live_switch_id: str | None = None
    image: Image = field(default_factory=Image)
    windows: tuple[Window, ...] = ()
    """Maintenance windows: planned switches wait for one of them. Empty: any time is allowed."""
    not_before: datetime | None = None
    """Planned switches wait until then."""
    moves: tuple[PastSwitch, ...] = ()
    """Switches of the last 24 hours."""
    owes_hand_over: bool = False
    """Its instance still lacks target groups or addresses of the instance before it."""
    scheduled_stop: ScheduledStop | None = None
    """When EC2 will stop or retire its instance; None if EC2 has announced nothing."""
    launch_problem: str = ""
    """Why a replacement would be refused or differ from the instance; empty if nothing is known."""
    state_missing: bool = False
    """The tag ``state`` is missing: nothing of the workload is moved."""

    @property
    def pool(self) -> Pool:
        return Pool(self.instance_type, self.availability_zone)

    def subnet_in(self, zone: str) -> str:
        """The preferred subnet of a zone. Raises KeyError for a zone that ``subnets`` lacks."""
        return self.subnets[zone][0]

    def why_not_in(self, zone: str) -> str:
        """Why there is no subnet to launch in, for a zone that ``subnets`` lacks."""
        reason = self.refused_zones.get(zone)
        return f"no subnet to use in {zone}: {reason}" if reason else f"no subnet in {zone}"


@dataclass(frozen=True, slots=True)
class StackState:
    """State of the whole stack that limits switches."""

    global_stop: bool = False
    breaker_open: bool = False
    switches_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Force:
    """A decision that a user forces: made at once, regardless of a cooldown, optionally with a target."""

    asked_by: str
    pool: Pool | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT


def in_trial(version: str, share: float, workload_id: str) -> bool:
    """Whether this workload belongs to the share, 0 to 1, of a trial. Version and id determine it: the
    same workloads during the whole trial, and more of them if the share grows."""
    drawn = hashlib.sha256(f"{version}/{workload_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") < share * 2**64


@dataclass(frozen=True, slots=True)
class Trial:
    """A second model that decides for a share of the workloads."""

    version: str
    share: float
    """0 to 1."""
    market: MarketSnapshot
    """The same prices, forecast by that model."""

    def decides_for(self, workload_id: str) -> bool:
        """See ``in_trial``."""
        return in_trial(self.version, self.share, workload_id)


@dataclass(frozen=True, slots=True)
class World:
    """All inputs of one cycle's decisions."""

    workloads: tuple[WorkloadView, ...]
    market: MarketSnapshot | None
    catalog: Catalog
    stack: StackState = StackState()
    force: Mapping[str, Force] = field(default_factory=dict)
    """Workload id -> force."""
    refusals: tuple[PoolEvent, ...] = ()
    """Launches of all workloads that EC2 refused for lack of capacity."""
    interruptions: tuple[PoolEvent, ...] = ()
    """Interruptions of the stack's instances."""
    trial: Trial | None = None
