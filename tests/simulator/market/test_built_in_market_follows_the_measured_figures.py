"""The built-in market moves as the recorded one did, and is the same for the same seed."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from simulator.market.builtin import generate_market
from simulator.market.history import PriceHistory
from simulator.market.on_demand import LARGE_USD_PER_HOUR, on_demand_prices
from simulator.market.recorded import read_prices
from simulator.market.statistics import MarketStatistics, market_statistics

START = datetime(2026, 1, 10, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge", "24xlarge")
TYPES = [f"{family}.{size}" for family in list(LARGE_USD_PER_HOUR)[::2] for size in SIZES]
ON_DEMAND = on_demand_prices(TYPES)
SEEDS = (1, 2, 3)

# Figure: lowest and highest that a market of 24 days may show. Around the measured value (see the
# module's docstring), as wide as seeds and calendar windows of the recorded market differ.
BOUNDS = {
    "changed_pool_hours_fraction": (0.070, 0.092),
    "idle_pools_fraction": (0.27, 0.40),
    "gap_min_h": (4.4, 4.7),
    "gap_under_8_h_fraction": (0.85, 0.93),
    "gap_8_to_16_h_fraction": (0.05, 0.09),
    "size_median": (0.0016, 0.0023),
    "size_p90": (0.0065, 0.0095),
    "size_p99": (0.023, 0.036),
    "single_tick_fraction": (0.16, 0.24),
    "sign_agreement_fraction": (0.72, 0.77),
    "same_type_correlation": (0.10, 0.20),
    "same_family_correlation": (0.02, 0.08),
    "stranger_correlation": (0.0, 0.04),
    "rise_fraction": (0.005, 0.011),
    "volatility_p99": (0.016, 0.031),
    "price_ratio_p10": (0.24, 0.31),
    "price_ratio_p50": (0.29, 0.36),
    "price_ratio_p90": (0.40, 0.55),
}


def market(seed: int, days: float = 15, types: list[str] = TYPES) -> PriceHistory:
    return generate_market(
        seed=seed,
        start=START,
        end=START + timedelta(days=days),
        zones=ZONES,
        on_demand_usd_per_hour=ON_DEMAND,
        instance_types=types,
    )


@cache
def figures(seed: int) -> MarketStatistics:
    return market_statistics(market(seed), ON_DEMAND)


@pytest.mark.parametrize("figure", BOUNDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_figure_stays_within_what_was_measured(seed: int, figure: str) -> None:
    """Each figure of the model's description holds for every seed, within the bounds stated."""
    lowest, highest = BOUNDS[figure]
    assert lowest <= getattr(figures(seed), figure) <= highest, f"seed {seed}"


def test_recorded_market_passes_the_same_bounds(recorded_data: Path) -> None:
    """The first 24 days of the recorded market lie within the bounds that hold the generator."""
    path = recorded_data / "prices" / "us-east-1_2021-03-02_2021-05-31.parquet"
    recorded = read_prices(path).history
    until_s = int(recorded.start.timestamp()) + 24 * 86_400
    rows = recorded.time_s < until_s
    pool_index = np.repeat(np.arange(len(recorded.pools)), np.diff(recorded.offsets))
    window = PriceHistory.from_rows(
        recorded.pools,
        pool_index[rows],
        recorded.time_s[rows],
        recorded.spot_usd_per_hour[rows],
    )
    measured = market_statistics(window)
    outside = {
        figure: getattr(measured, figure)
        for figure, (lowest, highest) in BOUNDS.items()
        if not figure.startswith("price_ratio")
        and not lowest <= getattr(measured, figure) <= highest
    }
    assert outside == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_pool_changes_within_four_hours_of_its_last_change(seed: int) -> None:
    """Not one of all the gaps between two changes is shorter than four hours."""
    history = market(seed)
    shortest = min(np.diff(history.changes(pool)[0]).min(initial=10**6) for pool in history.pools)
    assert shortest >= 4 * 3600, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_price_exceeds_on_demand_or_leaves_the_tick(seed: int) -> None:
    """Every price is a positive multiple of 0.0001 USD; the most expensive pool stops at on-demand."""
    history = market(seed, days=80)
    highest = max(
        history.changes(pool)[1].max() / ON_DEMAND[pool.instance_type] for pool in history.pools
    )
    assert 0.999 < highest <= 1, f"seed {seed}"
    ticks = history.spot_usd_per_hour / 0.0001
    assert ticks.min() > 0.5
    assert np.abs(ticks - np.rint(ticks)).max() < 1e-6


def test_every_pool_has_a_price_from_eight_days_before_the_start_to_the_end() -> None:
    """Seven-day features exist at the start, and every pool is priced until the end."""
    history = market(1)
    assert len(history.pools) == len(TYPES) * len(ZONES)
    assert history.end == START + timedelta(days=15)
    for pool in history.pools:
        assert history.price_at(pool, START - timedelta(days=8)) is not None
    changed_last_day = sum(
        history.changes(pool)[0][-1] > (history.end - timedelta(days=1)).timestamp()
        for pool in history.pools
    )
    assert changed_last_day > len(history.pools) / 3


def test_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    """A market is a function of its arguments."""
    one, again, other = market(7), market(7), market(8)
    assert one.pools == again.pools
    assert np.array_equal(one.time_s, again.time_s)
    assert np.array_equal(one.spot_usd_per_hour, again.spot_usd_per_hour)
    assert not np.array_equal(one.time_s, other.time_s)


def test_longer_market_starts_as_the_shorter_one() -> None:
    """A later end only adds changes; what happened before it stays."""
    short, long = market(7, days=3), market(7, days=12)
    until_s = short.end.timestamp()
    for pool in short.pools:
        time_s, price = long.changes(pool)
        past = time_s <= until_s
        assert np.array_equal(short.changes(pool)[0], time_s[past])
        assert np.array_equal(short.changes(pool)[1], price[past])


def test_impossible_market_is_refused_by_name() -> None:
    """A type without a price, an empty span, a repeated zone or negative history is refused."""
    good = {
        "seed": 1,
        "start": START,
        "end": START + timedelta(days=1),
        "zones": ZONES,
        "on_demand_usd_per_hour": ON_DEMAND,
        "instance_types": TYPES[:1],
    }
    for field, value in {
        "on_demand_usd_per_hour": {},
        "end": START,
        "zones": ("us-east-1a", "us-east-1a"),
        "instance_types": (),
        "history_days": -1,
    }.items():
        with pytest.raises(ValueError, match=f"^{field}: "):
            generate_market(**(good | {field: value}))  # type: ignore[arg-type]
