"""Replayed on prices alone, ``expected_cost`` costs hardly more than who knows the future."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.price_replay import Replay, builtin_replays, optimum
from tests.decision.worlds import ACTING

SEEDS = (1, 4)
DAYS = 10
PRICES_ONLY = replace(ACTING, engine="expected_cost", interruption_cost_minutes=0.0)


@pytest.fixture(scope="module")
def replays() -> list[Replay]:
    """A small and a middling workload on two built-in markets."""
    print(f"seeds {SEEDS}")
    homes = ("c5.xlarge", "r5.2xlarge")
    return [r for seed in SEEDS for r in builtin_replays(seed, DAYS, homes, PRICES_ONLY)]


def test_it_costs_at_most_a_hundredth_more_than_the_optimum(replays: list[Replay]) -> None:
    """0.8 % on average, switches paid for; never less than the optimum, or that would be wrong."""
    above = [replay.above_fraction for replay in replays]
    assert min(above) >= -1e-9
    assert sum(above) / len(above) <= 0.008


def test_it_switches_hardly_more_often_than_the_optimum(replays: list[Replay]) -> None:
    """Half as often again, and one."""
    for replay in replays:
        assert replay.engine_switches <= replay.switches_allowed, replay


def test_the_optimum_is_the_least_of_all_ways() -> None:
    """Every way through five hours of three pools, tried one by one."""
    rng = np.random.default_rng(7)
    print("seed 7")
    settings = replace(PRICES_ONLY, switch_overlap_minutes=30.0, switch_lost_minutes=6.0)
    for _ in range(20):
        prices = rng.integers(1, 10, (5, 3)).astype(float)
        least = min(_cost(prices, way, 2.0) for way in np.ndindex(3, 3, 3, 3, 3))
        usd, switches = optimum(prices, 2.0, 0, settings)
        assert usd == pytest.approx(least)
        assert 0 <= switches <= 5


def _cost(prices: np.ndarray, way: tuple[int, ...], home_on_demand: float) -> float:
    here, usd = 0, 0.0
    for hour, pool in enumerate(way):
        if pool != here:
            usd += 0.5 * prices[hour, here] + 0.1 * home_on_demand
        here = pool
        usd += prices[hour, here]
    return usd
