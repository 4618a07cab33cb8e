"""Properties of every decision on random markets, however broken the data."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.decision.decision import Candidate
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import WorkloadView, World
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
    HOME_ON_DEMAND,
    NOW,
    REGION,
    TYPES,
    ZONES,
    market,
    target_of,
    workload,
)

NAN = float("nan")
POOLS = [Pool(name, zone) for name in TYPES for zone in ZONES]
FACTS = st.fixed_dictionaries(
    {
        "price": st.one_of(st.floats(0.001, 0.25), st.sampled_from([NAN, 0.0, -1.0, 2.5])),
        "rise_volatility_24h": st.sampled_from([0.0, 0.15, 0.16, NAN]),
        "volatility_7d": st.sampled_from([0.0, 0.1, 0.5, NAN]),
        "instability": st.sampled_from([0.1, 0.84, 0.85, NAN]),
        "advisor_bucket": st.integers(-1, 4),
        "rise_volatility_worst_recent": st.sampled_from([0.0, 0.2, NAN]),
        "history_s": st.sampled_from([0.0, 1800.0, 90000.0]),
    }
)
MARKETS = st.dictionaries(st.sampled_from(POOLS), FACTS, min_size=1, max_size=12).map(market)
CPU = st.floats(0, 4)
USAGES = st.one_of(
    st.none(),
    st.builds(
        Usage,
        as_of=st.just(NOW),
        cpu_p95_vcpu=CPU,
        memory_p95_gib=st.one_of(st.none(), st.floats(0, 16)),
        hours=st.sampled_from([5.0, 168.0]),
        recent_cpu_vcpu=st.one_of(st.just((4.0,) * 12), st.just((0.1,) * 12)),
        recent_memory_gib=st.one_of(st.just((15.0,) * 12), st.just(())),
    ),
)


@st.composite
def views(draw: st.DrawFn, name: str = "web-1") -> WorkloadView:
    """A workload anywhere, with subnets in some zones."""
    zones = draw(st.sets(st.sampled_from(ZONES)))
    return workload(
        workload_id=name,
        lifecycle=draw(st.sampled_from(Lifecycle)),
        instance_type=draw(st.sampled_from([HOME, "m5.2xlarge", "m5a.xlarge"])),
        type_globs=draw(st.sampled_from([("*",), ("m5.*",), ("r5*", "c5*")])),
        subnets={zone: (f"subnet-{zone[-1]}",) for zone in zones},
        usage=draw(USAGES),
        signals=draw(
            st.dictionaries(
                st.sampled_from(POOLS),
                st.sampled_from([NOW - timedelta(minutes=5), NOW - timedelta(hours=3)]),
                max_size=3,
            )
        ),
        fallback_pending_since=draw(st.sampled_from([None, NOW - timedelta(minutes=5)])),
    )


def _assert_safe(candidate: Candidate, view: WorkloadView, snapshot: MarketSnapshot) -> None:
    pool = Pool(candidate.instance_type, candidate.availability_zone)
    row = snapshot.index_of(pool)
    assert row is not None
    assert snapshot.rise_volatility_24h[row] <= 0.15
    assert snapshot.instability[row] < 0.85
    assert snapshot.advisor_bucket[row] != 4
    assert pool != view.pool or view.lifecycle is Lifecycle.ON_DEMAND
    signalled = view.signals.get(pool)
    assert signalled is None or NOW - signalled >= timedelta(hours=2)
    assert any(
        pool.instance_type.startswith(glob.removesuffix("*").removesuffix("."))
        for glob in view.type_globs
    )


def _assert_runs_there(candidate: Candidate, view: WorkloadView) -> None:
    kind, home = TYPES[candidate.instance_type], TYPES[view.home_type]
    assert not incompatibility(kind, home)
    assert view.subnets[candidate.availability_zone] == (candidate.subnet_id,)
    assert np.isfinite(candidate.forecast_usd_per_hour)
    assert candidate.forecast_usd_per_hour > 0
    assert 0 <= candidate.risk <= 1


@settings(max_examples=150, deadline=None, print_blob=True)
@given(MARKETS, views())
def test_every_target_is_safe_fits_and_has_a_subnet(
    snapshot: MarketSnapshot, view: WorkloadView
) -> None:
    """No target of a decision or of its failover plan is unsafe, unpriced, foreign or unreachable."""
    decision = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
    assert not decision.reason.startswith("cannot be judged")
    assert len(decision.candidates) <= 6
    assert len(decision.failover_plan) <= 10
    for candidate in decision.candidates + decision.failover_plan:
        _assert_runs_there(candidate, view)
        if candidate.lifecycle is Lifecycle.SPOT:
            _assert_safe(candidate, view, snapshot)
        else:
            assert decision.row == 6
    for candidate in decision.failover_plan:
        kind, home = TYPES[candidate.instance_type], TYPES[HOME]
        assert kind.vcpu >= home.vcpu
        assert kind.memory_gib >= home.memory_gib
        assert candidate.forecast_usd_per_hour < HOME_ON_DEMAND


@settings(max_examples=100, deadline=None, print_blob=True)
@given(MARKETS, views())
def test_memory_is_never_reduced_while_it_is_unknown(
    snapshot: MarketSnapshot, view: WorkloadView
) -> None:
    """Without a memory metric no target has less memory than the home type, nor too few vCPU."""
    usage = replace(view.usage, memory_p95_gib=None) if view.usage else None
    view = replace(view, usage=usage)
    decision = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
    for candidate in decision.candidates:
        assert TYPES[candidate.instance_type].memory_gib >= TYPES[HOME].memory_gib
        if usage:
            least = min(TYPES[HOME].vcpu, 1.2 * usage.cpu_p95_vcpu)
            assert TYPES[candidate.instance_type].vcpu >= least


@settings(max_examples=100, deadline=None, print_blob=True)
@given(MARKETS, views())
def test_the_home_type_after_holds_whichever_target_the_switch_ends_on(
    snapshot: MarketSnapshot, view: WorkloadView
) -> None:
    """No target is smaller than the home type that the workload has afterwards."""
    decision = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
    after = TYPES[decision.home_type_after]
    for candidate in decision.candidates:
        assert TYPES[candidate.instance_type].vcpu >= after.vcpu
        assert TYPES[candidate.instance_type].memory_gib >= after.memory_gib


@settings(max_examples=100, deadline=None, print_blob=True)
@given(MARKETS, views())
def test_the_best_target_is_the_cheapest_safe_pool(
    snapshot: MarketSnapshot, view: WorkloadView
) -> None:
    """The plan is ranked by price, and rows 5 to 7 take its first."""
    decision = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
    prices = [candidate.forecast_usd_per_hour for candidate in decision.failover_plan]
    assert prices == sorted(prices)
    if decision.kind is DecisionKind.SWITCH and decision.row in (5, 6, 7):
        assert decision.candidates[0] == decision.failover_plan[0]


@settings(max_examples=100, deadline=None, print_blob=True)
@given(
    st.dictionaries(st.sampled_from(POOLS), FACTS, max_size=12),
    st.sampled_from([pool for pool in POOLS if pool.instance_type in ("m5a.xlarge", "m5.2xlarge")]),
    st.floats(0.01, 0.99),
)
def test_a_cheaper_safe_pool_never_loses(
    others: dict[Pool, dict[str, float]], cheap: Pool, fraction: float
) -> None:
    """Whatever else the market holds, the cheapest safe and fitting pool gets an expensive workload."""
    prices = [facts["price"] for facts in others.values() if facts["price"] > 0]
    price = fraction * min([0.05, *prices])
    pools = others | {HERE: {"price": 0.09}, cheap: {"price": price}}
    decision = decide(World((workload(),), market(pools), CATALOG), NOW, region=REGION)[0]
    assert decision.kind is DecisionKind.SWITCH
    assert target_of(decision) == cheap


@settings(max_examples=100, deadline=None, print_blob=True)
@given(
    st.dictionaries(st.sampled_from(POOLS), FACTS, min_size=2, max_size=12),
    st.tuples(views("web-1"), views("web-2"), views("web-3")),
    st.randoms(use_true_random=False),
)
def test_the_order_of_pools_and_workloads_changes_nothing(
    pools: dict[Pool, dict[str, float]], many: tuple[WorkloadView, ...], random: object
) -> None:
    """Shuffled pools and workloads give the same decisions, guards included."""
    shuffled_pools, shuffled_views = list(pools.items()), list(many)
    random.shuffle(shuffled_pools)  # type: ignore[attr-defined]
    random.shuffle(shuffled_views)  # type: ignore[attr-defined]
    many = tuple(replace(view, settings=replace(ACTING, switches_in_flight_max=1)) for view in many)
    again = tuple(next(v for v in many if v.workload_id == s.workload_id) for s in shuffled_views)
    first = decide(World(many, market(pools), CATALOG), NOW, region=REGION)
    second = decide(World(again, market(dict(shuffled_pools)), CATALOG), NOW, region=REGION)
    assert {d.workload_id: d for d in first} == {d.workload_id: d for d in second}


@settings(max_examples=50, deadline=None, print_blob=True)
@given(MARKETS, views())
def test_nothing_on_record_is_nan(snapshot: MarketSnapshot, view: WorkloadView) -> None:
    """Evidence, rejections and targets hold finite numbers, so that they can be written as JSON."""
    decision = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
    numbers = [v for v in decision.evidence.values() if isinstance(v, float)]
    numbers += [r.spot_usd_per_hour for r in decision.rejected]
    numbers += [c.forecast_usd_per_hour for c in decision.candidates]
    numbers += [c.spot_usd_per_hour for c in decision.candidates]
    numbers.append(decision.saving_forecast_usd_per_hour)
    prices = (
        decision.current_spot_usd_per_hour,
        decision.current_forecast_usd_per_hour,
        decision.saving_spot_usd_per_hour,
    )
    numbers += [price for price in prices if price is not None]
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.MANUAL])
def test_an_empty_market_means_no_move(mode: Mode) -> None:
    """Without any pool a spot workload has no price and an on-demand one no target: both stay."""
    for lifecycle in Lifecycle:
        view = workload(lifecycle=lifecycle, mode=mode)
        decision = decide(World((view,), market({}), CATALOG), NOW, region=REGION)[0]
        assert decision.kind is DecisionKind.STAY
        assert str(HERE) in decision.reason
