"""A decision about one workload, with everything that explains it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Placement,
    Pool,
    Rule,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the workload could run. For on-demand both prices are the list price."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    subnet_id: str
    spot_usd_per_hour: float
    """Current spot price."""
    forecast_usd_per_hour: float
    """Mean forecast one hour ahead."""
    discount_points: float
    """100 x (1 - forecast / on-demand price of the home type)."""
    risk: float
    score: float | None = None
    """The engine's own figure; ``Decision.score_meaning`` explains it. None if the engine has none."""

    @property
    def pool(self) -> Pool:
        return Pool(self.instance_type, self.availability_zone)

    @property
    def placement(self) -> Placement:
        return Placement(self.instance_type, self.availability_zone, self.subnet_id)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pool that was not selected, with the reason. Prices are NaN if unknown."""

    pool: Pool
    reason: str
    spot_usd_per_hour: float
    """Current spot price."""
    forecast_usd_per_hour: float
    """Mean forecast one hour ahead."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one workload, and why."""

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
    """Targets, the best first; the switch tries them in this order. Empty for STAY."""
    rejected: tuple[Rejection, ...] = ()
    """The cheapest rejected pools, at most ten; pools that could host the workload come first."""
    rejected_counts: Mapping[str, int] = field(default_factory=dict)
    """Rejection reason -> number of pools."""
    evidence: Mapping[str, float | str | None] = field(default_factory=dict)
    """The inputs of the decision: prices, discount, risk, volatility, usage, ages."""
    held_by: str = ""
    """The guard that holds the decision back, and when or how the hold ends; empty if none does."""
    fallback_pending: bool = False
    """The workload falls back to on-demand if the next cycle still finds no safe pool."""
    home_type_after: str = ""
    """The home type after the switch; only right-sizing changes it."""
    forced_by: str = ""
    failover_plan: tuple[Candidate, ...] = ()
    """Pools to fail over to after an interruption, the best first, at most ten, without the current
    one."""
    failover_plan_current: bool = True
    """False if the market could not be judged: the plan on the ledger stays."""
    urgent: bool = False
    """The switch leaves an unbearable pool: it goes first, and limits of planned switches do not
    apply."""
    current_spot_usd_per_hour: float | None = None
    """Current spot price of the workload's pool, or the list price on-demand; None if unknown."""
    current_forecast_usd_per_hour: float | None = None
    """Mean forecast of the same pool one hour ahead, or the list price on-demand; None if unknown."""
    saving_spot_usd_per_hour: float | None = None
    """Saving of the first candidate by current spot prices; None if one of them is unknown."""
    saving_forecast_usd_per_hour: float = 0.0
    """Saving of the first candidate by forecasts, which is what engines compare; negative for most
    fallbacks, 0 if unknown."""
    engine: str = ""
    """Name of the engine."""
    score_meaning: str = ""
    """What a score is, with unit and direction; empty if the engine has no scores."""
    current_score: float | None = None
    """The score of the current place."""
    confidence: float = 0.0
    """Share of the important inputs that were known, 0 to 1; ``evidence`` names the unknown ones."""
    alarm: str = ""
    """Why the team gets an alert: the engine is unknown or failed. Empty otherwise."""
