"""What a policy is, and the walk of those that choose by a rule of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backtest.billing import Paths
from backtest.requirements import Case
from backtest.starts import Starts
from spot_optimizer.market.prices import Floats

Places = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Policy(Protocol):
    """A policy sees what was known at each hour, never the future."""

    @property
    def name(self) -> str:
        """For the tables."""

    def paths(self, starts: Starts) -> Paths:
        """Where the runs of one requirement go."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a rule sees when an hour begins, over R runs."""

    case: Case
    step: int
    """Hours since the runs began."""
    hour: Places
    """Shape (R,): hour of the period."""
    here: Places
    """Shape (R,): where each run is, or was until it was interrupted."""
    interrupted: Bools
    """Shape (R,): it has to be launched again, wherever the rule says."""
    price: Floats
    """Shape (R, K + 1): in force now; infinite where unknown, and where a run has just been
    interrupted: that pool has no capacity."""

    @property
    def cost_here(self) -> Floats:
        """Shape (R,): price of where each run is."""
        return np.take_along_axis(self.price, self.here[:, None], axis=1)[:, 0]

    @property
    def cheapest(self) -> Places:
        """Shape (R,): the cheapest place of all."""
        cheapest: Places = np.argmin(self.price, axis=1)
        return cheapest

    @property
    def cheapest_price(self) -> Floats:
        """Shape (R,): its price."""
        price: Floats = self.price.min(axis=1)
        return price


def walk(starts: Starts, choose: Callable[[Look], Places]) -> Paths:
    """The paths of a rule that says, hour by hour, where each run shall be.

    An interrupted run is launched at the end of the hour, wherever the rule says, without a switch.
    """
    case, runs = starts.case, np.arange(len(starts.hour))
    here, interrupted = starts.place.copy(), np.zeros(len(runs), np.bool_)
    place = np.empty((len(runs), starts.hours), np.int64)
    left = np.full_like(place, -1)
    for step in range(starts.hours):
        hour = starts.hour + step
        price = np.nan_to_num(case.price[hour], nan=np.inf)
        price[interrupted, here[interrupted]] = np.inf
        target = choose(Look(case, step, hour, here, interrupted, price))
        left[:, step] = np.where((target != here) & ~interrupted, here, -1)
        here = target
        place[:, step] = here
        interrupted = starts.is_hit(runs, step, here)
    return Paths(place, left)
