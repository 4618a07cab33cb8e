"""All policies on the same runs, with the same draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backtest.billing import Paths, Terms
from backtest.clairvoyant import optimum
from backtest.forecasts import (
    MODEL,
    PERFECT,
    Snapshots,
    with_last_price,
    with_model,
    with_perfect_price,
)
from backtest.hazards import draw_hits
from backtest.period import Period
from backtest.policies.engines import engine_paths
from backtest.policies.simple import SIMPLE_POLICIES
from backtest.requirements import Case, Requirement, case_of
from backtest.starts import Starts, run_hours, starts_of
from backtest.tally import Tally, Weeks, tally
from spot_optimizer.decision.engines.contract import Engines
from spot_optimizer.market.prices import Floats

Progress = Callable[[int, int, str], None]

SEEING, BLIND = "clairvoyant optimum", "clairvoyant of prices alone"
"""One sees interruptions coming, the other prices alone."""
WEIGH_NO_INTERRUPTIONS = frozenset({"forecast", "layered", "risk_score"})
"""Engines that decide the same whatever an interruption costs."""


@dataclass(frozen=True)
class Market:
    """A period with its requirements, the rates of its pools and the advisor's buckets."""

    period: Period
    requirements: tuple[Requirement, ...]
    rate_per_hour: Floats
    """Shape (P,): interruptions per hour, from which they are drawn."""
    buckets: Mapping[str, int]
    """What the engines see of it, by instance type."""


@dataclass(frozen=True)
class Task:
    """What is asked of a backtest."""

    engines: Engines
    engine_names: tuple[str, ...]
    forecasts: tuple[str, ...]
    interruption_hours: tuple[float | None, ...]
    """Cost of an interruption, instance-hours; None: the settings of each workload."""
    confirm_safe_minutes: float
    runs: int
    """Starts of each requirement."""
    draws: int
    """Runs from each start, which meet other interruptions."""
    seed: int


@dataclass(frozen=True, eq=False)
class Replayed:
    """Everything that came of it."""

    starts: tuple[Starts, ...]
    tallies: Mapping[float | None, Mapping[str, Tally]]
    """By the cost of an interruption (instance-hours), then by policy, including the optima."""
    example: Mapping[str, Paths]
    """Paths of the first requirement, by policy, at the first cost."""
    engines: Mapping[str, tuple[str, str]]
    """Policy -> engine and forecast, of those that are an engine."""


def engine_label(engine: str, forecast: str) -> str:
    """The name of an engine with a forecast as a policy."""
    return f"{engine}, {forecast}"


def replay(markets: Sequence[Market], task: Task, progress: Progress) -> Replayed:
    """Replay every policy. Raises ValueError for unusable inputs, UnusableModel for a bad model."""
    by_market = [_starts(market, task) for market in markets]
    starts = tuple(s for group in by_market for s in group)
    weeks = Weeks.of(starts)
    tallies: dict[float | None, dict[str, Tally]] = {c: {} for c in task.interruption_hours}
    example: dict[str, Paths] = {}

    def take(cost: float | None, name: str, paths: Sequence[Paths]) -> None:
        tallies[cost][name] = tally(starts, paths, cost, weeks)
        example.setdefault(name, paths[0])

    for policy in SIMPLE_POLICIES:
        progress(0, 1, policy.name)
        paths = [policy.paths(s) for s in starts]
        for cost in task.interruption_hours:
            take(cost, policy.name, paths)
    for cost in task.interruption_hours:
        progress(0, 1, "clairvoyant optimum")
        take(cost, BLIND, [_optimal(s, task.draws, cost, seeing=False) for s in starts])
        take(cost, SEEING, [_optimal(s, task.draws, cost, seeing=True) for s in starts])
    named: dict[str, tuple[str, str]] = {}
    for label, engine, forecast, walked in _engines(markets, by_market, task, progress):
        named[label] = engine, forecast
        for cost, paths in walked.items():
            take(cost, label, paths)
    return Replayed(starts, tallies, example, named)


def _starts(market: Market, task: Task) -> list[Starts]:
    period = market.period
    hits = draw_hits(
        period.pools,
        market.rate_per_hour,
        period.start_s,
        run_hours(period.hours),
        task.runs * task.draws,
        task.seed,
    )
    cases: list[Case] = [
        case_of(period, requirement, market.rate_per_hour) for requirement in market.requirements
    ]
    return [starts_of(case, hits, task.draws, task.seed) for case in cases]


def _optimal(
    starts: Starts, draws: int, interruption_hours: float | None, *, seeing: bool
) -> Paths:
    case = starts.case
    terms = Terms.of(case.requirement.settings, interruption_hours)
    place = np.empty((len(starts.hour), starts.hours), np.int64)
    left = np.empty_like(place)
    for run in range(0, len(starts.hour), draws):
        begin = int(starts.hour[run])
        span = slice(begin, begin + starts.hours)
        hits = starts.hits_of(run, draws)
        best = optimum(
            case.price[span],
            case.billed[span],
            hits if seeing else None,
            case.on_demand_usd_per_hour,
            terms,
        )
        paths = best.paths(int(starts.place[run]), hits)
        place[run : run + draws], left[run : run + draws] = paths.place, paths.left
    return Paths(place, left)


def _engines(
    markets: Sequence[Market],
    by_market: Sequence[Sequence[Starts]],
    task: Task,
    progress: Progress,
) -> list[tuple[str, str, str, dict[float | None, list[Paths]]]]:
    """For each engine and forecast its label, and the paths of all requirements by cost."""
    walked: dict[tuple[str, str], dict[float | None, list[Paths]]] = {}
    for market, starts in zip(markets, by_market, strict=True):
        last = with_last_price(
            market.period, dict(market.buckets), task.confirm_safe_minutes, progress
        )
        for forecast in task.forecasts:
            snapshots = _snapshots(forecast, last, market.period, progress)
            for engine in task.engine_names:
                label = f"{engine_label(engine, forecast)} in {market.period.region}"
                kept = walked.setdefault((engine, forecast), {})
                once: list[Paths] | None = None
                for cost in task.interruption_hours:
                    progress(0, 1, label)
                    if once is None or engine not in WEIGH_NO_INTERRUPTIONS:
                        once = engine_paths(
                            market.period, starts, snapshots, engine, task.engines, cost
                        )
                    kept.setdefault(cost, []).extend(once)
    return [
        (engine_label(engine, forecast), engine, forecast, by_cost)
        for (engine, forecast), by_cost in walked.items()
    ]


def _snapshots(forecast: str, last: Snapshots, period: Period, progress: Progress) -> Snapshots:
    if forecast == PERFECT:
        return with_perfect_price(last, period)
    if forecast == MODEL:
        return with_model(last, period, progress)
    return last
