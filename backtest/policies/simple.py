"""Simple rules to compare with: none of them looks at a model, a score or the future."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backtest.billing import Paths, Terms
from backtest.policies.contract import Look, Places, Policy, walk
from backtest.starts import Starts
from spot_optimizer.market.prices import Floats

HYSTERESIS_FRACTION = 0.05
"""How much cheaper a pool has to be for greedy with hysteresis."""

ON_DEMAND = "always on-demand"
STAY = "stay on the first pool"


@dataclass(frozen=True)
class AlwaysOnDemand:
    """On-demand from the first hour, the reference for spot."""

    name: str = ON_DEMAND

    def paths(self, starts: Starts) -> Paths:
        """See ``Policy.paths``."""
        place = np.full((len(starts.hour), starts.hours), starts.case.on_demand)
        return Paths(place, np.full_like(place, -1))


@dataclass(frozen=True)
class Rule:
    """A policy of one rule, without state."""

    name: str
    choose: Callable[[Look], Places]

    def paths(self, starts: Starts) -> Paths:
        """See ``Policy.paths``."""
        return walk(starts, self.choose)


def stay(look: Look) -> Places:
    """Never switches; an interrupted instance is launched in the same pool again."""
    return look.here


def cheapest_now(look: Look) -> Places:
    """Wherever it is cheapest at this moment; stays where that is no cheaper."""
    better = (look.cheapest_price < look.cost_here) | look.interrupted
    return np.where(better, look.cheapest, look.here)


def with_hysteresis(look: Look) -> Places:
    """As cheapest now, but for a price that is lower by ``HYSTERESIS_FRACTION`` at least."""
    limit = (1 - HYSTERESIS_FRACTION) * look.cost_here
    better = (look.cheapest_price <= limit) | look.interrupted
    return np.where(better, look.cheapest, look.here)


def price_capacity(look: Look) -> Places:
    """Like EC2's price-capacity-optimized allocation: a launch takes the cheapest of the pools with
    the most capacity, here those least often interrupted. Nothing moves but by a launch: at the
    beginning and after an interruption. On-demand where no pool is cheaper."""
    rate = look.case.rate_per_hour[None, :-1]
    on_demand = look.price[:, -1:]
    spot = np.where(look.price[:, :-1] < on_demand, look.price[:, :-1], np.inf)
    best_rate = np.where(np.isfinite(spot), rate, np.inf).min(axis=1, keepdims=True)
    with_capacity = np.where(rate <= best_rate, spot, np.inf)
    chosen = np.argmin(np.hstack((with_capacity, on_demand)), axis=1)
    launches = look.interrupted | (look.step == 0)
    return np.where(launches, chosen, look.here)


@dataclass(frozen=True)
class HotSpot:
    """HotSpot's rule (Shastri and Irwin, "HotSpot: Automated Server Hopping in Cloud Spot Markets",
    SoCC 2017): a move pays when what it saves until a price is expected to change, the mean time
    between changes here or there, whichever is shorter, exceeds what the move costs plus what former
    moves have not yet earned."""

    name: str = "HotSpot's rule"

    def paths(self, starts: Starts) -> Paths:
        """See ``Policy.paths``."""
        case, runs = starts.case, np.arange(len(starts.hour))
        terms = Terms.of(case.requirement.settings, None)
        unpaid = np.zeros(len(runs))
        before: Floats = np.full(len(runs), np.nan)
        cadence = np.full((case.period.hours, case.on_demand + 1), np.inf)
        cadence[:, :-1] = case.period.hours_between_changes[:, case.columns]

        def choose(look: Look) -> Places:
            nonlocal unpaid, before
            here = look.cost_here
            unpaid = np.maximum(unpaid - np.nan_to_num(before - here, neginf=0.0), 0.0)
            cost = terms.switch_usd(np.nan_to_num(here, posinf=0.0), case.on_demand_usd_per_hour)
            lasts_h = np.minimum(cadence[look.hour], cadence[look.hour, look.here][:, None])
            with np.errstate(invalid="ignore"):
                saved = (here[:, None] - look.price) * lasts_h
            gain = np.where(np.isfinite(look.price), saved, -np.inf)
            target = np.argmax(gain, axis=1)
            pays = gain[runs, target] > cost + unpaid
            moved = pays & ~look.interrupted
            # The saving per hour: what the place that the last switch left would cost now.
            before = np.where(moved, here, np.where(look.interrupted, np.nan, before))
            unpaid = np.where(moved, unpaid + cost, unpaid)
            return np.where(look.interrupted, look.cheapest, np.where(moved, target, look.here))

        return walk(starts, choose)


SIMPLE_POLICIES: Sequence[Policy] = (
    AlwaysOnDemand(),
    Rule(STAY, stay),
    Rule("cheapest now", cheapest_now),
    Rule("cheapest now with hysteresis", with_hysteresis),
    HotSpot(),
    Rule("price-capacity-like", price_capacity),
)
