"""Each threshold of the truth table at its edge: the last value that counts and the next one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    HERE,
    HOME_ON_DEMAND,
    NOW,
    Facts,
    decide_one,
    over_provisioned,
    target_of,
    under_provisioned,
    workload,
)

THERE = Pool("m5.xlarge", "us-east-1b")
SWITCH, STAY = DecisionKind.SWITCH, DecisionKind.STAY


def _price(discount_points: float) -> float:
    return (100 - discount_points) * HOME_ON_DEMAND / 100


@pytest.mark.parametrize(
    ("here", "there", "kind", "row"),
    [
        (60.0, 63.0, SWITCH, 4),
        (60.0, 62.99, STAY, 4),
        (55.0, 57.9, STAY, 4),
        (54.99, 57.99, SWITCH, 5),
        (54.0, 56.99, STAY, 5),
    ],
)
def test_three_points_are_worth_a_switch_and_55_points_are_acceptable(
    here: float, there: float, kind: DecisionKind, row: int
) -> None:
    """A gain of exactly 3.0 points counts; a discount of exactly 55 points is acceptable."""
    decision = decide_one(workload(), {HERE: _price(here), THERE: _price(there)})
    assert (decision.kind, decision.row) == (kind, row), decision.reason


@pytest.mark.parametrize(
    ("less_volatility", "more_discount", "kind"),
    [(0.030, 0.0, SWITCH), (0.0299, 0.0, STAY), (0.030, -0.001, STAY)],
)
def test_five_hundredths_less_risk_at_no_more_cost_are_worth_a_switch(
    less_volatility: float, more_discount: float, kind: DecisionKind
) -> None:
    """0.030 less 7-day volatility is 0.05 less risk (0.25 x 0.030 / 0.15): just enough."""
    pools = {
        HERE: {"price": _price(60), "volatility_7d": 0.05},
        THERE: {"price": _price(60 + more_discount), "volatility_7d": 0.05 - less_volatility},
    }
    assert decide_one(workload(), pools).kind is kind


@pytest.mark.parametrize(("more_volatility", "kind"), [(0.01, SWITCH), (0.0145, STAY)])
def test_differences_of_risk_under_two_hundredths_count_as_none(
    more_volatility: float, kind: DecisionKind
) -> None:
    """0.017 and then 0.0242 more risk (less 0.004 for the wider gap): only the first is none."""
    pools: Facts = {
        HERE: _price(60),
        THERE: {"price": _price(64), "volatility_7d": more_volatility},
    }
    assert decide_one(workload(), pools).kind is kind


@pytest.mark.parametrize(("premium", "kind"), [(1.1, SWITCH), (1.101, STAY)])
def test_a_safe_pool_may_cost_ten_percent_more_than_an_unsafe_one(
    premium: float, kind: DecisionKind
) -> None:
    """Row 7 pays exactly 10 % more, no more."""
    pools: Facts = {HERE: {"price": 0.04, "instability": 0.9}, THERE: 0.04 * premium}
    decision = decide_one(workload(), pools)
    assert (decision.kind, decision.row) == (kind, 7)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"rise_volatility_24h": 0.15}, SWITCH),
        ({"rise_volatility_24h": 0.1501}, STAY),
        ({"instability": 0.849}, SWITCH),
        ({"instability": 0.85}, STAY),
        ({"advisor_bucket": 3}, SWITCH),
        ({"advisor_bucket": 4}, STAY),
        ({"advisor_bucket": -1}, SWITCH),
        ({"instability": float("nan")}, STAY),
    ],
)
def test_safe_ends_where_the_spec_says(facts: dict[str, float], kind: DecisionKind) -> None:
    """Volatility of rises to 0.15, instability below 0.85, advisor not > 20 %, nothing unknown."""
    pools: Facts = {HERE: _price(10), THERE: {"price": _price(70)} | facts}
    assert decide_one(workload(), pools).kind is kind


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"history_s": 1800.0}, SWITCH),
        ({"history_s": 1799.0}, STAY),
        ({"advisor_bucket_worst_recent": 4}, STAY),
        ({"instability_worst_recent": 0.85}, STAY),
        ({"rise_volatility_worst_recent": 0.16}, STAY),
    ],
)
def test_on_demand_is_left_for_a_pool_that_was_safe_for_30_minutes(
    facts: dict[str, float], kind: DecisionKind
) -> None:
    """The worst of the last 30 minutes must be safe, and there must be 30 minutes."""
    view = workload(lifecycle=Lifecycle.ON_DEMAND)
    decision = decide_one(view, {THERE: {"price": _price(70)} | facts})
    assert (decision.kind, decision.row) == (kind, 3)


@pytest.mark.parametrize(
    ("minutes", "state", "row"),
    [(0, "unbearable", 6), (119, "unbearable", 6), (120, "expensive", 5)],
)
def test_a_signal_makes_its_pool_unbearable_for_two_hours(
    minutes: int, state: str, row: int
) -> None:
    """After two hours the pool counts by its price again."""
    view = workload(signals={HERE: NOW - timedelta(minutes=minutes)})
    decision = decide_one(view, {HERE: _price(50)})
    assert decision.row == row
    assert state in decision.reason


@pytest.mark.parametrize(("minutes", "kind"), [(119, STAY), (120, SWITCH)])
def test_a_signalled_pool_is_not_entered_for_two_hours(minutes: int, kind: DecisionKind) -> None:
    """A workload that was signalled in a pool does not come back to it at once."""
    view = workload(signals={THERE: NOW - timedelta(minutes=minutes)})
    decision = decide_one(view, {HERE: _price(10), THERE: _price(70)})
    assert decision.kind is kind
    assert decision.rejected_counts.get("signalled in the last 2 h", 0) == (kind is STAY)


@pytest.mark.parametrize(("p95", "row"), [(HOME_ON_DEMAND, 6), (0.0999, 5)])
def test_a_95_percent_price_that_reaches_on_demand_is_unbearable(p95: float, row: int) -> None:
    """Reaching is enough; just below is not."""
    assert decide_one(workload(), {HERE: {"price": 0.06, "forecast_p95": p95}}).row == row


@pytest.mark.parametrize("price", [HOME_ON_DEMAND, HOME_ON_DEMAND + 0.01])
def test_no_pool_at_or_above_on_demand_is_entered(price: float) -> None:
    """A pool must be strictly cheaper than the home type on-demand, even in an urgent switch."""
    view = workload(signals={HERE: NOW})
    larger = Pool("m5.2xlarge", "us-east-1b")
    decision = decide_one(view, {HERE: 0.09, larger: price})
    assert decision.kind is STAY
    assert decision.rejected_counts["not below on-demand"] == 1


@pytest.mark.parametrize(("hours", "row"), [(24, 1), (23.9, 4)])
def test_one_size_up_in_24_hours(hours: float, row: int) -> None:
    """A workload grows once a day."""
    view = workload(usage=under_provisioned(), sized_up_at=NOW - timedelta(hours=hours))
    larger = Pool("m5.2xlarge", "us-east-1b")
    assert decide_one(view, {HERE: 0.04, larger: 0.08}).row == row


@pytest.mark.parametrize(("hours", "row"), [(30.0, 2), (29.9, 4)])
def test_a_smaller_type_needs_30_hours_of_usage(hours: float, row: int) -> None:
    """AWS Compute Optimizer's minimum holds for us too."""
    smaller = Pool("m5.large", "us-east-1b")
    view = workload(usage=over_provisioned(hours=hours))
    assert decide_one(view, {HERE: 0.04, smaller: 0.02}).row == row


