"""Replayed on prices alone, ``expected_cost`` costs hardly more than who knows the future."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backtest.forecasts import LAST_PRICE
from backtest.inputs import Hazard, Wanted, known_types, markets_of
from backtest.runs import SEEING, Task, engine_label, replay
from backtest.tally import Tally
from models.markets import Market
from simulator.market.builtin import generate_market
from simulator.market.on_demand import on_demand_prices
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Pool

SEEDS, DAYS = (1, 4), 10
START = datetime(2026, 3, 2, tzinfo=UTC)
TYPES = [
    f"{f}.{s}" for f in ("m5", "m5a", "c5", "r5", "m6i") for s in ("large", "xlarge", "2xlarge")
]


def _market(seed: int) -> Market:
    on_demand = on_demand_prices(TYPES)
    end = START + timedelta(days=DAYS)
    history = generate_market(
        seed=seed, start=START, end=end, zones=[f"us-east-1{letter}" for letter in "abcd"],
        on_demand_usd_per_hour=on_demand, instance_types=TYPES,
    )  # fmt: skip
    pool = np.repeat(np.arange(len(history.pools)), np.diff(history.offsets))
    rows = [
        (Pool(*history.pools[p]), int(t), float(usd))
        for p, t, usd in zip(pool, history.time_s, history.spot_usd_per_hour, strict=True)
    ]
    changes, _ = PriceChanges().merge(rows, on_demand)
    return Market("us-east-1", changes, on_demand, int(START.timestamp()), int(end.timestamp()))


@pytest.fixture(scope="module")
def tallies() -> list[tuple[Tally, Tally]]:
    """Engine and optimum of a small and a middling workload on two built-in markets."""
    print(f"seeds {SEEDS}")
    task = Task(BUILT_IN, ("expected_cost",), (LAST_PRICE,), (0.0,), 30.0, runs=4, draws=1, seed=1)
    wanted = Wanted(("c5.xlarge", "r5.2xlarge"), 0, ("*",))
    made = []
    for seed in SEEDS:
        markets = markets_of(
            [_market(seed)], known_types(), wanted, Settings(), Hazard(share=0.05),
            days=DAYS - 1, until_s=None, seed=seed,
        )  # fmt: skip
        done = replay(markets, task, lambda _done, _steps, _what: None).tallies[0.0]
        made.append((done[engine_label("expected_cost", LAST_PRICE)], done[SEEING]))
    return made


def test_it_costs_at_most_a_hundredth_more_than_the_optimum(
    tallies: list[tuple[Tally, Tally]],
) -> None:
    """0.8 % on average and 3 % in the 95th percentile, switches paid for; never less than it."""
    over = np.concatenate([own.usd / best.usd - 1 for own, best in tallies])
    assert over.min() >= -1e-9
    assert over.mean() <= 0.008
    assert np.quantile(over, 0.95) <= 0.03


def test_it_switches_hardly_more_often_than_the_optimum(
    tallies: list[tuple[Tally, Tally]],
) -> None:
    """Half as often again, and one."""
    for own, best in tallies:
        assert (own.switches <= 1.5 * best.switches + 1).all()


def test_it_takes_what_there_is_to_save_at_once(tallies: list[tuple[Tally, Tally]]) -> None:
    """95 % of the saving that the cheapest pool offers, in the first hour; it never pays more than
    on-demand by more than half a hundredth."""
    for own, _ in tallies:
        assert own.first_hour_saved.sum() >= 0.95 * own.first_hour_reachable.sum()
        assert own.highest_price_fraction.max() <= 1.005
