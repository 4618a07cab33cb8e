"""What a cycle decides upon."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.decision.guards.windows import Window
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.pool_history import PoolEvent
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
    """A switch of the last day that succeeded."""

    at: datetime
    lifecycle: Lifecycle
    """What it moved to."""
    planned: bool
    """Neither a rescue nor forced by a user."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload as a cycle sees it: the instance, what the user allows, what the ledger remembers."""

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
    """Last interruption or rebalance recommendation that this workload met, by pool."""
    sized_up_at: datetime | None = None
    fallback_pending_since: datetime | None = None
    """When a cycle first found that it must fall back; the next one that agrees does so."""
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None
    breaker_open: bool = False
    live_switch_id: str | None = None
    image: Image = field(default_factory=Image)
    windows: tuple[Window, ...] = ()
    """Maintenance windows; planned moves wait for one of them. Empty: any time will do."""
    not_before: datetime | None = None
    """Planned moves wait until then."""
    moves: tuple[PastSwitch, ...] = ()
    """Those of the last 24 hours."""

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
    """What the stack as a whole allows at this moment."""

    global_stop: bool = False
    breaker_open: bool = False
    switches_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Force:
    """A decision that a user forces: evaluated at once without cooldown, optionally to a given target."""

    asked_by: str
    pool: Pool | None = None
    lifecycle: Lifecycle = Lifecycle.SPOT


def in_trial(version: str, share: float, workload_id: str) -> bool:
    """Whether a share of the workloads, 0 to 1, holds this one. Drawn by version and id: the same
    workloads as long as the trial lasts, more of them when the share grows."""
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
    """Everything that one cycle decides upon."""

    workloads: tuple[WorkloadView, ...]
    market: MarketSnapshot | None
    catalog: Catalog
    stack: StackState = StackState()
    force: Mapping[str, Force] = field(default_factory=dict)
    """Workload id -> force."""
    refusals: tuple[PoolEvent, ...] = ()
    """Launches that EC2 refused for want of capacity, of all workloads."""
    interruptions: tuple[PoolEvent, ...] = ()
    """Interruptions that the stack's instances met."""
    trial: Trial | None = None
