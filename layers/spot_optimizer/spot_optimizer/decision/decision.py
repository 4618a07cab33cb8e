"""A decision, with all that explains it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
    Rule,
)


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
    row: Rule
    """Row of the decision table that decided, or the row of the state that another engine judged."""
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
    urgent: bool = False
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