@pytest.mark.parametrize(("gain", "row"), [(3.0, 2), (2.99, 4)])
def test_a_smaller_type_must_be_three_points_cheaper(gain: float, row: int) -> None:
    """Row 2 asks for the same gain as row 4."""
    smaller = Pool("m5.large", "us-east-1b")
    view = workload(usage=over_provisioned())
    assert decide_one(view, {HERE: 0.04, smaller: _price(60 + gain)}).row == row


@pytest.mark.parametrize(("cpu", "memory", "row"), [(1.19, 6.39, 4), (0.5, 3.0, 2)])
def test_a_smaller_type_leaves_twenty_percent_headroom(cpu: float, memory: float, row: int) -> None:
    """c5.large has 4 GiB: 3.0 GiB x 1.2 fit, 6.39 do not."""
    smaller = Pool("c5.large", "us-east-1b")
    view = workload(usage=Usage(NOW, cpu, memory, 168.0))
    assert decide_one(view, {HERE: 0.04, smaller: 0.015}).row == row


def test_a_pending_fallback_of_this_very_moment_does_not_confirm_itself() -> None:
    """Two looks at one moment are not two cycles."""
    view = workload(signals={HERE: NOW}, fallback_pending_since=NOW)
    decision = decide_one(view, {HERE: 0.04})
    assert decision.kind is STAY
    assert decision.fallback_pending


def test_equal_discount_goes_to_less_risk_and_then_to_the_name() -> None:
    """Ties are broken the same way every time."""
    riskier, safe, safe_too = (
        Pool("m5.xlarge", zone) for zone in ("us-east-1a", "us-east-1b", "us-east-1c")
    )
    view = workload(lifecycle=Lifecycle.ON_DEMAND)
    pools: Facts = {riskier: {"price": 0.04, "advisor_bucket": 1}, safe_too: 0.04, safe: 0.04}
    decision = decide_one(view, pools)
    order = [Pool(c.instance_type, c.availability_zone) for c in decision.candidates]
    assert order == [safe, safe_too, riskier]


def test_a_workload_overrides_a_threshold() -> None:
    """The settings of the workload count, not the defaults."""
    pools = {HERE: _price(60), THERE: _price(65)}
    view = workload(settings=replace(ACTING, switch_gain_points=6.0))
    assert decide_one(view, pools).kind is STAY
    assert target_of(decide_one(workload(), pools)) == THERE
