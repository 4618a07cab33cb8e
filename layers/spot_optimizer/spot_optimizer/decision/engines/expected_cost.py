"""``expected_cost``: the fewest expected dollars per hour.

::

    there = forecast price + hazard x interruption + switch / stay        USD per hour
    here  = price          + hazard x interruption

- *hazard*: interruptions per hour of the pool (decision/hourly_hazard.py);
- *interruption*: what one costs, ``interruption_cost_minutes`` of work, an hour of work being worth
  what the home type costs on-demand (what its user would pay to keep it);
- *switch*: the original is billed on for ``switch_overlap_minutes``, and the hand-over and the restart
  lose ``switch_lost_minutes`` of work;
- *stay*: the hours that the switch has to pay for itself in: ``expected_stay_hours``, less where the
  next interruption is expected sooner.

A move is worth it when ``there < here``: then the gain over the expected stay exceeds the switch. So
the way back would have to gain another switch's cost first, which is why it does not thrash. On-demand
is one of the places: without interruptions, at its list price.
"""

import math
from collections.abc import Mapping

import numpy as np

from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.market_table import Bools
from spot_optimizer.decision.outcome import place_of
from spot_optimizer.decision.selection import Found, Stage
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.market.snapshot import Floats

_ROUNDING_USD = 1e-12


def interruption_usd(situation: Situation) -> float:
    """What one interruption costs this workload, USD."""
    minutes = situation.workload.settings.interruption_cost_minutes
    return minutes / 60 * situation.home_on_demand_usd_per_hour


def switch_usd(situation: Situation) -> float:
    """What a planned switch costs this workload from where it is, USD. Where the current price is
    unknown the overlap is counted at the home type's on-demand price."""
    settings, here = situation.workload.settings, situation.cost_usd_per_hour
    billed_on = situation.home_on_demand_usd_per_hour if math.isnan(here) else here
    return (
        settings.switch_overlap_minutes / 60 * billed_on
        + settings.switch_lost_minutes / 60 * situation.home_on_demand_usd_per_hour
    )


def stay_hours(situation: Situation, hazard_per_hour: Floats) -> Floats:
    """How long a workload may be expected to stay in pools of this hazard."""
    longest = situation.workload.settings.expected_stay_hours
    stay: Floats = 1.0 / np.maximum(hazard_per_hour, 1.0 / longest)
    return stay


def _hazard(found: Found) -> Floats:
    return found.situation.table.hazard_per_hour[found.ranked]


def _running_usd_per_hour(found: Found) -> Floats:
    """Price and interruptions, without the switch."""
    return found.price + _hazard(found) * interruption_usd(found.situation)


def _scores(found: Found) -> Floats:
    stay = stay_hours(found.situation, _hazard(found))
    return _running_usd_per_hour(found) + switch_usd(found.situation) / stay


def _here(found: Found) -> float:
    return expected_here(found.situation)


def expected_here(situation: Situation) -> float:
    """Expected USD per hour of staying; NaN where the price or the pool is unknown."""
    return situation.cost_usd_per_hour + situation.hazard_per_hour * interruption_usd(situation)


def _as_dear_as_on_demand(found: Found) -> Bools:
    situation, table = found.situation, found.situation.table
    sizes_up = found.want.type_on_demand_max_usd_per_hour is not None
    limit = table.on_demand[found.ranked] if sizes_up else situation.home_on_demand_usd_per_hour
    dear: Bools = _running_usd_per_hour(found) >= limit
    return dear


def _not_worth(found: Found) -> Bools:
    assert found.scores is not None
    return ~(found.scores < _here(found) - _ROUNDING_USD)


def _prefers_on_demand(found: Found) -> str:
    situation = found.situation
    if situation.state is State.ON_DEMAND:
        return ""
    stay = situation.workload.settings.expected_stay_hours
    there = situation.home_on_demand_usd_per_hour + switch_usd(situation) / stay
    best = float(found.scores[0]) if found.scores is not None and len(found.scores) else math.inf
    here = expected_here(situation)
    if not (there < here - _ROUNDING_USD and there < best):
        return ""
    return (
        f"{situation.home.name} on-demand is expected to cost {there:.4f} USD per hour with the "
        f"switch, {here:.4f} here"
    )


def _place(situation: Situation) -> str:
    """A spot pool by its dollars: what other engines call safe or dear decides nothing here."""
    if situation.state is State.ON_DEMAND:
        return place_of(situation)
    price, hazard = situation.cost_usd_per_hour, situation.hazard_per_hour
    return f"{situation.workload.pool} {_expected(situation, price, hazard)}"


def _expected(situation: Situation, price: float, hazard: float) -> str:
    interruptions = hazard * interruption_usd(situation)
    return (
        f"is expected to cost {price + interruptions:.4f} USD per hour (price {price:.4f}, "
        f"interruptions {interruptions:.4f})"
    )


def _why(found: Found, position: int) -> str:
    situation, row = found.situation, int(found.ranked[position])
    return f"{situation.table.market.pools[row]} {_dollars(found, row)}"


def _dollars(found: Found, row: int) -> str:
    """One pool of the market against staying, in dollars."""
    situation = found.situation
    prices, _, hazards = situation.table.plain
    text, gain = _expected(situation, prices[row], hazards[row]), _gain(found, row)
    return f"{text} against {expected_here(situation):.4f} here: {gain}" if gain else text


def _gain(found: Found, row: int) -> str:
    """What a stay in one pool of the market would gain; empty where it is unknown."""
    situation = found.situation
    prices, _, hazards = situation.table.plain
    there = prices[row] + hazards[row] * interruption_usd(situation)
    stay = 1 / max(hazards[row], 1 / situation.workload.settings.expected_stay_hours)
    gain = (expected_here(situation) - there) * stay
    if math.isnan(gain):
        return ""
    word = "saves" if gain >= 0 else "loses"
    return (
        f"{word} {abs(gain):.4f} USD in {stay:.0f} h, the switch costs {switch_usd(situation):.4f}"
    )


def _figures(found: Found) -> Mapping[str, float | str | None]:
    situation = found.situation
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
            _as_dear_as_on_demand,
            lambda found, row: f"{found.situation.table.market.pools[row]} {_dollars(found, row)}",
        ),
    ),
    scores=_scores,
    here=_here,
    worth=(
        Stage(
            "the gain does not pay for the switch",
            _not_worth,
            lambda found, row: f"the gain does not pay for the switch: {_gain(found, row)}",
        ),
    ),
    why=_why,
    prefers_on_demand=_prefers_on_demand,
    place=_place,
    figures=_figures,
)
