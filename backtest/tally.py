"""What the runs of one policy came to."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.billing import Paths, Terms, bill
from backtest.period import HOUR_S
from backtest.starts import Starts
from spot_optimizer.market.prices import Floats

WEEK_S = 7 * 24 * HOUR_S
INTERRUPTION_DOWN_HOURS = 5 / 60
"""From EC2's end of an instance until a replacement serves: it boots for minutes and is warned of for
two. The same for all policies."""


@dataclass(frozen=True, eq=False)
class Tally:
    """N runs. All columns have shape (N,), except ``weekly_usd``."""

    requirement: NDArray[np.int64]
    begin_week: NDArray[np.int64]
    """Column of ``weekly_usd`` in which each run begins."""
    hours: Floats
    usd: Floats
    """All of it: running, switches, interruptions."""
    running_usd: Floats
    switches_usd: Floats
    interruptions_usd: Floats
    switches: Floats
    interruptions: Floats
    interruptions_expected: Floats
    """By the rates of the pools, whatever was drawn."""
    interruptions_expected_usd: Floats
    down_hours: Floats
    highest_price_fraction: Floats
    """Highest price per hour that was paid, as a fraction of on-demand."""
    first_hour_saved: Floats
    """USD per hour saved by the first action of the run."""
    first_hour_reachable: Floats
    """USD per hour that the cheapest place then would have saved."""
    weekly_usd: Floats
    """Shape (N, W): ``usd`` by calendar week."""


def tally(
    starts: Sequence[Starts],
    paths: Sequence[Paths],
    interruption_hours: float | None,
    weeks: "Weeks",
) -> Tally:
    """The runs of all requirements together, each with its paths. ``interruption_hours`` None: an
    interruption costs what the settings of each workload say."""
    parts = [
        _tally(number, s, p, Terms.of(s.case.requirement.settings, interruption_hours), weeks)
        for number, (s, p) in enumerate(zip(starts, paths, strict=True))
    ]
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Tally)
    }
    return Tally(**columns)


@dataclass(frozen=True)
class Weeks:
    """The calendar weeks that some runs touch."""

    first: int
    count: int

    @classmethod
    def of(cls, starts: Sequence[Starts]) -> "Weeks":
        first = min(s.case.period.start_s for s in starts) // WEEK_S
        last = max(s.case.period.at_s(s.case.period.hours) for s in starts) // WEEK_S
        return cls(first, last - first + 1)

    def of_steps(self, starts: Starts) -> NDArray[np.int64]:
        """Shape (R, L): the week of each hour of each run."""
        week: NDArray[np.int64] = (
            starts.case.period.start_s + starts.steps * HOUR_S
        ) // WEEK_S - self.first
        return week

    def sums(self, starts: Starts, values: Floats) -> Floats:
        """Shape (R, W) from values (R, L) of the runs' hours."""
        runs = len(starts.hour)
        cell = np.arange(runs)[:, None] * self.count + self.of_steps(starts)
        sums = np.bincount(cell.ravel(), values.ravel(), minlength=runs * self.count)
        return sums.reshape(runs, self.count).astype(np.float64)


def _tally(number: int, starts: Starts, paths: Paths, terms: Terms, weeks: Weeks) -> Tally:
    case, steps = starts.case, starts.steps
    hit = starts.is_hit(
        np.arange(len(steps))[:, None], np.arange(starts.hours)[None, :], paths.place
    )
    billed = bill(paths, steps, case.price, case.billed, hit, case.on_demand_usd_per_hour, terms)
    switches = (paths.left >= 0).sum(axis=1).astype(np.float64)
    interruptions = hit.sum(axis=1).astype(np.float64)
    expected = -np.expm1(-case.rate_per_hour)[paths.place].sum(axis=1)
    lost_usd = terms.interruption_hours * case.on_demand_usd_per_hour
    begin = starts.hour
    before = case.price[begin, starts.place]
    now = np.nan_to_num(case.price[begin], nan=np.inf)
    return Tally(
        requirement=np.full(len(begin), number),
        begin_week=weeks.of_steps(starts)[:, 0],
        hours=np.full(len(begin), float(starts.hours)),
        usd=billed.total.sum(axis=1),
        running_usd=billed.running.sum(axis=1),
        switches_usd=billed.switches.sum(axis=1),
        interruptions_usd=billed.interruptions.sum(axis=1),
        switches=switches,
        interruptions=interruptions,
        interruptions_expected=expected,
        interruptions_expected_usd=expected * lost_usd,
        down_hours=switches * terms.lost_hours + interruptions * INTERRUPTION_DOWN_HOURS,
        highest_price_fraction=billed.running.max(axis=1) / case.on_demand_usd_per_hour,
        first_hour_saved=before - case.price[begin, paths.place[:, 0]],
        first_hour_reachable=before - now.min(axis=1),
        weekly_usd=weeks.sums(starts, billed.total),
    )
