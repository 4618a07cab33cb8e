"""The figures of a backtest: one table per cost of an interruption, with a summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.forecasts import LAST_PRICE, PERFECT
from backtest.policies.simple import ON_DEMAND, STAY
from backtest.runs import BLIND, SEEING, Replayed, engine_label
from backtest.tally import Tally
from spot_optimizer.decision.hourly_hazard import MONTH_HOURS
from spot_optimizer.market.prices import Floats

DRAWS = 1_000
AS_GOOD_FRACTION = 0.005
"""A policy that saves less than this against standing still is not worth running."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One policy at one cost of an interruption. Shares are fractions, money is USD per workload and
    month unless it says otherwise; intervals are 90 %."""

    policy: str
    usd_per_month: float
    against_on_demand: float
    """Cost over on-demand's, less 1: negative where it saves."""
    against_on_demand_90: Interval
    over_optimum_mean: float
    """Mean over runs of the cost over that of the optimum that sees interruptions, less 1."""
    over_optimum_mean_90: Interval
    over_optimum_p95: float
    over_blind_optimum_mean: float
    """The same over the optimum that sees prices alone; it is interrupted as well."""
    over_blind_optimum_p95: float
    headroom_share: float | None
    """Share of the optimum's saving against staying in the first pool; None if that is 0."""
    switches: float
    """Planned switches per run."""
    optimum_switches: float
    switches_within_limit: float
    """Share of runs with at most 1.5 times the optimum's planned switches and one."""
    interruptions: float
    """Per run, as drawn."""
    interruptions_expected: float
    """Per run, by the rates of the pools it was in."""
    usd_expected_per_month: float
    """``usd_per_month`` with the interruptions expected instead of those drawn: less luck in it."""
    availability: float
    first_hour_share: float | None
    """Saving from switching to the cheapest place at the start of the run."""
    highest_price_fraction: float
    """Highest price per hour of all runs, as a fraction of on-demand."""
    worst_pool: str
    """Where runs began that ended the furthest above the optimum on average."""
    worst_pool_over_optimum: float
    on_front: bool
    """No other policy has both a lower bill and fewer interruptions, those apart that know what is
    to come."""


@dataclass(frozen=True)
class Difference:
    """What one policy costs less than another, USD per workload and month."""

    what: str
    usd_per_month: float
    usd_per_month_90: Interval


@dataclass(frozen=True)
class Figures:
    """All figures at one cost of an interruption."""

    interruption_hours: float | None
    """None: the settings of each workload."""
    rows: tuple[Row, ...]
    forecast_values: tuple[Difference, ...]
    """What an engine saves with a forecast that it does not save with the last price."""
    against_stay: tuple[Difference, ...]
    """What each policy saves against staying on the first pool."""
    verdict: str


def figures_of(replayed: Replayed, interruption_hours: float | None, seed: int) -> Figures:
    """The figures at one cost; ``seed`` is that of the intervals' draws."""
    tallies = replayed.tallies[interruption_hours]
    blocks = _Blocks.of(tallies[SEEING], seed)
    rows = tuple(_row(replayed, name, tallies, blocks) for name in tallies)
    values = tuple(
        _difference(
            f"{engine}: {forecast} against {LAST_PRICE}", tallies[label],
            tallies[engine_label(engine, LAST_PRICE)], blocks,
        )
        for label, (engine, forecast) in replayed.engines.items()
        if forecast != LAST_PRICE and engine_label(engine, LAST_PRICE) in tallies
    )  # fmt: skip
    still = tuple(
        _difference(name, each, tallies[STAY], blocks)
        for name, each in tallies.items()
        if name not in (STAY, ON_DEMAND)
    )
    verdict = _verdict(tuple(replayed.engines), tallies, still)
    return Figures(interruption_hours, rows, values, still, verdict)


