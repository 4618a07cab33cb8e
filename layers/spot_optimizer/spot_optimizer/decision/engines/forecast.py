"""``forecast``: the decision table (README, "Engines"); the first of its rows that holds decides.

SIZE_UP and SIZE_DOWN apply to some workloads. Each of the other rows belongs to one state of the current
place, so exactly one of them decides if neither of the two does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spot_optimizer.decision.outcome import (
    Outcome,
    against,
    leave_unbearable,
    place_of,
    resized,
    with_smaller,
)
from spot_optimizer.decision.ranking import select
from spot_optimizer.decision.rightsizing import (
    ROUNDING_POINTS,
    gain_points,
    no_smaller_than_the_best,
    want_at_least_home,
    want_one_size_up,
    want_smaller,
    want_when_urgent,
)
from spot_optimizer.decision.risk import NEGLIGIBLE_RISK
from spot_optimizer.decision.selection import Selection, spot_candidate
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.decision.stages import Want
from spot_optimizer.vocabulary import DecisionKind, Rule

_ROUNDING_RISK = 1e-9
_ROUNDING_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Forecast:
    """The engine of the decision table."""

    name: str = "forecast"

    def judge(self, situation: Situation) -> Outcome:
        """The decision of the first row that holds."""
        if larger := _size_up(situation):
            return larger
        smaller = _smaller(situation)
        if smaller is not None and len(smaller.ranked):
            return resized(Rule.SIZE_DOWN, smaller)
        outcome = _RULE_OF_STATE[situation.state](situation)
        return with_smaller(outcome, smaller)


def _size_up(situation: Situation) -> Outcome | None:
    want = want_one_size_up(situation, situation.safety)
    larger = no_smaller_than_the_best(select(situation, want)) if want else None
    return resized(Rule.SIZE_UP, larger) if larger is not None and len(larger.ranked) else None


def _smaller(situation: Situation) -> Selection | None:
    want = want_smaller(situation, situation.safety)
    if want is None:
        return None
    selection = select(situation, want)
    enough = situation.workload.settings.switch_gain_points - ROUNDING_POINTS
    return no_smaller_than_the_best(selection.only(gain_points(selection) >= enough))


def _at_least_home(situation: Situation) -> Want:
    return want_at_least_home(situation, situation.safety)


def _leave_on_demand(situation: Situation) -> Outcome:
    selection = select(situation, _at_least_home(situation))
    return _switch_or_stay(Rule.LEAVE_ON_DEMAND, selection, selection)


def _leave_acceptable(situation: Situation) -> Outcome:
    settings = situation.workload.settings
    selection = select(situation, _at_least_home(situation))
    gain, more_risk = gain_points(selection), selection.risk - situation.risk
    cheaper = gain >= settings.switch_gain_points - ROUNDING_POINTS
    no_riskier = more_risk < NEGLIGIBLE_RISK - _ROUNDING_RISK
    safer = more_risk <= -settings.switch_gain_risk + _ROUNDING_RISK
    costs_no_more = selection.forecast_usd_per_hour <= situation.forecast_usd_per_hour
    return _switch_or_stay(
        Rule.IMPROVE, selection, selection.only((cheaper & no_riskier) | (safer & costs_no_more))
    )


def _leave_expensive(situation: Situation) -> Outcome:
    selection = select(situation, _at_least_home(situation))
    enough = situation.workload.settings.switch_gain_points - ROUNDING_POINTS
    return _switch_or_stay(
        Rule.LEAVE_EXPENSIVE, selection, selection.only(gain_points(selection) >= enough)
    )


def _leave_unbearable(situation: Situation) -> Outcome:
    return leave_unbearable(select(situation, want_when_urgent(situation, situation.safety)))


def _leave_unsafe(situation: Situation) -> Outcome:
    selection = select(situation, _at_least_home(situation))
    highest = situation.forecast_usd_per_hour * (
        1 + situation.workload.settings.unsafe_premium_fraction
    )
    return _switch_or_stay(
        Rule.LEAVE_UNSAFE,
        selection,
        selection.only(selection.forecast_usd_per_hour <= highest + _ROUNDING_USD),
    )


_RULE_OF_STATE: Mapping[State, Callable[[Situation], Outcome]] = {
    State.ON_DEMAND: _leave_on_demand,
    State.ACCEPTABLE: _leave_acceptable,
    State.EXPENSIVE: _leave_expensive,
    State.UNBEARABLE: _leave_unbearable,
    State.UNSAFE: _leave_unsafe,
}


def _switch_or_stay(row: Rule, selection: Selection, worth: Selection) -> Outcome:
    """SWITCH to the best pool that is worth it, else STAY with what the cheapest one lacks."""
    situation = selection.situation
    if len(worth.ranked):
        candidates = worth.candidates()
        reason = f"{place_of(situation)}: {against(situation, candidates[0])}"
        return Outcome(DecisionKind.SWITCH, row, reason, worth, candidates)
    if len(selection.ranked):
        cheapest = spot_candidate(situation, int(selection.ranked[0]))
        reason = f"{place_of(situation)}; no safe pool gains enough: {against(situation, cheapest)}"
    else:
        looked_at = len(selection.codes)
        reason = f"{place_of(situation)}; none of {looked_at} pools is safe, compatible and cheaper"
    return Outcome(DecisionKind.STAY, row, reason, worth)
