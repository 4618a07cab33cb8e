"""The engine as a whole: preconditions, names, records, and one bad workload among good ones."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide, decision_id
from spot_optimizer.decision.world import (
    Force,
    WorkloadView,
    World,
)
from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME,
    NOW,
    REGION,
    ZONES,
    decide_one,
    market,
    over_provisioned,
    workload,
)

THERE = Pool("m5a.xlarge", "us-east-1b")
GOOD = market({HERE: 0.09, THERE: 0.03})
NAN = float("nan")


def _decide(
    *views: WorkloadView, snapshot: MarketSnapshot | None = GOOD, **world: object
) -> list[Decision]:
    return decide(
        World(views, snapshot, **({"catalog": CATALOG} | world)),  # type: ignore[arg-type]
        NOW,
        region=REGION,
    )


@pytest.mark.parametrize(
    ("snapshot", "view", "text"),
    [
        (None, {}, "there is no market data"),
        (
            market({HERE: 0.09, THERE: 0.03}, age=timedelta(minutes=31)),
            {},
            "market data is 31 minutes old, 30 at most",
        ),
        (GOOD, {"home_type": "z9.big"}, "home type z9.big is not in the catalog"),
        (market({THERE: 0.03}), {}, "no price of the current pool m5.xlarge/us-east-1a"),
        (market({HERE: 0.0, THERE: 0.03}), {}, "implausible: 0.0000"),
        (market({HERE: -0.1, THERE: 0.03}), {}, "implausible: -0.1000"),
        (market({HERE: NAN, THERE: 0.03}), {}, "implausible: nan"),
        (market({HERE: 1.01, THERE: 0.03}), {}, "implausible: 1.0100"),
        (market({HERE: {"price": 0.05, "forecast_mean": NAN}}), {}, "forecast nan"),
        (market({HERE: {"price": 0.05, "forecast_mean": float("inf")}}), {}, "forecast inf"),
    ],
)
def test_missing_stale_or_absurd_data_mean_stay(
    snapshot: MarketSnapshot | None, view: dict[str, object], text: str
) -> None:
    """Row 0, with the figure; the plan on the ledger is left as it is."""
    (decision,) = _decide(workload(**view), snapshot=snapshot)
    assert (decision.kind, decision.row) == (DecisionKind.STAY, 0)
    assert text in decision.reason
    assert not decision.failover_plan_current
    assert decision.home_type_after == view.get("home_type", HOME)


def test_market_data_of_exactly_the_highest_age_still_count() -> None:
    """30 minutes are allowed."""
    fresh = market({HERE: 0.09, THERE: 0.03}, age=timedelta(minutes=30))
    assert _decide(workload(), snapshot=fresh)[0].kind is DecisionKind.SWITCH


@pytest.mark.parametrize("price", [None, 0.0, NAN])
def test_a_home_type_without_on_demand_price_means_stay(price: float | None) -> None:
    """Without it there is no discount to count."""
    prices = dict(CATALOG.on_demand_usd_per_hour)
    if price is None:
        del prices[HOME]
    else:
        prices[HOME] = price
    (decision,) = _decide(workload(), catalog=replace(CATALOG, on_demand_usd_per_hour=prices))
    assert decision.reason == f"home type {HOME} has no on-demand price"


def test_a_signalled_pool_is_left_even_when_its_price_is_missing() -> None:
    """An urgent switch needs no price of the pool that it leaves."""
    (decision,) = _decide(workload(signals={HERE: NOW}), snapshot=market({THERE: 0.03}))
    assert (decision.kind, decision.row, decision.urgent) == (DecisionKind.SWITCH, 6, True)
    assert "m5a.xlarge/us-east-1b is forecast to cost 0.0300 USD per hour" in decision.reason


def test_an_absurd_candidate_is_no_candidate() -> None:
    """A price that is unknown, not positive or beyond ten times on-demand gives no target."""
    for price in (NAN, 0.0, -0.5):
        (decision,) = _decide(workload(), snapshot=market({HERE: 0.09, THERE: price}))
        assert decision.rejected_counts["no price"] == 1
    beyond = market({HERE: 0.09, THERE: {"price": 0.91, "forecast_mean": 0.03}})
    (decision,) = _decide(workload(), snapshot=beyond)
    assert decision.kind is DecisionKind.STAY


def test_one_bad_workload_never_stops_the_others() -> None:
    """It gets STAY with the error, before and after it decisions are made as always."""
    naive = Usage(datetime(2025, 1, 1), 1.0, None, 1.0)
    bad = (
        workload(workload_id="bad-1", subnets=None),
        workload(workload_id="bad-2", usage=naive),
        workload(workload_id="bad-3", settings=None),
        workload(workload_id="bad-4", type_globs=None),
    )
    decisions = _decide(workload(workload_id="first"), *bad, workload(workload_id="last"))
    kinds = [d.kind for d in decisions]
    assert kinds == [DecisionKind.SWITCH] + [DecisionKind.STAY] * 4 + [DecisionKind.SWITCH]
    for decision in decisions[1:-1]:
        assert decision.row == 0
        assert decision.reason.startswith("cannot be judged: ")
        assert not decision.failover_plan_current


def test_a_workload_that_is_off_is_not_looked_at() -> None:
    """No decision, no record."""
    decisions = _decide(workload(mode=Mode.OFF), workload(workload_id="on"))
    assert [d.workload_id for d in decisions] == ["on"]


def test_a_moment_without_time_zone_is_refused() -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="now = 2025-06-03T15:00:00 has no time zone"):
        decide(World((), GOOD, CATALOG), NOW.replace(tzinfo=None), region=REGION)


@given(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=128))
def test_decision_ids_are_legal_execution_names_and_tell_workloads_apart(
    one: str, other: str
) -> None:
    """At most 80 characters of the allowed ones, whatever users call their workloads."""
    first, second = decision_id(one, NOW), decision_id(other, NOW)
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,80}", first)
    assert "-20250603T150000Z-" in first
    assert (first == second) == (one == other)


def test_a_decision_id_is_the_same_for_the_same_look_only() -> None:
    """A retried cycle names its decisions alike; another time or a forced look does not."""
    usual = decision_id("web-1", NOW)
    assert usual == decision_id("web-1", NOW.astimezone(timezone(timedelta(hours=2))))
    assert usual.startswith("web-1-20250603T150000Z-")
    assert usual != decision_id("web-1", NOW + timedelta(seconds=1))
    assert usual != decision_id("web-1", NOW, Force("ann"))
    assert _decide(workload())[0].decision_id == usual


def test_the_failover_plan_is_on_every_decision() -> None:
    """Safe pools but the current one, the best first, ten at most, also when it stays."""
    pools = {HERE: 0.01} | {
        Pool(name, zone): 0.02 + 0.001 * i
        for i, (name, zone) in enumerate(
            (name, zone) for zone in ZONES for name in ("m5.xlarge", "m5a.xlarge", "m5.2xlarge")
        )
        if Pool(name, zone) != HERE
    }
    unsafe = Pool("m5a.xlarge", "us-east-1a")
    pools[unsafe] = {"price": 0.012, "instability": 0.9}  # type: ignore[assignment]
    decision = decide_one(workload(), pools)
    assert decision.kind is DecisionKind.STAY
    plan = [Pool(c.instance_type, c.availability_zone) for c in decision.failover_plan]
    assert plan == [pool for pool in pools if pool not in (HERE, unsafe)]
    assert decision.failover_plan_current


def test_an_on_demand_workloads_plan_needs_no_confirmation() -> None:
    """Row 3 waits for 30 safe minutes, the plan does not."""
    view = workload(lifecycle=Lifecycle.ON_DEMAND)
    decision = decide_one(view, {THERE: {"price": 0.03, "history_s": 60.0}})
    assert decision.kind is DecisionKind.STAY
    assert [c.instance_type for c in decision.failover_plan] == ["m5a.xlarge"]


def test_an_urgent_switch_ends_its_list_on_demand() -> None:
    """Five pools and then the home type, in the current zone; without the flag six pools."""
    pools = {HERE: 0.05} | {
        Pool(name, zone): 0.03
        for zone in ZONES
        for name in ("m5.xlarge", "m5a.xlarge", "m5.2xlarge")
        if Pool(name, zone) != HERE
    }
    view = workload(signals={HERE: NOW})
    last = decide_one(view, pools).candidates[-1]
    assert (last.instance_type, last.availability_zone) == HERE
    assert (last.lifecycle, last.discount_points, last.risk) == (Lifecycle.ON_DEMAND, 0.0, 0.0)
    without = replace(view, settings=replace(ACTING, fallback_to_on_demand=False))
    for candidates in (decide_one(view, pools).candidates, decide_one(without, pools).candidates):
        assert len(candidates) == 6
    assert all(c.lifecycle is Lifecycle.SPOT for c in decide_one(without, pools).candidates)


def test_a_fallback_tries_the_current_zone_first_and_only_zones_that_can() -> None:
    """Zones need a subnet and must offer the type; without any it stays and says so."""
    view = workload(
        availability_zone="us-east-1b",
        signals={Pool(HOME, "us-east-1b"): NOW},
        fallback_pending_since=NOW - timedelta(minutes=5),
    )
    snapshot = market({Pool(HOME, "us-east-1b"): 0.05})
    (decision,) = _decide(view, snapshot=snapshot)
    assert [c.availability_zone for c in decision.candidates] == [
        "us-east-1b",
        "us-east-1a",
        "us-east-1c",
    ]
    assert [c.subnet_id for c in decision.candidates] == ["subnet-b", "subnet-a", "subnet-c"]
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.05 - 0.10)
    nowhere = replace(CATALOG, zones={HOME: frozenset({"us-east-1f"})})
    (decision,) = _decide(view, snapshot=snapshot, catalog=nowhere)
    assert decision.kind is DecisionKind.STAY
    assert "no zone to launch in offers m5.xlarge on-demand" in decision.reason
    assert not decision.fallback_pending


def test_the_fallback_can_be_switched_off() -> None:
    """Then it stays on the unbearable pool and says why."""
    view = workload(signals={HERE: NOW}, settings=replace(ACTING, fallback_to_on_demand=False))
    decision = decide_one(view, {HERE: 0.05})
    assert "the fallback to on-demand is disabled" in decision.reason


def test_reasons_name_the_figures_that_decided() -> None:
    """A sentence for people: where, how much, against what, at which risk."""
    pools = {HERE: 0.0421, Pool("m5a.xlarge", "us-east-1b"): 0.0379}
    reason = decide_one(workload(), pools).reason
    assert (
        "m5.xlarge/us-east-1a is acceptable (forecast discount 57.9 points, 55.0 wanted)" in reason
    )
    assert (
        "m5a.xlarge/us-east-1b is forecast to cost 4.2 points less (discount 62.1 against 57.9) at risk"
        in reason
    )
    stays = decide_one(workload(), {HERE: 0.0421, THERE: 0.0411}).reason
    assert (
        "no safe pool gains enough: m5a.xlarge/us-east-1b is forecast to cost 1.0 points less"
        in stays
    )
    alone = decide_one(workload(), {HERE: {"price": 0.0421, "instability": 0.91}}).reason
    assert "not safe (instability 0.91, below 0.85 is safe)" in alone
    assert "none of 1 pools is safe, compatible and cheaper" in alone
    volatile = decide_one(workload(), {HERE: {"price": 0.04, "rise_volatility_24h": 0.2}}).reason
    assert "volatile: 0.200 in 24 h, at most 0.150 is safe" in volatile
    smaller = decide_one(
        workload(usage=over_provisioned()), {HERE: 0.04, Pool("m5.large", ZONES[1]): 0.02}
    )
    assert "over-provisioned (CPU p95 12 %, memory p95 12 % of m5.xlarge)" in smaller.reason


REJECTED: dict[Pool, tuple[Mapping[str, float] | float, str]] = {
    Pool("t3.xlarge", "us-east-1b"): (0.010, "does not fit the home type: burstable"),
    Pool("m6g.xlarge", "us-east-1b"): (0.010, "does not fit the home type: architecture"),
    Pool("m5.large", "us-east-1b"): (0.010, "too small: 2 vCPU, 8 GiB"),
    Pool("c5.xlarge", "us-east-1b"): (0.010, "not in types m*, r*, t*"),
    Pool("m5.xlarge", "us-east-1c"): (0.010, "no subnet in us-east-1c"),
    Pool("z9.big", "us-east-1b"): (0.010, "no on-demand price"),
    Pool("y9.big", "us-east-1b"): (0.010, "does not fit the home type: not in the catalog"),
    Pool("m5a.xlarge", "us-east-1a"): (0.050, "gain too small"),
    Pool("m5.2xlarge", "us-east-1a"): (
        0.120,
        "not below on-demand: forecast discount -20.0 points",
    ),
    Pool("m5.2xlarge", "us-east-1b"): ({"price": 0.030, "advisor_bucket": 4}, "advisor > 20 %"),
}


def test_a_zone_with_subnets_that_will_not_do_says_why() -> None:
    """What refused them stands behind the pool; all such pools are counted together."""
    view = workload(
        subnets={"us-east-1a": ("subnet-a",)},
        refused_zones={"us-east-1b": "no free address in subnet-b"},
    )
    elsewhere = Pool("m5.xlarge", "us-east-1c")
    decision = decide_one(view, {HERE: 0.05, THERE: 0.01, elsewhere: 0.01})
    assert {r.pool: r.reason for r in decision.rejected} == {
        THERE: "no subnet to use in us-east-1b: no free address in subnet-b",
        elsewhere: "no subnet in us-east-1c",
    }
    assert decision.rejected_counts["no subnet to use in the zone"] == 2


def _rejected_by(view: WorkloadView) -> Decision:
    catalog = replace(
        CATALOG, on_demand_usd_per_hour={**CATALOG.on_demand_usd_per_hour, "y9.big": 0.1}
    )
    others = {pool: facts for pool, (facts, _) in REJECTED.items()}
    snapshot = market({HERE: 0.05, **others})
    return _decide(view, snapshot=snapshot, catalog=catalog)[0]


def test_every_rejected_pool_has_its_reason() -> None:
    """Counted by reason, and the cheapest in detail, those that could host the workload first."""
    decision = _rejected_by(
        workload(
            subnets={"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b",)},
            type_globs=("m*", "r*", "t*"),
        )
    )
    given_reasons = {r.pool: r.reason for r in decision.rejected}
    assert given_reasons.keys() == REJECTED.keys()
    for pool, (_, text) in REJECTED.items():
        assert given_reasons[pool].startswith(text), pool
    assert [r.pool for r in decision.rejected[:3]] == [
        Pool("m5.2xlarge", "us-east-1b"),
        Pool("m5a.xlarge", "us-east-1a"),
        Pool("m5.2xlarge", "us-east-1a"),
    ]
    assert sum(decision.rejected_counts.values()) == len(REJECTED) + 1
    assert decision.rejected_counts["does not fit the home type"] == 3
    assert decision.rejected_counts["the current pool"] == 1


def test_unconfirmed_and_unstable_pools_say_what_they_lack() -> None:
    """On-demand: one is not safe for long enough, one is not safe now."""
    view = workload(lifecycle=Lifecycle.ON_DEMAND)
    young, unstable = Pool(HOME, ZONES[1]), Pool(HOME, ZONES[2])
    pools = {
        young: {"price": 0.03, "history_s": 60.0},
        unstable: {"price": 0.03, "instability": 0.9},
    }
    reasons = {r.pool: r.reason for r in decide_one(view, pools).rejected}
    assert reasons[young] == "safe for less than 30 minutes"
    assert reasons[unstable] == "instability 0.90, below 0.85 is safe"


def test_the_record_holds_the_inputs_that_counted() -> None:
    """Prices, discount, risk, usage and ages; unknown memory is None."""
    usage = replace(over_provisioned(memory_p95_gib=None), as_of=NOW - timedelta(hours=1))
    evidence = decide_one(workload(usage=usage), {HERE: 0.04}).evidence
    assert evidence["current_usd_per_hour"] == pytest.approx(0.04)
    assert evidence["current_discount_points"] == pytest.approx(60)
    assert evidence["home_on_demand_usd_per_hour"] == 0.100
    assert evidence["current_pool_advisor_bucket"] == 0
    assert evidence["usage_age_s"] == 3600
    assert evidence["memory_p95_gib"] is None
    assert evidence["state"] == "acceptable"
    assert evidence["market_age_s"] == 0


KINDS = st.builds(
    InstanceType,
    name=st.just("x"),
    vcpu=st.just(2),
    memory_gib=st.just(8.0),
    architecture=st.sampled_from(["x86_64", "arm64"]),
    burstable=st.booleans(),
    bare_metal=st.booleans(),
    hypervisor=st.sampled_from(["nitro", "xen"]),
    gpus=st.integers(0, 1),
    instance_store=st.booleans(),
    spot=st.booleans(),
    current_generation=st.booleans(),
    instance_store_gb=st.sampled_from([0.0, 75.0, 150.0]),
    accelerators=st.sampled_from(["", "1 x NVIDIA T4 16384 MiB"]),
)


@given(KINDS, KINDS, st.booleans())
def test_compatibility_is_explained_for_every_pair_of_types(
    candidate: InstanceType, home: InstanceType, may_burst: bool
) -> None:
    """No reason is given exactly when every clause of the rule holds."""
    holds = (
        candidate.architecture == home.architecture
        and candidate.spot
        and not candidate.bare_metal
        and candidate.gpus == home.gpus
        and candidate.accelerators == home.accelerators
        and (home.burstable or may_burst or not candidate.burstable)
        and candidate.hypervisor == home.hypervisor
        and candidate.instance_store == home.instance_store
        and candidate.instance_store_gb >= home.instance_store_gb
    )
    assert (incompatibility(candidate, home, may_burst=may_burst) == "") == holds
