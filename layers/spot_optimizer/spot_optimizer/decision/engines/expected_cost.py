"""``expected_cost``: the fewest expected dollars per hour.

::

    there = forecast price + hazard x interruption + switch / stay        USD per hour
    here  = forecast price + hazard x interruption

- *hazard*: expected interruptions per hour in the pool (decision/hourly_hazard.py);
- *interruption*: the cost of one, ``interruption_cost_minutes`` of work; an hour of work is worth the
  on-demand price of the home type;
- *switch*: the original is billed for another ``switch_overlap_minutes``, and hand-over and restart
  lose ``switch_lost_minutes`` of work;
- *stay*: the hours in which the switch has to pay for itself: ``expected_stay_hours``, or less if the
  next interruption is expected sooner.

A switch is worth it if ``there < here``: the gain during the expected stay exceeds its cost. A switch
back would first have to gain the cost of another switch, so workloads do not thrash. On-demand is one
of the places, without interruptions and at its list price.
"""

import math
from collections.abc import Mapping

import numpy as np

from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.market_table import Bools
from spot_optimizer.decision.outcome import place_of
from spot_optimizer.decision.selection import Selection, Stage
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.market.snapshot import Floats

_ROUNDING_USD = 1e-12


def interruption_usd(situation: Situation) -> float:
    """Cost of one interruption of this workload, USD."""
    minutes = situation.workload.settings.interruption_cost_minutes
    return minutes / 60 * situation.home_on_demand_usd_per_hour


def switch_usd(situation: Situation) -> float:
    """Cost of a planned switch of this workload, USD. If the current price is unknown, the overlap is
    counted at the home type's on-demand price."""
    settings, here = situation.workload.settings, situation.forecast_usd_per_hour
    billed_on = situation.home_on_demand_usd_per_hour if math.isnan(here) else here
    return (
        settings.switch_overlap_minutes / 60 * billed_on
        + settings.switch_lost_minutes / 60 * situation.home_on_demand_usd_per_hour
    )


def stay_hours(situation: Situation, hazard_per_hour: Floats) -> Floats:
    """Expected hours of a stay in pools with this hazard."""
    longest = situation.workload.settings.expected_stay_hours
    stay: Floats = 1.0 / np.maximum(hazard_per_hour, 1.0 / longest)
    return stay


def _hazard(selection: Selection) -> Floats:
    return selection.situation.table.hazard_per_hour[selection.ranked]


def _running_usd_per_hour(selection: Selection) -> Floats:
    """Forecast price and interruptions, without the switch."""
    return selection.forecast_usd_per_hour + _hazard(selection) * interruption_usd(
        selection.situation
    )


def _scores(selection: Selection) -> Floats:
    stay = stay_hours(selection.situation, _hazard(selection))
    return _running_usd_per_hour(selection) + switch_usd(selection.situation) / stay


def _here(selection: Selection) -> float:
    return expected_here(selection.situation)


def expected_here(situation: Situation) -> float:
    """Expected USD per hour of staying; NaN if the price or the pool is unknown."""
    return situation.forecast_usd_per_hour + situation.hazard_per_hour * interruption_usd(situation)


def _expensive_as_on_demand(selection: Selection) -> Bools:
    situation, table = selection.situation, selection.situation.table
    sizes_up = selection.want.type_on_demand_max_usd_per_hour is not None
    limit = table.on_demand[selection.ranked] if sizes_up else situation.home_on_demand_usd_per_hour
    expensive: Bools = _running_usd_per_hour(selection) >= limit
    return expensive


def _not_worth(selection: Selection) -> Bools:
    assert selection.scores is not None
    return ~(selection.scores < _here(selection) - _ROUNDING_USD)


def _prefers_on_demand(selection: Selection) -> str:
    situation = selection.situation
    if situation.state is State.ON_DEMAND:
        return ""
    stay = situation.workload.settings.expected_stay_hours
    there = situation.home_on_demand_usd_per_hour + switch_usd(situation) / stay
    best = (
        float(selection.scores[0])
        if selection.scores is not None and len(selection.scores)
        else math.inf
    )
    here = expected_here(situation)
    if not (there < here - _ROUNDING_USD and there < best):
        return ""
    return (
        f"{situation.home.name} on-demand is expected to cost {there:.4f} USD per hour with the "
        f"switch, {here:.4f} here"
    )


def _place(situation: Situation) -> str:
    """A spot pool by its expected cost: whether it is safe or expensive is for other engines."""
    if situation.state is State.ON_DEMAND:
        return place_of(situation)
    price, hazard = situation.forecast_usd_per_hour, situation.hazard_per_hour
    return f"{situation.workload.pool} {_expected(situation, price, hazard)}"


def _expected(situation: Situation, price: float, hazard: float) -> str:
    interruptions = hazard * interruption_usd(situation)
    return (
        f"is expected to cost {price + interruptions:.4f} USD per hour (forecast price {price:.4f}, "
        f"interruptions {interruptions:.4f})"
    )


def _why(selection: Selection, position: int) -> str:
    situation, row = selection.situation, int(selection.ranked[position])
    return f"{situation.table.market.pools[row]} {_dollars(selection, row)}"


def _dollars(selection: Selection, row: int) -> str:
    """One pool compared with staying, in dollars."""
    situation = selection.situation
    plain = situation.table.plain
    text = _expected(situation, plain.forecast_usd_per_hour[row], plain.hazard_per_hour[row])
    gain = _gain(selection, row)
    return f"{text} against {expected_here(situation):.4f} here: {gain}" if gain else text


def _gain(selection: Selection, row: int) -> str:
    """What a stay in one pool would gain over staying here; empty if unknown."""
    situation = selection.situation
    plain = situation.table.plain
    hazard = plain.hazard_per_hour[row]
    there = plain.forecast_usd_per_hour[row] + hazard * interruption_usd(situation)
    stay = 1 / max(hazard, 1 / situation.workload.settings.expected_stay_hours)
    gain = (expected_here(situation) - there) * stay
    if math.isnan(gain):
        return ""
    word = "saves" if gain >= 0 else "loses"
    return (
        f"{word} {abs(gain):.4f} USD in {stay:.0f} h, the switch costs {switch_usd(situation):.4f}"
    )


def _figures(selection: Selection) -> Mapping[str, float | str | None]:
    situation = selection.situation
    return {
        "expected_here_usd_per_hour": expected_here(situation),
        "hazard_here_per_hour": situation.hazard_per_hour,
        "interruption_usd": interruption_usd(situation),
        "switch_usd": switch_usd(situation),
    }


EXPECTED_COST = StagedEngine(
    name="expected_cost",
    score_meaning="expected USD per hour with the switch, less is better",
    lowest_first=True,
    gates=(
        Stage(
            "expected to cost as much as on-demand",
            _expensive_as_on_demand,
            lambda selection, row: (
                f"{selection.situation.table.market.pools[row]} {_dollars(selection, row)}"
            ),
        ),
    ),
    scores=_scores,
    here=_here,
    worth=(
        Stage(
            "the gain does not pay for the switch",
            _not_worth,
            lambda selection, row: f"the gain does not pay for the switch: {_gain(selection, row)}",
        ),
    ),
    why=_why,
    prefers_on_demand=_prefers_on_demand,
    place=_place,
    figures=_figures,
)
