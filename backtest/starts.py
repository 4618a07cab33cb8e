"""When and where the runs of a requirement begin."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from backtest.requirements import Case

RUN_DAYS_MAX = 14
_RUN_SHARE = 0.7
"""Of a short period: runs start at different times in the rest."""


@dataclass(frozen=True, eq=False)
class Starts:
    """R runs of one case, all of them ``hours`` long."""

    case: Case
    hour: NDArray[np.int64]
    """Shape (R,): hour of the period in which each begins."""
    place: NDArray[np.int64]
    """Shape (R,): the pool that each begins in, drawn from all that cost less than on-demand then."""
    hits: NDArray[np.bool_]
    """Shape (R, L, P + 1): see ``draw_hits``; the P pools are the period's."""

    @property
    def hours(self) -> int:
        """How long each run is."""
        return int(self.hits.shape[1])

    @property
    def steps(self) -> NDArray[np.int64]:
        """Shape (R, L): the hour of the period that each step is."""
        steps: NDArray[np.int64] = self.hour[:, None] + np.arange(self.hours)[None, :]
        return steps

    def is_hit(
        self,
        run: NDArray[np.int64] | int,
        step: NDArray[np.int64] | int,
        place: NDArray[np.int64] | int,
    ) -> NDArray[np.bool_]:
        """Whether runs in these places of the case are interrupted at the end of a step; the three
        are broadcast together."""
        hit: NDArray[np.bool_] = self.hits[run, step, self.case.drawn_columns[place]]
        return hit

    def hits_of(self, run: int, draws: int) -> NDArray[np.bool_]:
        """Shape (D, L, K + 1): the interruptions that ``draws`` runs from ``run`` on would meet in each
        place of the case."""
        of_runs: NDArray[np.bool_] = self.hits[run : run + draws][:, :, self.case.drawn_columns]
        return of_runs


def run_hours(period_hours: int) -> int:
    """Hours of a run in a period of this length: two weeks if they fit."""
    return max(1, min(RUN_DAYS_MAX * 24, int(period_hours * _RUN_SHARE)))


def starts_of(case: Case, hits: NDArray[np.bool_], draws: int, seed: int) -> Starts:
    """Starts evenly over the period, each in a random pool, and ``draws`` runs from each that meet
    other interruptions: R of them in all, those of one start side by side.

    Raises ValueError where no pool costs less than on-demand when one begins.
    """
    runs, length = len(hits) // draws, hits.shape[1]
    hour = np.linspace(0, case.period.hours - length, runs).astype(np.int64)
    rng = np.random.default_rng((seed, crc32(case.requirement.name.encode())))
    place = np.empty(runs, np.int64)
    for run, begin in enumerate(hour.tolist()):
        with np.errstate(invalid="ignore"):
            cheap = case.price[begin, : case.on_demand] < case.on_demand_usd_per_hour
        known = np.flatnonzero(cheap)
        if not len(known):
            raise ValueError(
                f"{case.requirement.home_type}: no fitting pool has a price below on-demand, "
                f"{case.on_demand_usd_per_hour:.4f}, in hour {begin} of the period; allowed are --days"
                " in which one has, and on-demand prices of the same time (--on-demand)"
            )
        place[run] = known[rng.integers(len(known))]
    return Starts(case, np.repeat(hour, draws), np.repeat(place, draws), hits)