def _row(replayed: Replayed, name: str, tallies: Mapping[str, Tally], blocks: "_Blocks") -> Row:
    own, best, blind = tallies[name], tallies[SEEING], tallies[BLIND]
    still, on_demand = tallies[STAY], tallies[ON_DEMAND]
    over, over_blind = own.usd / best.usd - 1, own.usd / blind.usd - 1
    headroom = float(still.usd.sum() - best.usd.sum())
    reachable = float(own.first_hour_reachable.sum())
    worst, worst_over = _worst_pool(replayed, over)
    hours = float(own.hours.sum())
    return Row(
        policy=name,
        usd_per_month=float(own.usd.sum()) / hours * MONTH_HOURS,
        usd_expected_per_month=(
            float((own.running_usd + own.switches_usd + own.interruptions_expected_usd).sum())
            / hours
            * MONTH_HOURS
        ),
        against_on_demand=float(own.usd.sum() / on_demand.usd.sum()) - 1,
        against_on_demand_90=blocks.of_ratio(own, on_demand),
        over_optimum_mean=float(over.mean()),
        over_optimum_mean_90=blocks.of_mean(over),
        over_optimum_p95=float(np.quantile(over, 0.95)),
        over_blind_optimum_mean=float(over_blind.mean()),
        over_blind_optimum_p95=float(np.quantile(over_blind, 0.95)),
        headroom_share=(
            float(still.usd.sum() - own.usd.sum()) / headroom
            if headroom > 1e-6 * float(best.usd.sum())
            else None
        ),
        switches=float(own.switches.mean()),
        optimum_switches=float(best.switches.mean()),
        switches_within_limit=float((own.switches <= 1.5 * best.switches + 1).mean()),
        interruptions=float(own.interruptions.mean()),
        interruptions_expected=float(own.interruptions_expected.mean()),
        availability=1 - float(own.down_hours.sum()) / hours,
        first_hour_share=(
            float(own.first_hour_saved.sum()) / reachable if reachable > 1e-9 else None
        ),
        highest_price_fraction=float(own.highest_price_fraction.max()),
        worst_pool=worst,
        worst_pool_over_optimum=worst_over,
        on_front=_is_on_front(name, tallies),
    )


def knows_the_future(policy: str) -> bool:
    """Whether it needs knowledge of the future."""
    return policy in (BLIND, SEEING) or policy.endswith(PERFECT)


def _is_on_front(name: str, tallies: Mapping[str, Tally]) -> bool:
    """Bill without the value of lost work against interruptions as drawn."""
    points = {
        other: (float((t.running_usd + t.switches_usd).sum()), float(t.interruptions.sum()))
        for other, t in tallies.items()
        if not knows_the_future(other) or other == name
    }
    usd, met = points[name]
    return not any(
        o_usd <= usd and o_met <= met and (o_usd, o_met) != (usd, met)
        for other, (o_usd, o_met) in points.items()
        if other != name
    )


def _worst_pool(replayed: Replayed, over: Floats) -> tuple[str, float]:
    """The pool in which runs began that ended the furthest above the optimum, by its mean."""
    began = [
        f"{s.case.pool(place)} ({s.case.requirement.name})"
        for s in replayed.starts
        for place in s.place.tolist()
    ]
    names, number = np.unique(began, return_inverse=True)
    means = np.bincount(number, over) / np.bincount(number)
    worst = int(np.argmax(means))
    return str(names[worst]), float(means[worst])


def _difference(what: str, own: Tally, other: Tally, blocks: "_Blocks") -> Difference:
    to_month = MONTH_HOURS / float(own.hours.sum())
    low, high = blocks.of_sum(other.weekly_usd - own.weekly_usd)
    saved = float(other.usd.sum() - own.usd.sum())
    return Difference(what, saved * to_month, (low * to_month, high * to_month))


