"""An engine as an ordered list of stages: compatibility, gates, scores, worth.

::

    every pool --> compatible (size, image, types, zones, price) --> gates --> scores --> worth
                        every removal has a reason                               --> candidates

Compatibility is the same for all engines (decision/stages.py); gates, scores and what a switch must be
worth are the engine's own. Right-sizing comes first: a larger type if the workload is short of
something, a smaller type if that is worth more than the best pool of the present size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from spot_optimizer.decision.outcome import (
    Outcome,
    fall_back,
    leave_unbearable,
    place_of,
    resized,
    with_smaller,
)
from spot_optimizer.decision.ranking import select
from spot_optimizer.decision.rightsizing import (
    no_smaller_than_the_best,
    want_at_least_home,
    want_one_size_up,
    want_smaller,
    want_when_urgent,
)
from spot_optimizer.decision.selection import Selection, Stage
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.decision.stages import Safety, Want
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import DecisionKind, Rule

RULE_OF_STATE: Mapping[State, Rule] = {
    State.ON_DEMAND: Rule.LEAVE_ON_DEMAND,
    State.ACCEPTABLE: Rule.IMPROVE,
    State.EXPENSIVE: Rule.LEAVE_EXPENSIVE,
    State.UNSAFE: Rule.LEAVE_UNSAFE,
}
"""Row of the decision table that a record names for each state that an engine judged."""


def _no_limits(_settings: Settings) -> Safety | None:
    return None


def _as_they_are(scores: Floats) -> Floats:
    return scores


def _never(_found: Selection) -> str:
    return ""


def _no_figures(_found: Selection) -> Mapping[str, float | str | None]:
    return {}


@dataclass(frozen=True, slots=True)
class StagedEngine:
    """An engine of stages. Every function is pure and handles all pools left at once."""

    name: str
    score_meaning: str
    """What a score is, with unit and direction."""
    scores: Callable[[Selection], Floats]
    """The score of each pool left, shape (N,)."""
    here: Callable[[Selection], float]
    """The score of the current place; NaN if unknown."""
    worth: tuple[Stage, ...]
    """Remove pools that are not worth a planned switch. They see the scores."""
    why: Callable[[Selection, int], str]
    """One pool (its position among those left) compared with the current place, in words."""
    gates: tuple[Stage, ...] = ()
    """Remove pools that must not be entered, not even by a failover."""
    limits: Callable[[Settings], Safety | None] = _no_limits
    """Limits of prices and Spot Advisor for all pools; None for no limits."""
    lowest_first: bool = False
    """Whether a lower score is better."""
    rank: Callable[[Floats], Floats] = _as_they_are
    """The part of a score that ranks; ties are ranked by price, then risk, generation and name."""
    prefers_on_demand: Callable[[Selection], str] = _never
    """Why on-demand is better than staying and than every pool left; empty if it is not."""
    place: Callable[[Situation], str] = place_of
    """The current place and its state, in words."""
    figures: Callable[[Selection], Mapping[str, float | str | None]] = field(default=_no_figures)
    """The engine's own inputs, for the evidence on record."""

    def judge(self, situation: Situation) -> Outcome:
        """STAY, or the best switch."""
        limits = self.limits(situation.workload.settings)
        plan = self._ranked(situation, want_when_urgent(situation, limits))
        if want := want_one_size_up(situation, limits):
            larger = no_smaller_than_the_best(self._ranked(situation, want))
            if len(larger.ranked):
                return self._with_scores(resized(Rule.SIZE_UP, larger), larger, plan)
        selection, worth = self._worth(situation, want_at_least_home(situation, limits))
        smaller = None
        if want := want_smaller(situation, limits):
            _, smaller = self._worth(situation, want)
            smaller = no_smaller_than_the_best(smaller)
            if len(smaller.ranked) and self._is_better(smaller, worth):
                reason = f"{resized(Rule.SIZE_DOWN, smaller).reason}; {self.why(smaller, 0)}"
                outcome = replace(resized(Rule.SIZE_DOWN, smaller), reason=reason)
                return self._with_scores(outcome, smaller, plan)
        if situation.state is State.UNBEARABLE:
            return self._with_scores(leave_unbearable(plan), plan, plan)
        outcome = with_smaller(self._switch_or_stay(selection, worth), smaller)
        return self._with_scores(outcome, worth, plan)

    def _switch_or_stay(self, selection: Selection, worth: Selection) -> Outcome:
        situation = selection.situation
        row, place = RULE_OF_STATE[situation.state], self.place(situation)
        if len(worth.ranked):
            reason = f"{place}: {self.why(worth, 0)}"
            return Outcome(DecisionKind.SWITCH, row, reason, worth, worth.candidates())
        if better := self.prefers_on_demand(selection):
            return fall_back(worth, row, f"{place}: {better}")
        if len(selection.ranked):
            reason = f"{place}; no pool is worth a switch: {self.why(selection, 0)}"
        else:
            reason = f"{place}; none of {len(selection.codes)} pools is compatible and allowed"
        return Outcome(DecisionKind.STAY, row, reason, worth)

    def _ranked(self, situation: Situation, want: Want) -> Selection:
        selection = select(situation, want)
        for gate in self.gates:
            selection = selection.after(gate)
        return selection.scored(self.scores(selection), key=self._key)

    def _key(self, scores: Floats) -> Floats:
        """The sort key; lower is better."""
        return self.rank(scores) if self.lowest_first else -self.rank(scores)

    def _worth(self, situation: Situation, want: Want) -> tuple[Selection, Selection]:
        """The pools that may be entered, and those of them that are worth a switch."""
        selection = worth = self._ranked(situation, want)
        for stage in self.worth:
            worth = worth.after(stage)
        return selection, worth

    def _is_better(self, one: Selection, other: Selection) -> bool:
        if not len(other.ranked):
            return True
        return self._standing(one) < self._standing(other)

    def _standing(self, selection: Selection) -> tuple[float, float]:
        assert selection.scores is not None
        return float(self._key(selection.scores[:1])[0]), float(selection.forecast_usd_per_hour[0])

    def _with_scores(self, outcome: Outcome, selection: Selection, plan: Selection) -> Outcome:
        here = self.here(selection)
        return replace(
            outcome,
            plan=plan,
            score_meaning=self.score_meaning,
            current_score=here if here == here else None,
            figures=self.figures(selection),
        )
