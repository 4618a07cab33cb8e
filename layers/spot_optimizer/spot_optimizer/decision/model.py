"""What goes into a decision and what comes out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.decision.experience import PoolEvent
from spot_optimizer.decision.guards.windows import Window
from spot_optimizer.decision.image import Image
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.words import DecisionKind, Lifecycle, Mode, Pool


@dataclass(frozen=True, slots=True)
class Move:
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
    subnets: Mapping[str, str] = field(default_factory=dict)
    """Availability zone -> subnet to launch in; a zone that is missing is refused."""
    refused_zones: Mapping[str, str] = field(default_factory=dict)
    """Availability zone with subnets, none of them to launch in -> why, in words."""
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
    moves: tuple[Move, ...] = ()
    """Those of the last 24 hours."""

    @property
    def pool(self) -> Pool:
        return Pool(self.instance_type, self.availability_zone)

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the workload could run."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    subnet_id: str
    price_usd_per_hour: float
    """Forecast mean one hour ahead for spot, the list price for on-demand."""
    discount_points: float
    """100 x (1 - price / on-demand price of the home type)."""
    risk: float
    score: float | None = None
    """The engine's own figure; Decision.score_meaning says what it is. None where it has none."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pool that was looked at and not taken, with the reason."""

    pool: Pool
    reason: str
    price_usd_per_hour: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one look at one workload, with all that explains it."""

    decision_id: str
    workload_id: str
    instance_id: str
    at: datetime
    kind: DecisionKind
    row: int
    """Row of the truth table that decided, or whose situation another engine judged; 0 where a
    precondition failed (no price, no catalogue entry, no engine) or the user forced the target."""
    reason: str
    """One sentence for people, with the figures that decided."""
    candidates: tuple[Candidate, ...] = ()
    """Targets in rank order, the best first; the workflow tries them in turn. Empty for STAY."""
    rejected: tuple[Rejection, ...] = ()
    """The cheapest of the rejected pools, at most ten, those that could host the workload first."""
    rejected_counts: Mapping[str, int] = field(default_factory=dict)
    """Rejection reason -> number of pools."""
    evidence: Mapping[str, float | str | None] = field(default_factory=dict)
    """The inputs that counted: prices, discount, risk, volatility, usage, ages."""
    held_by: str = ""
    """The guard that keeps it from being acted upon, with until when or how to lift it; empty if none."""
    fallback_pending: bool = False
    """Set when the next cycle shall fall back if it still finds no safe pool."""
    home_type_after: str = ""
    """The home type once the switch has succeeded: changed by right-sizing only."""
    forced_by: str = ""
    failover_plan: tuple[Candidate, ...] = ()
    """Ranked pools that the engine lets in, other than the current one, at most ten: the standing
    failover plan."""
    failover_plan_current: bool = True
    """False where the market could not be judged: the plan already on the ledger stays."""
    rescue: bool = False
    """The move leaves an unbearable pool: it goes first, and limits of planned moves spare it."""
    saving_usd_per_hour: float = 0.0
    """What the move saves against the current cost; negative for most fallbacks, 0 when unknown."""
    engine: str = ""
    """The engine that judged."""
    score_meaning: str = ""
    """What the candidates' scores are, with unit and direction; empty where there are none."""
    current_score: float | None = None
    """The score of where the workload is."""
    confidence: float = 0.0
    """Share of the inputs that count that were known, 0 to 1; ``evidence`` names the others."""
    alarm: str = ""
    """Why the team should be told: the engine is unknown or broken. Empty if it should not."""
