"""The product's own ``decide`` in a replay: causal, guarded, independent of what shares the market."""

from dataclasses import replace

import numpy as np
import pytest

from backtest.billing import Paths
from backtest.forecasts import Snapshots, with_last_price, with_perfect_price
from backtest.period import Period
from backtest.policies.engines import engine_paths
from backtest.policies.simple import SIMPLE_POLICIES
from backtest.starts import Starts
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.market.cleaning import PriceRow
from tests.backtest.replays import SETTINGS, begun, market, period, recorded
from tests.models.small_markets import START_S, small_market

SEED, DAYS, CUT_HOUR = 11, 12, 30
CUT_S = START_S + 8 * 86_400 + CUT_HOUR * 3_600


def _quiet(_done: int, _steps: int, _what: str) -> None:
    """No progress to show."""


def _with_another_future(rows: list[PriceRow]) -> list[PriceRow]:
    """The same up to the cut; a minute after it the cheapest pool has the price of the most
    expensive, and so on, and every change after that is the mirrored pool's."""
    past = [row for row in rows if row[1] <= CUT_S]
    last = {pool: price for pool, _, price in past}
    pools = sorted(last, key=lambda pool: last[pool])
    mirrored = dict(zip(pools, reversed(pools), strict=True))
    turned = [(pool, CUT_S + 60, last[mirrored[pool]]) for pool in pools]
    return past + turned + [(mirrored[p], t, c) for p, t, c in rows if t > CUT_S + 60]


def _seen(of: Period) -> list[Snapshots]:
    last = with_last_price(of, {}, 30, _quiet)
    return [last, with_perfect_price(last, of)]


@pytest.fixture(scope="module")
def two_futures() -> list[tuple[Period, Starts, list[Snapshots]]]:
    """One past with two futures, each with what engines see of it."""
    print(f"seed {SEED}")
    rows = small_market(DAYS, SEED)
    made = []
    for each in (rows, _with_another_future(rows)):
        of = period(market(each, DAYS))
        made.append((of, begun(of, SEED, rate=0.01), _seen(of)))
    return made


def _paths(future: tuple[Period, Starts, list[Snapshots]], engine: str, seen: int) -> Paths:
    of, starts, snapshots = future
    return engine_paths(of, [starts], snapshots[seen], engine, BUILT_IN, 8.0)[0]


def _until(starts: Starts, paths: Paths, hour: int) -> list[list[int]]:
    rows = zip(starts.steps, paths.place, strict=True)
    return [place[steps <= hour].tolist() for steps, place in rows]


@pytest.mark.parametrize("engine", BUILT_IN)
def test_no_engine_knows_what_comes(
    engine: str, two_futures: list[tuple[Period, Starts, list[Snapshots]]]
) -> None:
    """Up to the hour at which the futures part every run is where it was; later they differ. A
    perfect forecast knows one hour more, and no further."""
    for seen, known_until in ((0, CUT_HOUR), (1, CUT_HOUR - 1)):
        ways = [_paths(future, engine, seen) for future in two_futures]
        starts = two_futures[0][1]
        assert _until(starts, ways[0], known_until) == _until(starts, ways[1], known_until)
        assert not np.array_equal(ways[0].place, ways[1].place)
        if seen and engine == "expected_cost":
            assert _until(starts, ways[0], CUT_HOUR) != _until(starts, ways[1], CUT_HOUR)


@pytest.mark.parametrize("policy", SIMPLE_POLICIES, ids=lambda policy: str(policy.name))
def test_no_rule_knows_what_comes(
    policy: object, two_futures: list[tuple[Period, Starts, list[Snapshots]]]
) -> None:
    """The same of the policies that engines are compared with."""
    ways = [policy.paths(future[1]) for future in two_futures]  # type: ignore[attr-defined]
    starts = two_futures[0][1]
    assert _until(starts, ways[0], CUT_HOUR) == _until(starts, ways[1], CUT_HOUR)


def test_guards_hold_in_a_replay() -> None:
    """With one planned switch a day allowed, no run makes two within a day."""
    of = period(recorded())
    snapshots = with_last_price(of, {}, 30, _quiet)
    eager = replace(SETTINGS, switches_per_day_max=1.0, expected_stay_hours=720.0)
    starts = begun(of, SEED, settings=eager)
    paths = engine_paths(of, [starts], snapshots, "expected_cost", BUILT_IN, 0.0)[0]
    for left in paths.left:
        moved = np.flatnonzero(left >= 0)
        assert len(moved)
        assert (np.diff(moved) >= 24).all()


def test_runs_do_not_touch_each_other() -> None:
    """A run alone goes where it goes among others."""
    of = period(recorded())
    snapshots = with_last_price(of, {}, 30, _quiet)
    starts = begun(of, SEED, rate=0.02)
    together = engine_paths(of, [starts], snapshots, "forecast", BUILT_IN, None)[0]
    alone = Starts(starts.case, starts.hour[:1], starts.place[:1], starts.hits[:1])
    first = engine_paths(of, [alone], snapshots, "forecast", BUILT_IN, None)[0]
    assert np.array_equal(first.place[0], together.place[0])


def test_an_interrupted_run_goes_on_elsewhere_without_a_switch() -> None:
    """It is somewhere else in the next hour, and no planned switch is counted for it."""
    of = period(recorded())
    snapshots = with_last_price(of, {}, 30, _quiet)
    starts = begun(of, SEED, rate=0.02)
    paths = engine_paths(of, [starts], snapshots, "expected_cost", BUILT_IN, 8.0)[0]
    met = 0
    for run, place in enumerate(paths.place):
        hit = np.flatnonzero(starts.is_hit(run, np.arange(starts.hours), place)[:-1])
        met += len(hit)
        assert (place[hit + 1] != place[hit]).all()
        assert (paths.left[run][hit + 1] == -1).all()
    assert met