def _verdict(
    engines: Sequence[str], tallies: Mapping[str, Tally], against_stay: Sequence[Difference]
) -> str:
    """The value of further switches, in words."""
    still, on_demand = tallies[STAY], tallies[ON_DEMAND]
    usable = [name for name in engines if not knows_the_future(name)]
    if not usable:
        return "No engine was asked for that could be switched on."
    best = min(usable, key=lambda name: float(tallies[name].usd.sum()))
    gain = next(d for d in against_stay if d.what == best)
    share = 1 - float(tallies[best].usd.sum() / still.usd.sum())
    spot = 1 - float(tallies[best].usd.sum() / on_demand.usd.sum())
    if share < AS_GOOD_FRACTION or gain.usd_per_month_90[0] <= 0:
        return (
            "Standing still would have been as good: staying on the first pool costs "
            f"{100 * abs(share):.1f} % {'more' if share >= 0 else 'less'} than the best engine "
            f"({best}); the difference, {gain.usd_per_month:.2f} USD per workload and month, has the "
            f"90 % interval [{gain.usd_per_month_90[0]:.2f}, {gain.usd_per_month_90[1]:.2f}]."
        )
    return (
        f"{best} would have saved {100 * share:.1f} % against staying on the first pool "
        f"({gain.usd_per_month:.2f} USD per workload and month, 90 % interval "
        f"[{gain.usd_per_month_90[0]:.2f}, {gain.usd_per_month_90[1]:.2f}]) and "
        f"{100 * spot:.1f} % against on-demand."
    )


@dataclass(frozen=True, eq=False)
class _Blocks:
    """How often each requirement (Q) and each week (W) was drawn in D draws: runs of one requirement
    or of one week are alike, so whole ones are drawn, the same for all policies (paired)."""

    requirements: Floats
    """Shape (D, Q)."""
    weeks: Floats
    """Shape (D, W)."""
    requirement: NDArray[np.int64]
    """Shape (N,): of each run."""
    begin_week: NDArray[np.int64]
    """Shape (N,): in which each run begins."""

    @classmethod
    def of(cls, tally: Tally, seed: int) -> "_Blocks":
        rng = np.random.default_rng(seed)
        weeks = tally.weekly_usd.shape[1]
        return cls(
            _draws(rng, int(tally.requirement.max()) + 1),
            _draws(rng, weeks),
            tally.requirement,
            tally.begin_week,
        )

    def of_ratio(self, own: Tally, other: Tally) -> Interval:
        """Of cost over another's, less 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = self._sums(own.weekly_usd) / self._sums(other.weekly_usd) - 1
        return _interval(ratios)

    def of_sum(self, weekly: Floats) -> Interval:
        """Of a sum over runs and weeks (N, W)."""
        return _interval(self._sums(weekly))

    def of_mean(self, values: Floats) -> Interval:
        """Of a mean over runs (N,); a run counts for the week in which it begins."""
        drawn = self.requirements[:, self.requirement] * self.weeks[:, self.begin_week]
        with np.errstate(divide="ignore", invalid="ignore"):
            return _interval((drawn @ values) / drawn.sum(axis=1))

    def _sums(self, weekly: Floats) -> Floats:
        cells = np.zeros((self.requirements.shape[1], weekly.shape[1]))
        np.add.at(cells, self.requirement, weekly)
        sums: Floats = ((self.requirements @ cells) * self.weeks).sum(axis=1)
        return sums


def _draws(rng: np.random.Generator, count: int) -> Floats:
    chosen = rng.integers(0, count, size=(DRAWS, count))
    return np.array([np.bincount(row, minlength=count) for row in chosen], dtype=np.float64)


def _interval(drawn: Floats) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.05, 0.95))
    return float(low), float(high)


def as_document(figures: Sequence[Figures], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything as plain data for JSON."""
    from dataclasses import asdict

    results = [asdict(each) for each in figures]
    for row in (row for each in results for row in each["rows"]):
        row["dearest"] = row["highest_price_fraction"]  # its name in version 0.1.0
    return {**about, "results": results}
