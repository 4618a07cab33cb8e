"""Current spot prices and forecasts have names of their own, in decisions and on record."""

import json

import pytest

from spot_optimizer.aws.ledger.codec import to_wire
from spot_optimizer.contracts.switch import Original, Target
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.decision_record import differences, plain_record
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.vocabulary import DecisionKind, Lifecycle, Pool
from tests.decision.explained import judged_by
from tests.decision.worlds import (
    HERE,
    HOME_ON_DEMAND,
    NOW,
    ZONES,
    Facts,
    decide_one,
    target_of,
    workload,
)

THERE = Pool("m5a.xlarge", ZONES[1])
FALLS_HERE_RISES_THERE = {
    HERE: {"price": 0.060, "forecast_mean": 0.050},
    THERE: {"price": 0.030, "forecast_mean": 0.035},
}


def _switch(engine: str) -> Decision:
    decision = decide_one(judged_by(workload(), engine), FALLS_HERE_RISES_THERE)
    assert (decision.kind, target_of(decision)) == (DecisionKind.SWITCH, THERE), decision.reason
    return decision


@pytest.mark.parametrize("engine", BUILT_IN)
def test_savings_compare_prices_of_one_kind(engine: str) -> None:
    """Forecast with forecast, current price with current price: never one with the other."""
    decision = _switch(engine)
    assert decision.current_spot_usd_per_hour == pytest.approx(0.060)
    assert decision.current_forecast_usd_per_hour == pytest.approx(0.050)
    assert decision.saving_spot_usd_per_hour == pytest.approx(0.030)
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.015)


@pytest.mark.parametrize("engine", BUILT_IN)
def test_candidate_has_both_prices_and_is_judged_by_its_forecast(engine: str) -> None:
    """The discount is that of the forecast, which is what engines compare."""
    best = _switch(engine).candidates[0]
    assert (best.spot_usd_per_hour, best.forecast_usd_per_hour) == (0.030, 0.035)
    assert best.discount_points == pytest.approx(65)


@pytest.mark.parametrize("engine", BUILT_IN)
def test_reason_says_which_prices_it_compares(engine: str) -> None:
    """Points and dollars in a reason are forecasts, and are called so; a yield has no price."""
    reason = _switch(engine).reason
    assert "forecast" in reason
    assert "0.0300" not in reason
    assert "0.0600" not in reason


def test_rejection_has_both_prices() -> None:
    """A pool that was not selected shows what it costs and what it will cost."""
    too_costly: Facts = {HERE: 0.040, THERE: {"price": 0.050, "forecast_mean": 0.039}}
    (rejection,) = [r for r in decide_one(workload(), too_costly).rejected if r.pool == THERE]
    assert (rejection.spot_usd_per_hour, rejection.forecast_usd_per_hour) == (0.050, 0.039)
    assert "forecast discount 61.0 points" in rejection.reason


def test_on_demand_has_its_list_price_as_both() -> None:
    """On-demand has no market: nothing is forecast."""
    view = workload(lifecycle=Lifecycle.ON_DEMAND)
    decision = decide_one(view, {THERE: {"price": 0.030, "forecast_mean": 0.035}})
    assert decision.current_spot_usd_per_hour == HOME_ON_DEMAND
    assert decision.current_forecast_usd_per_hour == HOME_ON_DEMAND
    assert decision.saving_spot_usd_per_hour == pytest.approx(0.070)
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.065)
    left = decide_one(workload(signals={HERE: NOW}), {HERE: 0.03, THERE: 0.03})
    last_resort = left.candidates[-1]
    assert last_resort.lifecycle is Lifecycle.ON_DEMAND
    assert last_resort.spot_usd_per_hour == last_resort.forecast_usd_per_hour == HOME_ON_DEMAND


def test_prices_are_unknown_where_the_market_knows_none() -> None:
    """A pool with a signal is left without a price; no saving is made up."""
    decision = decide_one(workload(signals={HERE: NOW}), {THERE: 0.03})
    assert decision.kind is DecisionKind.SWITCH
    assert decision.current_spot_usd_per_hour is None
    assert decision.current_forecast_usd_per_hour is None
    assert decision.saving_spot_usd_per_hour is None
    assert decision.saving_forecast_usd_per_hour == 0.0


