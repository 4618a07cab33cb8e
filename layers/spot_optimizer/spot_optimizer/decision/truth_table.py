"""The truth table of spec section 1: rows 1 to 7, the first that holds decides.

Rows 1 and 2 may pass with None. Rows 3 to 7 each belong to one state of the current pool, so
exactly one of them decides when rows 1 and 2 pass.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spot_optimizer.decision.model import Candidate
from spot_optimizer.decision.rightsizing import (
    ROUNDING_POINTS,
    find_one_size_up,
    find_smaller,
    gain_points,
    want_at_least_home,
)
from spot_optimizer.decision.risk import NEGLIGIBLE_RISK
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.decision.targets import (
    CANDIDATES_MAX,
    Found,
    find,
    on_demand_candidates,
    spot_candidate,
)
from spot_optimizer.decision.usage_class import UsageClass
from spot_optimizer.words import DecisionKind

_ROUNDING_RISK = 1e-9
_ROUNDING_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row decided, before the engine makes a Decision of it."""

    kind: DecisionKind
    row: int
    reason: str
    found: Found | None = None
    """What was looked at; None where no market was needed or none could be judged."""
    candidates: tuple[Candidate, ...] = ()
    home_type_after: str = ""
    """Empty: the home type stays."""
    fallback_pending: bool = False


def judge(situation: Situation) -> Outcome:
    """The decision of the first row that holds."""
    return _size_up(situation) or _size_down(situation) or _ROW_OF_STATE[situation.state](situation)


def _size_up(situation: Situation) -> Outcome | None:
    found = find_one_size_up(situation)
    return _resized(1, found) if found else None


def _size_down(situation: Situation) -> Outcome | None:
    found = find_smaller(situation)
    return _resized(2, found) if found else None


def _leave_on_demand(situation: Situation) -> Outcome:
    found = find(situation, want_at_least_home(situation))
    return _switch_or_stay(3, found, found)


def _leave_acceptable(situation: Situation) -> Outcome:
    settings = situation.workload.settings
    found = find(situation, want_at_least_home(situation))
    gain, more_risk = gain_points(found), found.risk - situation.risk
    cheaper = gain >= settings.switch_gain_points - ROUNDING_POINTS
    no_riskier = more_risk < NEGLIGIBLE_RISK - _ROUNDING_RISK
    safer = more_risk <= -settings.switch_gain_risk + _ROUNDING_RISK
    no_dearer = found.price <= situation.cost_usd_per_hour
    return _switch_or_stay(4, found, found.only((cheaper & no_riskier) | (safer & no_dearer)))


def _leave_dear(situation: Situation) -> Outcome:
    found = find(situation, want_at_least_home(situation))
    enough = situation.workload.settings.switch_gain_points - ROUNDING_POINTS
    return _switch_or_stay(5, found, found.only(gain_points(found) >= enough))


def _leave_unbearable(situation: Situation) -> Outcome:
    found = find(situation, want_at_least_home(situation))
    if len(found.ranked):
        return _rescue_on_spot(found)
    return _rescue_on_demand(found)


def _leave_unsafe(situation: Situation) -> Outcome:
    found = find(situation, want_at_least_home(situation))
    highest = situation.cost_usd_per_hour * (
        1 + situation.workload.settings.unsafe_premium_fraction
    )
    return _switch_or_stay(7, found, found.only(found.price <= highest + _ROUNDING_USD))


_ROW_OF_STATE: Mapping[State, Callable[[Situation], Outcome]] = {
    State.ON_DEMAND: _leave_on_demand,
    State.ACCEPTABLE: _leave_acceptable,
    State.DEAR: _leave_dear,
    State.UNBEARABLE: _leave_unbearable,
    State.UNSAFE: _leave_unsafe,
}


def _rescue_on_spot(found: Found) -> Outcome:
    situation = found.situation
    last_resort: tuple[Candidate, ...] = ()
    if situation.workload.settings.fallback_to_on_demand:
        last_resort = on_demand_candidates(situation)[:1]
    candidates = found.candidates(CANDIDATES_MAX - len(last_resort)) + last_resort
    reason = f"{_place(situation)}: {_against(situation, candidates[0])}"
    return Outcome(DecisionKind.SWITCH, 6, reason, found, candidates)


def _rescue_on_demand(found: Found) -> Outcome:
    situation = found.situation
    no_pool = f"{_place(situation)} and no pool is safe"
    if not situation.workload.settings.fallback_to_on_demand:
        return Outcome(
            DecisionKind.STAY, 6, f"{no_pool}; the fallback to on-demand is switched off", found
        )
    candidates = on_demand_candidates(situation)
    if not candidates:
        reason = f"{no_pool}; no zone with a subnet offers {situation.home.name} on-demand"
        return Outcome(DecisionKind.STAY, 6, reason, found)
    price = (
        f"{situation.home.name} on-demand costs {candidates[0].price_usd_per_hour:.4f} USD per hour"
    )
    pending_since = situation.workload.fallback_pending_since
    if situation.usage.usage_class is UsageClass.UNDER:
        why = f"{no_pool}; at once because under-provisioned ({situation.usage.reason})"
    elif pending_since is not None and pending_since < situation.now:
        minutes = (situation.now - pending_since).total_seconds() / 60
        why = f"{no_pool}, as {minutes:.0f} minutes ago"
    else:
        reason = f"{no_pool}; {price}: falls back if the next cycle still says so"
        return Outcome(DecisionKind.STAY, 6, reason, found, fallback_pending=True)
    return Outcome(DecisionKind.FALLBACK, 6, f"{why}; {price}", found, candidates)


def _resized(row: int, found: Found) -> Outcome:
    situation, candidates = found.situation, found.candidates()
    usage = situation.usage
    return Outcome(
        DecisionKind.SWITCH,
        row,
        f"{usage.usage_class} ({usage.reason}): {_against(situation, candidates[0])}",
        found,
        candidates,
        home_type_after=candidates[0].instance_type,
    )


def _switch_or_stay(row: int, found: Found, worth: Found) -> Outcome:
    """SWITCH to the best pool that is worth it, else STAY and say what the cheapest one lacks."""
    situation = found.situation
    if len(worth.ranked):
        candidates = worth.candidates()
        reason = f"{_place(situation)}: {_against(situation, candidates[0])}"
        return Outcome(DecisionKind.SWITCH, row, reason, worth, candidates)
    if len(found.ranked):
        cheapest = spot_candidate(situation, int(found.ranked[0]))
        reason = f"{_place(situation)}; no safe pool gains enough: {_against(situation, cheapest)}"
    else:
        looked_at = len(found.codes)
        reason = f"{_place(situation)}; none of {looked_at} pools is safe, fitting and cheaper"
    return Outcome(DecisionKind.STAY, row, reason, worth)


def _place(situation: Situation) -> str:
    return f"{situation.workload.pool} is {situation.state} ({situation.why})"


def _against(situation: Situation, candidate: Candidate) -> str:
    """The candidate beside the current place, in points and risk."""
    name = f"{candidate.instance_type}/{candidate.availability_zone}"
    if math.isnan(situation.cost_usd_per_hour):
        return (
            f"{name} costs {candidate.price_usd_per_hour:.4f} USD per hour (discount "
            f"{candidate.discount_points:.1f} points) at risk {candidate.risk:.2f}"
        )
    gain = candidate.discount_points - situation.discount_points
    return (
        f"{name} costs {abs(gain):.1f} points {'less' if gain >= 0 else 'more'} "
        f"({candidate.discount_points:.1f} against {situation.discount_points:.1f}) "
        f"at risk {candidate.risk:.2f} against {situation.risk:.2f}"
    )
