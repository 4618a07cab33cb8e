"""The outcome of a switch: savings from like prices, and None for what is unknown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.workflow.switch_figures import success_figures

CLAIMED = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW = CLAIMED + timedelta(minutes=30)
LAUNCHED = NOW - timedelta(minutes=20)
TARGET = {
    "instance_type": "m6i.large",
    "availability_zone": "us-east-1b",
    "lifecycle": "spot",
}
DECISION = {
    "current_spot_usd_per_hour": 0.060,
    "current_forecast_usd_per_hour": 0.050,
    "candidates": [
        {
            **TARGET,
            "availability_zone": "us-east-1c",
            "spot_usd_per_hour": 0.010,
            "forecast_usd_per_hour": 0.011,
        },
        {**TARGET, "spot_usd_per_hour": 0.030, "forecast_usd_per_hour": 0.035},
    ],
}
WRITTEN_BY_0_1_0 = {"candidates": [{**TARGET, "price_usd_per_hour": 0.035}]}


def switch(
    original: str = "spot", target: str = "spot", kind: str = "SWITCH", **over: Any
) -> SwitchItem:
    """A switch from 0.060 (current) to a place with a forecast price of 0.035 USD per hour."""
    order = {
        "switch_id": "s-1",
        "workload_id": "web",
        "decision_id": "s-1",
        "decided_at": CLAIMED,
        "kind": kind,
        "row": 4,
        "reason": "saves",
        "original": {
            "instance_id": "i-0123456789abcdef0",
            "instance_type": "m5.large",
            "availability_zone": "us-east-1a",
            "lifecycle": original,
            "price_usd_per_hour": 0.060,
        },
        "candidates": [
            {**TARGET, "lifecycle": target, "subnet_id": "subnet-1", "price_usd_per_hour": 0.035}
        ],
        "launch_template": {"template_id": "lt-1", "version": 1, "data_hash": "d"},
        "home_type_after": "m5.large",
        "auto_terminate": True,
        "guard": {
            "cooldown_minutes": 10,
            "breaker_failures": 3,
            "backoff_minutes": 15,
            "backoff_minutes_max": 360,
        },
        **over,
    }
    return SwitchItem.read(
        {
            "workload_id": "web",
            "switch_id": "s-1",
            "order": order,
            "phase": "COMMITTED",
            "fence": 1,
            "claimed_at": CLAIMED,
            "launched_at": LAUNCHED,
        }
    )


def test_savings_are_differences_of_like_prices() -> None:
    """0.060 to 0.030 at current prices, 0.050 to 0.035 at forecast prices."""
    outcome = success_figures(switch(), DECISION, NOW)
    assert outcome["saving_spot_usd_per_hour"] == pytest.approx(0.030)
    assert outcome["saving_forecast_usd_per_hour"] == pytest.approx(0.015)
    assert outcome["spot_before_usd_per_hour"] == 0.060
    assert outcome["spot_after_usd_per_hour"] == 0.030
    assert outcome["forecast_before_usd_per_hour"] == 0.050
    assert outcome["forecast_after_usd_per_hour"] == 0.035


def test_overlap_and_break_even_are_counted_at_current_prices() -> None:
    """20 minutes of the cheaper instance cost 0.010 USD: 20 minutes of the saving."""
    outcome = success_figures(switch(), DECISION, NOW)
    assert outcome["overlap_s"] == 1200
    assert outcome["overlap_usd"] == pytest.approx(0.030 / 3)
    assert outcome["break_even_hours"] == pytest.approx(1 / 3)


def test_summary_says_of_which_prices_a_saving_is() -> None:
    """Both savings are in the text, each with its prices."""
    summary = success_figures(switch(), DECISION, NOW)["summary"]
    assert summary == (
        "m5.large/us-east-1a spot -> m6i.large/us-east-1b spot,"
        " saves 0.0300 USD per hour at current prices,"
        " saves 0.0150 USD per hour at forecast prices"
    )


def test_equal_savings_stand_once_in_the_summary() -> None:
    """One figure, with both kinds of prices that it is of."""
    alike = {**DECISION, "current_forecast_usd_per_hour": 0.065}
    summary = success_figures(switch(), alike, NOW)["summary"]
    assert summary.endswith("spot, saves 0.0300 USD per hour at current and forecast prices")


def test_summary_says_what_a_more_expensive_pool_costs() -> None:
    """A negative saving is a cost."""
    costlier = {**DECISION, "current_forecast_usd_per_hour": 0.025}
    summary = success_figures(switch(), costlier, NOW)["summary"]
    assert summary.endswith("costs 0.0100 USD per hour more at forecast prices")


@pytest.mark.parametrize("decision", [None, {}, WRITTEN_BY_0_1_0, {"candidates": None}])
def test_without_both_prices_a_saving_is_unknown(decision: dict[str, Any] | None) -> None:
    """A forecast price is never subtracted from a current one."""
    outcome = success_figures(switch(), decision, NOW)
    assert outcome["spot_before_usd_per_hour"] == 0.060
    assert outcome["forecast_after_usd_per_hour"] == 0.035
    unknown = ("saving_spot_usd_per_hour", "saving_forecast_usd_per_hour", "overlap_usd")
    assert {outcome[name] for name in (*unknown, "break_even_hours")} == {None}
    assert "USD" not in outcome["summary"]


def test_old_names_hold_current_prices() -> None:
    """A reader of version 0.1.0 finds prices of one kind, or None."""
    known, unknown = (success_figures(switch(), d, NOW) for d in (DECISION, WRITTEN_BY_0_1_0))
    assert known["saving_usd_per_hour"] == known["saving_spot_usd_per_hour"]
    assert known["price_before_usd_per_hour"] == 0.060
    assert known["price_after_usd_per_hour"] == 0.030
    assert (unknown["saving_usd_per_hour"], unknown["price_after_usd_per_hour"]) == (None, None)


def test_an_on_demand_price_is_current_and_forecast() -> None:
    """The list price of an on-demand instance does not change from hour to hour."""
    outcome = success_figures(switch(original="on-demand", target="on-demand"), None, NOW)
    assert outcome["saving_spot_usd_per_hour"] == pytest.approx(0.025)
    assert outcome["saving_forecast_usd_per_hour"] == pytest.approx(0.025)
