"""What an engine returns, and the outcomes that all engines share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spot_optimizer.decision.decision import Candidate
from spot_optimizer.decision.over_or_under_provisioned import UsageClass
from spot_optimizer.decision.ranking import on_demand_candidates
from spot_optimizer.decision.selection import CANDIDATES_MAX, Selection
from spot_optimizer.decision.situation import Situation
from spot_optimizer.vocabulary import DecisionKind, Rule


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine decided; the frame around the engines makes a Decision of it."""

    kind: DecisionKind
    row: Rule
    """Row of the decision table: for the engine ``forecast`` the one that decided, for others the one
    of the state that they judged."""
    reason: str
    selection: Selection | None = None
    """The pools that were considered; None if there was no need for a market, or no market."""
    candidates: tuple[Candidate, ...] = ()
    home_type_after: str = ""
    """The new home type; empty if it does not change."""
    fallback_pending: bool = False
    """The workload falls back to on-demand if the next cycle comes to the same result."""
    plan: Selection | None = None
    """Pools to fail over to, the best first; None for all safe pools, by forecast price."""
    score_meaning: str = ""
    """What a score is, with unit and direction; empty if the engine has no scores."""
    current_score: float | None = None
    """The score of the current place."""
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    """The engine's own inputs and results, for the evidence on record."""


def leave_unbearable(selection: Selection) -> Outcome:
    """SWITCH to the best of the pools left, with on-demand as the last resort; FALLBACK without one."""
    situation = selection.situation
    if not len(selection.ranked):
        why = f"{place_of(situation)} and no pool is safe"
        return fall_back(selection, Rule.LEAVE_UNBEARABLE, why)
    last_resort: tuple[Candidate, ...] = ()
    if situation.workload.settings.fallback_to_on_demand:
        last_resort = on_demand_candidates(situation)[:1]
    candidates = selection.candidates(CANDIDATES_MAX - len(last_resort)) + last_resort
    reason = f"{place_of(situation)}: {against(situation, candidates[0])}"
    return Outcome(DecisionKind.SWITCH, Rule.LEAVE_UNBEARABLE, reason, selection, candidates)


def fall_back(selection: Selection, row: Rule, why: str) -> Outcome:
    """FALLBACK to the home type on-demand: at once if under-provisioned, else once the next cycle comes
    to the same result. STAY if the fallback is disabled or no zone offers the type."""
    situation = selection.situation
    if not situation.workload.settings.fallback_to_on_demand:
        reason = f"{why}; the fallback to on-demand is disabled"
        return Outcome(DecisionKind.STAY, row, reason, selection)
    candidates = on_demand_candidates(situation)
    if not candidates:
        reason = f"{why}; no zone to launch in offers {situation.home.name} on-demand"
        return Outcome(DecisionKind.STAY, row, reason, selection)
    price = (
        f"{situation.home.name} on-demand costs {situation.home_on_demand_usd_per_hour:.4f} "
        "USD per hour"
    )
    pending_since = situation.workload.fallback_pending_since
    if situation.usage.usage_class is UsageClass.UNDER:
        why = f"{why}; at once because under-provisioned ({situation.usage.reason})"
    elif pending_since is not None and pending_since < situation.now:
        minutes = (situation.now - pending_since).total_seconds() / 60
        why = f"{why}, still after {minutes:.0f} minutes"
    else:
        reason = f"{why}; {price}: falls back if the next cycle comes to the same result"
        return Outcome(DecisionKind.STAY, row, reason, selection, fallback_pending=True)
    return Outcome(DecisionKind.FALLBACK, row, f"{why}; {price}", selection, candidates)


def resized(row: Rule, selection: Selection) -> Outcome:
    """SWITCH to the best of the pools left, whose type becomes the home type."""
    usage, candidates = selection.situation.usage, selection.candidates()
    return Outcome(
        DecisionKind.SWITCH,
        row,
        f"{usage.usage_class} ({usage.reason}): {against(selection.situation, candidates[0])}",
        selection,
        candidates,
        home_type_after=candidates[0].instance_type,
    )


def with_smaller(outcome: Outcome, smaller: Selection | None) -> Outcome:
    """``outcome`` with the selection of smaller types, which explains why none of them is taken."""
    if outcome.selection is None or smaller is None:
        return outcome
    return replace(outcome, selection=replace(outcome.selection, smaller=smaller))


def place_of(situation: Situation) -> str:
    """The current place with its state and the reason for it."""
    return f"{situation.workload.pool} is {situation.state} ({situation.why})"


def against(situation: Situation, candidate: Candidate) -> str:
    """The candidate compared with the current place, by forecast prices and risk."""
    name = str(candidate.pool)
    if math.isnan(situation.forecast_usd_per_hour):
        return (
            f"{name} is forecast to cost {candidate.forecast_usd_per_hour:.4f} USD per hour (discount "
            f"{candidate.discount_points:.1f} points) at risk {candidate.risk:.2f}"
        )
    gain = candidate.discount_points - situation.discount_points
    return (
        f"{name} is forecast to cost {abs(gain):.1f} points {'less' if gain >= 0 else 'more'} "
        f"(discount {candidate.discount_points:.1f} against {situation.discount_points:.1f}) "
        f"at risk {candidate.risk:.2f} against {situation.risk:.2f}"
    )