def test_staying_saves_nothing_but_knows_its_prices() -> None:
    """Without a candidate there are the current prices alone."""
    decision = decide_one(workload(), {HERE: {"price": 0.041, "forecast_mean": 0.040}})
    assert decision.kind is DecisionKind.STAY
    assert decision.current_spot_usd_per_hour == pytest.approx(0.041)
    assert decision.current_forecast_usd_per_hour == pytest.approx(0.040)
    assert decision.saving_spot_usd_per_hour is None


def test_record_has_the_new_names_and_those_of_the_first_release() -> None:
    """Release 0.1.0 finds each figure under the name and with the meaning that it wrote."""
    record = plain_record(_switch("forecast"))
    candidate = record["candidates"][0]
    assert (candidate["spot_usd_per_hour"], candidate["forecast_usd_per_hour"]) == (0.030, 0.035)
    assert candidate["price_usd_per_hour"] == 0.035
    assert record["saving_forecast_usd_per_hour"] == pytest.approx(0.015)
    assert record["saving_spot_usd_per_hour"] == pytest.approx(0.030)
    assert record["saving_usd_per_hour"] == record["saving_forecast_usd_per_hour"]
    assert record["rescue"] is False
    assert "urgent" not in record, "written under its old name alone (docs/compatibility.md)"
    assert (
        to_wire(record)["candidates"]
        == to_wire(json.loads(json.dumps(record, default=str)))["candidates"]
    )


def test_record_of_a_rejection_has_the_spot_price_under_its_old_name() -> None:
    """There ``price_usd_per_hour`` has always been the current price."""
    too_costly: Facts = {HERE: 0.040, THERE: {"price": 0.050, "forecast_mean": 0.039}}
    (rejected,) = plain_record(decide_one(workload(), too_costly))["rejected"]
    assert rejected["spot_usd_per_hour"] == rejected["price_usd_per_hour"] == 0.050
    assert rejected["forecast_usd_per_hour"] == 0.039


def _as_0_1_0(record: dict[str, object]) -> dict[str, object]:
    """A record without the names that came after release 0.1.0."""
    later = {"spot_usd_per_hour", "forecast_usd_per_hour"}
    plain = json.loads(json.dumps(record, default=str))
    plain["candidates"] = [
        {k: v for k, v in candidate.items() if k not in later} for candidate in plain["candidates"]
    ]
    return dict(plain)


def test_names_that_an_older_record_lacks_are_no_difference() -> None:
    """A decision that release 0.1.0 recorded and that is made again is the same one."""
    decision = _switch("forecast")
    assert differences(_as_0_1_0(plain_record(decision)), decision) == []


def test_other_figures_than_on_record_are_a_difference() -> None:
    """Under the old names too."""
    decision = _switch("forecast")
    old = _as_0_1_0(plain_record(decision))
    old["candidates"][0]["price_usd_per_hour"] = 0.034  # type: ignore[index]
    assert differences({**old, "reason": "another"}, decision) == ["reason", "candidates"]


def test_order_names_its_prices_as_the_first_release_did() -> None:
    """Functions of release 0.1.0 parse what this one writes, and this one what they wrote."""
    placed = {"instance_type": "m5.large", "availability_zone": ZONES[0], "lifecycle": "spot"}
    target = Target.model_validate({**placed, "subnet_id": "s", "forecast_usd_per_hour": 0.035})
    original = Original.model_validate(
        {**placed, "instance_id": "i-0123456789abcdef0", "spot_usd_per_hour": 0.06}
    )
    for contract, price in ((target, 0.035), (original, 0.06)):
        written = contract.model_dump(mode="json")
        assert written["price_usd_per_hour"] == price
        assert not {"spot_usd_per_hour", "forecast_usd_per_hour"} & written.keys()
        assert type(contract).model_validate(written) == contract
