"""What running costs: seconds at the price in force, switches billed twice, work lost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats, PriceChanges, Times
from spot_optimizer.settings import Settings

HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Terms:
    """What switches and interruptions cost a workload."""

    overlap_hours: float
    """The original is billed on for so long after a planned switch has begun."""
    lost_hours: float
    """Work that the hand-over and the restart lose; an hour is worth the home type on-demand."""
    interruption_hours: float
    """Work that an interruption loses, in the same unit. It includes the relaunch."""

    @classmethod
    def of(cls, settings: Settings, interruption_hours: float | None) -> "Terms":
        """What a workload's settings say; ``interruption_hours`` None: of an interruption too."""
        if interruption_hours is None:
            interruption_hours = settings.interruption_cost_minutes / 60
        return cls(
            settings.switch_overlap_minutes / 60,
            settings.switch_lost_minutes / 60,
            interruption_hours,
        )

    def switch_usd(self, left_usd_per_hour: Floats, on_demand_usd_per_hour: float) -> Floats:
        """What it costs to leave places of these prices by a planned switch."""
        cost: Floats = (
            self.overlap_hours * left_usd_per_hour + self.lost_hours * on_demand_usd_per_hour
        )
        return cost


@dataclass(frozen=True, eq=False)
class Paths:
    """Where R runs were in each of their L hours. A place is a column of the requirement's table."""

    place: NDArray[np.int64]
    """Shape (R, L): where each hour was spent."""
    left: NDArray[np.int64]
    """Shape (R, L): the place that a planned switch left at the start of the hour, else -1."""


@dataclass(frozen=True, eq=False)
class Bill:
    """What R runs cost in each of their L hours, USD, shape (R, L)."""

    running: Floats
    """Spot and on-demand hours."""
    switches: Floats
    """Overlap and lost work of planned switches."""
    interruptions: Floats
    """Lost work of interruptions."""

    @property
    def total(self) -> Floats:
        """All of it."""
        total: Floats = self.running + self.switches + self.interruptions
        return total


def bill(
    paths: Paths,
    hour: NDArray[np.int64],
    price: Floats,
    billed: Floats,
    hit: NDArray[np.bool_],
    on_demand_usd_per_hour: float,
    terms: Terms,
) -> Bill:
    """The bill of runs of one requirement.

    ``hour`` (R, L) is the hour of the period that each step of a run is, ``hit`` (R, L) whether the
    run was interrupted at the end of it; ``price`` and ``billed`` (T, K + 1) are over its places, the
    last of which is on-demand.
    """
    moved = paths.left >= 0
    left = np.where(moved, paths.left, 0)
    switches = terms.switch_usd(price[hour, left], on_demand_usd_per_hour)
    lost = terms.interruption_hours * on_demand_usd_per_hour
    return Bill(
        running=billed[hour, paths.place],
        switches=np.where(moved, switches, 0.0),
        interruptions=np.where(hit, lost, 0.0),
    )


def spot_usd(time_s: Times, price: Floats, start_s: int, end_s: int) -> float:
    """What one instance is billed from ``start_s`` to ``end_s``.

    ``price`` (N,) is in force from ``time_s`` (N,) on, ascending. "You pay the Spot price that's in
    effect, billed to the nearest second" (AWS whitepaper Leveraging EC2 Spot Instances, "How Spot
    Instances Work"). NaN where no price is known at the start.
    """
    if len(time_s) == 0 or start_s < time_s[0]:
        return float("nan")
    begins = np.clip(time_s, start_s, end_s)
    lasted_s = np.diff(np.append(begins, end_s))
    return float((lasted_s * price).sum()) / HOUR_S


def hourly_means(changes: PriceChanges, start_s: int, hours: int) -> Floats:
    """Shape (T, P): the cost of each hour from ``start_s`` on in each pool, USD; NaN if the price
    is not known when the hour begins. Equal to ``spot_usd`` of each hour."""
    edges_s = start_s + HOUR_S * np.arange(hours + 1, dtype=np.int64)
    rows = changes.rows_at(edges_s)
    # What has been paid up to each change since the pool's first one: one sum through all pools is
    # taken back to its own pool by differences of rows that belong to it.
    lasted_s = np.diff(changes.time_s, append=changes.time_s[-1:])
    lasted_s[changes.first_row[1:] - 1] = 0
    paid = np.concatenate(([0.0], np.cumsum(lasted_s * changes.price)[:-1]))
    known = rows >= 0
    at = np.where(known, rows, 0)
    so_far = paid[at] + (edges_s[None, :] - changes.time_s[at]) * changes.price[at]
    return np.where(known[:, :-1], np.diff(so_far, axis=1) / HOUR_S, np.nan).T
