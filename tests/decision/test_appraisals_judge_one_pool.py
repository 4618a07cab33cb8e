"""One type in one zone: the decision there, its instability and EC2's signals for it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from spot_optimizer.decision.appraisal import Appraisal, PoolSignal, UnknownPlace, appraise
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Pool
from tests.decision.worlds import CATALOG, HERE, NOW, ZONES, market

THERE = Pool("m5a.xlarge", ZONES[1])


def appraised(
    pools: dict[Pool, dict[str, float] | float],
    pool: Pool = HERE,
    signal: PoolSignal | None = None,
    engine: str = "forecast",
    now: datetime = NOW,
) -> Appraisal:
    """The answer of a stack with default settings, a dry run among them."""
    table = MarketTable(market(pools), CATALOG, quiet_hour=False)
    return appraise(pool, table, replace(Settings(), engine=engine), now, BUILT_IN, signal)


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_the_engine_decides_as_for_a_workload_there(engine: str) -> None:
    """It stays in a good pool, and leaves one that costs twice another."""
    good = appraised({HERE: 0.03, THERE: 0.03}, engine=engine)
    assert (good.decision, good.target, good.engine) == ("STAY", "", engine)
    costly = appraised({HERE: 0.08, THERE: 0.03}, engine=engine)
    assert (costly.decision, costly.target) == ("SWITCH", f"{THERE} spot")
    assert str(HERE) in costly.reason


def test_figures_are_those_of_the_pool() -> None:
    """Price, discount against the type's own on-demand price, instability, hazard, bucket."""
    appraisal = appraised({HERE: {"price": 0.03, "instability": 0.2, "advisor_bucket": 1}})
    assert (appraisal.price_usd_per_hour, appraisal.on_demand_usd_per_hour) == (0.03, 0.1)
    assert appraisal.discount_points == pytest.approx(70)
    assert (appraisal.instability_probability, appraisal.advisor_bucket) == (0.2, 1)
    assert appraisal.hazard_per_hour == pytest.approx(0.0001068, rel=1e-3)
    assert appraisal.may_be_entered


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"instability": 0.9}, "instability 0.90, below 0.85 is safe"),
        ({"advisor_bucket": 4}, "advisor > 20 %"),
        ({"rise_volatility_24h": 0.2}, "volatile: 0.200 in 24 h, at most 0.150 is safe"),
        ({"price": 3.0}, "its price is unknown or implausible"),
    ],
)
def test_why_a_pool_may_not_be_entered_is_said(facts: dict[str, float], why: str) -> None:
    """With the figure and the limit."""
    appraisal = appraised({HERE: {"price": 0.03} | facts})
    assert (appraisal.may_be_entered, appraisal.why_not) == (False, why)


def test_a_signal_of_the_last_two_hours_overrides_the_model() -> None:
    """The workload leaves the pool, for on-demand if there is no other; an older signal has no effect."""
    fresh = PoolSignal("interruption", NOW - timedelta(hours=1))
    appraisal = appraised({HERE: 0.03, THERE: 0.05}, signal=fresh)
    assert (appraisal.decision, appraisal.target, appraisal.signal) == (
        "SWITCH",
        f"{THERE} spot",
        "interruption",
    )
    assert (appraisal.may_be_entered, appraisal.why_not) == (False, "interruption in the last 2 h")
    assert appraised({HERE: 0.03}, signal=fresh).decision == "FALLBACK"
    old = replace(fresh, at=NOW - timedelta(hours=3))
    appraisal = appraised({HERE: 0.03}, signal=old)
    assert (appraisal.decision, appraisal.signal, appraisal.signal_at) == ("STAY", "none", None)


def test_a_pool_without_a_price_is_unknown() -> None:
    """STAY with the reason, and no figure is made up."""
    appraisal = appraised({THERE: 0.03})
    assert (appraisal.decision, appraisal.may_be_entered) == ("STAY", False)
    assert "no price of the current pool" in appraisal.reason
    assert (appraisal.price_usd_per_hour, appraisal.hazard_per_hour) == (None, None)
    assert appraisal.why_not.startswith("its price is unknown: ")


def test_types_and_zones_that_there_are_not_are_refused_by_name() -> None:
    """With the family's types, the catalog's size, or the zones that offer the type."""
    with pytest.raises(UnknownPlace, match=r"instance_type = 'm5\.huge'.*m5\.2xlarge, m5\.large"):
        appraised({HERE: 0.03}, Pool("m5.huge", ZONES[0]))
    with pytest.raises(UnknownPlace, match=r"'z9\.large' is unknown; allowed are the 10 types"):
        appraised({HERE: 0.03}, Pool("z9.large", ZONES[0]))
    with pytest.raises(UnknownPlace, match=r"availability_zone = 'us-east-1z'.*us-east-1a"):
        appraised({HERE: 0.03}, Pool("m5.xlarge", "us-east-1z"))
