"""Pools for a requirement: ranked by expected dollars, spread within the limits, nothing cheaper."""

import math
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.pool_history import PoolHistory
from spot_optimizer.decision.recommendation import (
    NothingFits,
    Recommendation,
    Requirement,
    recommend,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Pool
from tests.decision.worlds import CATALOG, ON_DEMAND, TYPES, ZONES, Facts, instance_type, market

LIKE_HOME = Requirement(4, 16, 1, "x86_64")
PRICES = st.integers(100, 1100).map(lambda tick: tick / 10_000)
MARKETS = st.dictionaries(
    st.sampled_from([Pool(n, z) for n in ("m5.xlarge", "m5a.xlarge", "m5.2xlarge") for z in ZONES]),
    st.fixed_dictionaries({"price": PRICES, "advisor_bucket": st.sampled_from([0, 1, 3])}),
    min_size=1,
    max_size=4,
)


def recommended(pools: Facts, wanted: Requirement = LIKE_HOME, **changes: object) -> Recommendation:
    """The answer of a stack with default settings."""
    table = MarketTable(market(pools), CATALOG, quiet_hour=False)
    return recommend(wanted, table, replace(Settings(), **changes))  # type: ignore[arg-type]


def test_expected_dollars_are_price_and_interruptions() -> None:
    """Price + hazard x minutes of work at the cheapest on-demand price; the cheapest first."""
    pools = {Pool("m5.xlarge", ZONES[0]): 0.03, Pool("m5a.xlarge", ZONES[1]): 0.029}
    recommendation = recommended(pools, replace(LIKE_HOME, interruption_cost_minutes=120))
    assert (recommendation.reference_type, recommendation.reference_usd_per_hour) == (
        "m5a.xlarge",
        0.090,
    )
    first = recommendation.pools[0]
    assert (first.instance_type, first.price_usd_per_hour) == ("m5a.xlarge", 0.029)
    assert first.expected_usd_per_hour == pytest.approx(0.029 + first.hazard_per_hour * 2 * 0.090)
    assert first.saving_fraction == pytest.approx(1 - first.expected_usd_per_hour / 0.090)
    assert recommendation.saving_usd_per_month == pytest.approx(
        730 * recommendation.saving_usd_per_hour
    )


def test_an_expensive_interruption_selects_the_safer_pool() -> None:
    """If an interruption costs nothing the price decides; if it costs a week of work the bucket does."""
    pools = {
        Pool("m5.xlarge", ZONES[0]): {"price": 0.030, "advisor_bucket": 0},
        Pool("m5a.xlarge", ZONES[1]): {"price": 0.029, "advisor_bucket": 3},
    }
    for minutes, name in ((0.0, "m5a.xlarge"), (10_080.0, "m5.xlarge")):
        recommendation = recommended(pools, replace(LIKE_HOME, interruption_cost_minutes=minutes))
        assert recommendation.pools[0].instance_type == name


@settings(max_examples=60, deadline=None, print_blob=True)
@given(MARKETS, st.integers(1, 14))
def test_no_other_plan_within_the_limits_is_cheaper(
    pools: dict[Pool, dict[str, float]], count: int
) -> None:
    """Against every way to distribute the instances; those without a pool are on-demand."""
    recommendation = recommended(pools, replace(LIKE_HOME, count=count))
    per_pool = max(1, math.floor(0.34 * count))
    per_family = math.floor(0.4 * count) if count >= 10 else count
    expected = {
        (p.instance_type, p.availability_zone): p.expected_usd_per_hour
        for p in recommendation.pools
    }
    best = math.inf
    for counts in product(range(min(per_pool, count) + 1), repeat=len(expected)):
        families: Counter[str] = Counter()
        for (name, _), number in zip(expected, counts, strict=True):
            families[name.partition(".")[0]] += number
        if sum(counts) <= count and max(families.values(), default=0) <= per_family:
            usd = sum(n * e for n, e in zip(counts, expected.values(), strict=True))
            best = min(best, usd + (count - sum(counts)) * recommendation.reference_usd_per_hour)
    assert recommendation.expected_usd_per_hour == pytest.approx(best)
    assert (
        sum(placed.count for placed in recommendation.plan) + recommendation.on_demand_count
        == count
    )
    assert recommendation.saving_usd_per_hour == pytest.approx(
        recommendation.on_demand_usd_per_hour - best
    )


def test_from_ten_instances_on_no_family_holds_more_than_its_share() -> None:
    """Twelve instances: four in a pool, four in a family, the rest on-demand."""
    cheap = {Pool("m5.xlarge", zone): 0.03 for zone in ZONES}
    recommendation = recommended(
        cheap | {Pool("m5a.xlarge", ZONES[0]): 0.05}, replace(LIKE_HOME, count=12)
    )
    assert [(p.instance_type, p.count) for p in recommendation.plan] == [
        ("m5.xlarge", 4),
        ("m5a.xlarge", 4),
    ]
    assert recommendation.on_demand_count == 4
    assert recommendation.limits == "of 12 instances at most 4 in one pool, 4 in one family"
    nine = recommended(cheap, replace(LIKE_HOME, count=9))
    assert [p.count for p in nine.plan] == [3, 3, 3]


REJECTED = {
    "no price": (Pool("m5.xlarge", ZONES[0]), {"price": float("nan")}, {}),
    "another architecture": (Pool("m6g.xlarge", ZONES[0]), {"price": 0.01}, {}),
    "not in types": (Pool("m5.xlarge", ZONES[0]), {"price": 0.01}, {"types": ("m5a*",)}),
    "too small": (Pool("m5.large", ZONES[0]), {"price": 0.01}, {}),
    "burstable": (Pool("t3.xlarge", ZONES[0]), {"price": 0.01}, {}),
    "not in zones": (Pool("m5.xlarge", ZONES[0]), {"price": 0.01}, {"zones": (ZONES[1],)}),
    "no price history": (
        Pool("m5.xlarge", ZONES[0]),
        {"price": 0.01, "rise_volatility_24h": float("nan")},
        {},
    ),
    "volatile": (Pool("m5.xlarge", ZONES[0]), {"price": 0.01, "rise_volatility_24h": 0.2}, {}),
    "instability": (Pool("m5.xlarge", ZONES[0]), {"price": 0.01, "instability": 0.9}, {}),
    "advisor > 20 %": (Pool("m5.xlarge", ZONES[0]), {"price": 0.01, "advisor_bucket": 4}, {}),
    "expected to cost as much as on-demand": (Pool("m5.xlarge", ZONES[0]), {"price": 0.09}, {}),
}


@pytest.mark.parametrize("reason", REJECTED)
def test_every_pool_that_will_not_do_is_counted_by_its_reason(reason: str) -> None:
    """No pool remains: all instances are on-demand and nothing is saved."""
    pool, facts, changes = REJECTED[reason]
    recommendation = recommended({pool: facts}, replace(LIKE_HOME, **changes))  # type: ignore[arg-type]
    assert recommendation.rejected == {reason: 1}
    assert (recommendation.pools, recommendation.plan, recommendation.on_demand_count) == (
        (),
        (),
        1,
    )
    assert recommendation.saving_usd_per_hour == 0


def test_a_pool_that_refused_a_launch_lately_is_left_out() -> None:
    """Its price is of no use while it has no capacity."""
    pool = Pool("m5.xlarge", ZONES[0])
    table = MarketTable(market({pool: 0.03}), CATALOG, False, PoolHistory(refusals={pool: 3.0}))
    assert recommend(LIKE_HOME, table, Settings()).rejected == {"refused a launch lately": 1}


def test_a_special_type_is_no_reference() -> None:
    """Bare metal, accelerators and types without spot are cheap on-demand here, and still not used."""
    odd = {
        "b1.metal": instance_type("b1.metal", 4, 16, bare_metal=True),
        "g1.xlarge": instance_type("g1.xlarge", 4, 16, gpus=1),
        "o1.xlarge": instance_type("o1.xlarge", 4, 16, spot=False),
    }
    usd = dict.fromkeys(odd, 0.01)
    catalog = Catalog(TYPES | odd, ON_DEMAND | usd, CATALOG.zones)
    pools = {Pool(name, ZONES[0]): 0.005 for name in odd}
    table = MarketTable(market(pools), catalog, False)
    recommendation = recommend(LIKE_HOME, table, Settings())
    assert recommendation.reference_type == "m5a.xlarge"
    assert sum(recommendation.rejected.values()) == 3


def test_types_whose_prices_nobody_collects_are_named() -> None:
    """They would do, but nothing is known of their market."""
    recommendation = recommended({Pool("m5.xlarge", ZONES[0]): 0.03})
    assert recommendation.types_without_price == ("m5.2xlarge", "m5a.xlarge")


def test_a_requirement_that_no_type_meets_is_refused_by_name() -> None:
    """Size, architecture and globs are in the message."""
    with pytest.raises(NothingFits, match=r"vcpu = 64.*architecture = 'arm64'.*like m5\*"):
        recommended({}, Requirement(64, 1, 1, "arm64", types=("m5*",)))
