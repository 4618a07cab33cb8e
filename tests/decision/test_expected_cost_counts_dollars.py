"""``expected_cost``: price, interruptions and the switch itself in one currency."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME_ON_DEMAND,
    NOW,
    REGION,
    market,
    target_of,
    workload,
)

ONE, TWO = Pool("m5.xlarge", "us-east-1b"), Pool("m5a.xlarge", "us-east-1c")
BUCKETS = (0, 2, 4)
MONTHLY = {0: 0.025, 2: 0.125, 4: 0.25}
"""Share interrupted in a month, the middle of each bucket."""


def _settings(**changes: float | str | bool) -> Settings:
    return replace(ACTING, engine="expected_cost", **changes)  # type: ignore[arg-type]


def _view(settings: Settings | None = None, **changes: object) -> WorkloadView:
    return workload(settings=settings or _settings(), **changes)


def _pool(points: float, bucket: int = 0, instability: float = 0.5) -> dict[str, float]:
    return {
        "price": points * HOME_ON_DEMAND / 100,
        "advisor_bucket": bucket,
        "instability": instability,
    }


def _decide(view: WorkloadView, pools: dict[Pool, dict[str, float]], **world: object) -> Decision:
    made = World((view,), market(pools), CATALOG, **world)  # type: ignore[arg-type]
    return decide(made, NOW, region=REGION)[0]


def _hazard(bucket: int) -> float:
    return -log(1 - MONTHLY[bucket]) / 730


def _expected_usd(points: float, bucket: int, cost_minutes: float) -> float:
    """The module's formula in plain words, for a pool without history and with instability 0.5."""
    return (points / 100 + _hazard(bucket) * cost_minutes / 60) * HOME_ON_DEMAND


def _switch_usd(points_here: float, settings: Settings) -> float:
    overlap = settings.switch_overlap_minutes / 60 * points_here / 100
    return (overlap + settings.switch_lost_minutes / 60) * HOME_ON_DEMAND


@pytest.mark.parametrize("cost_minutes", [0, 30, 10_080])
@pytest.mark.parametrize("stay_hours", [1, 12, 720])
def test_every_cell_of_a_small_grid_is_decided_by_the_dollars(
    cost_minutes: float, stay_hours: float
) -> None:
    """Here and one other pool: price x bucket of each, moved exactly when that is cheaper, the hours
    that the switch must pay for itself in ending with the next interruption."""
    settings = _settings(interruption_cost_minutes=cost_minutes, expected_stay_hours=stay_hours)
    for here, there in product(product((30, 31, 40, 60), BUCKETS), repeat=2):
        hours = min(stay_hours, 1 / _hazard(there[1]))
        moves = _expected_usd(*there, cost_minutes) + _switch_usd(here[0], settings) / hours
        decision = _decide(
            _view(settings, launched_at=NOW - timedelta(days=1)),
            {HERE: _pool(*here), ONE: _pool(*there)},
        )
        # The day that the instance has survived here is pool history: it lowers the hazard a little.
        survived = 2 / (2 / _hazard(here[1]) + 24)
        stays = (here[0] / 100 + survived * cost_minutes / 60) * HOME_ON_DEMAND
        if abs(moves - stays) > 1e-9:
            assert (decision.kind is DecisionKind.SWITCH) == (moves < stays), (here, there)


@pytest.mark.parametrize("cost_minutes", [0, 30, 600])
def test_a_cheaper_and_safer_pool_never_loses(cost_minutes: float) -> None:
    """Of two pools the one that is neither more expensive nor less safe, and better in one respect,
    is never ranked behind the other, over a whole grid of prices, buckets and instabilities."""
    settings = _settings(interruption_cost_minutes=cost_minutes)
    grid = list(product((20, 21, 30), BUCKETS, (0.1, 0.9)))
    for better, worse in product(grid, repeat=2):
        if better == worse or any(b > w for b, w in zip(better, worse, strict=True)):
            continue
        for first, second in ((ONE, TWO), (TWO, ONE)):
            pools = {HERE: _pool(60), first: _pool(*better), second: _pool(*worse)}
            decision = _decide(_view(settings), pools)
            if cost_minutes or better[0] < worse[0]:
                assert target_of(decision) == first, (better, worse)


@settings(deadline=None)
@given(
    prices=st.lists(st.integers(1, 99), min_size=3, max_size=3),
    buckets=st.lists(st.integers(-1, 4), min_size=3, max_size=3),
    cost=st.integers(0, 2000),
    overlap=st.integers(0, 120),
    more=st.integers(0, 120),
    on_demand=st.booleans(),
)
def test_a_costlier_switch_never_causes_more_switches(
    prices: list[int], buckets: list[int], cost: int, overlap: int, more: int, on_demand: bool
) -> None:
    """What stays at a low cost of switching stays at every higher one."""
    pools = {
        pool: _pool(price, bucket)
        for pool, price, bucket in zip((HERE, ONE, TWO), prices, buckets, strict=True)
    }
    lifecycle = Lifecycle.ON_DEMAND if on_demand else Lifecycle.SPOT
    pending = NOW - timedelta(minutes=5)

    def moves(overlap_minutes: int) -> bool:
        settings = _settings(
            interruption_cost_minutes=float(cost), switch_overlap_minutes=float(overlap_minutes)
        )
        view = _view(settings, lifecycle=lifecycle, fallback_pending_since=pending)
        return _decide(view, pools).kind is not DecisionKind.STAY

    assert not (moves(overlap + more) and not moves(overlap))


@settings(deadline=None)
@given(st.lists(st.integers(20, 60), min_size=2, max_size=40))
def test_it_does_not_thrash(points: list[int]) -> None:
    """Two pools whose prices swap all the time: each move has gained its own cost over the expected
    stay, so between two moves the price of where it is rose by more than that against the other."""
    settings = _settings(interruption_cost_minutes=0)
    here = HERE
    for price in points:
        other = ONE if here == HERE else HERE
        pools = {here: _pool(price), other: _pool(40)}
        view = _view(settings, availability_zone=here.availability_zone)
        decision = _decide(view, pools)
        if decision.kind is DecisionKind.SWITCH:
            threshold = _switch_usd(price, settings) / settings.expected_stay_hours
            assert (price - 40) / 100 * HOME_ON_DEMAND > threshold
            here = target_of(decision)


def test_the_reason_says_the_dollars() -> None:
    """What it costs there and here, what the stay gains and what the switch costs."""
    decision = _decide(_view(), {HERE: _pool(40), ONE: _pool(30)})
    assert (
        "m5.xlarge/us-east-1b is expected to cost 0.0300 USD per hour (forecast price 0.0300, "
        "interruptions 0.0000) against 0.0400 here: saves 0.2400 USD in 24 h, the switch costs 0.0083"
    ) in decision.reason
    stays = _decide(_view(), {HERE: _pool(40), ONE: _pool(39.7)})
    assert "no pool is worth a switch" in stays.reason
    assert "saves 0.0072 USD in 24 h, the switch costs 0.0083" in stays.reason
    (gain,) = (r.reason for r in stays.rejected)
    assert gain.startswith("the gain does not pay for the switch: saves 0.0072 USD in 24 h")


def test_an_interruption_that_costs_more_buys_safety() -> None:
    """At 30 minutes the cheaper pool of the worst bucket wins, at a week's work the safe one."""
    pools = {HERE: _pool(60), ONE: _pool(30, 4), TWO: _pool(33, 0)}
    assert target_of(_decide(_view(), pools)) == ONE
    careful = _view(_settings(interruption_cost_minutes=10_080.0))
    assert target_of(_decide(careful, pools)) == TWO


def test_interruptions_in_a_pool_speak_against_it_for_all_workloads() -> None:
    """Ten in a month outweigh a good bucket; what other pools met does not count."""
    pools = {HERE: _pool(60), ONE: _pool(30), TWO: _pool(31)}
    careful = _view(_settings(interruption_cost_minutes=6000.0))
    met = tuple(PoolEvent(ONE, NOW - timedelta(days=day)) for day in range(10))
    assert target_of(_decide(careful, pools)) == ONE
    assert target_of(_decide(careful, pools, interruptions=met)) == TWO
    elsewhere = tuple(replace(event, pool=Pool("c5.xlarge", "us-east-1a")) for event in met)
    assert target_of(_decide(careful, pools, interruptions=elsewhere)) == ONE


def test_on_demand_is_taken_where_spot_costs_more_in_the_end() -> None:
    """Found twice, like every fallback; and not left again for the same pool."""
    hungry = _settings(interruption_cost_minutes=10_080.0, fallback_to_on_demand=True)
    pools = {HERE: _pool(97, 4), ONE: _pool(96, 4)}
    first = _decide(_view(hungry), pools)
    assert (first.kind, first.fallback_pending) == (DecisionKind.STAY, True)
    assert "m5.xlarge on-demand is expected to cost 0.1" in first.reason
    pending = _view(hungry, fallback_pending_since=NOW - timedelta(minutes=5))
    decision = _decide(pending, pools)
    assert (decision.kind, decision.urgent) == (DecisionKind.FALLBACK, False)
    assert decision.candidates[0].lifecycle is Lifecycle.ON_DEMAND
    back = _decide(_view(hungry, lifecycle=Lifecycle.ON_DEMAND), pools)
    assert back.kind is DecisionKind.STAY
    assert back.rejected_counts["expected to cost as much as on-demand"] == 2


def test_a_better_spot_pool_comes_before_on_demand() -> None:
    """On-demand is one of the places, not the refuge."""
    hungry = _settings(interruption_cost_minutes=10_080.0)
    decision = _decide(_view(hungry), {HERE: _pool(97, 4), ONE: _pool(40, 0)})
    assert (decision.kind, target_of(decision)) == (DecisionKind.SWITCH, ONE)


def test_no_limit_of_the_advisor_shuts_a_pool_out() -> None:
    """It weighs what other engines forbid: half the price is worth the worst bucket."""
    decision = _decide(_view(), {HERE: _pool(60), ONE: _pool(30, 4, instability=0.99)})
    assert target_of(decision) == ONE


def test_unknown_instability_counts_as_one_half() -> None:
    """Without a model the hazard is that of the bucket and the pool history."""
    decisions = [
        _decide(_view(), {HERE: _pool(60), ONE: _pool(30, 2, instability)})
        for instability in (0.5, float("nan"))
    ]
    assert decisions[0].candidates[0].score == decisions[1].candidates[0].score


def test_the_record_holds_what_the_dollars_came_from() -> None:
    """Hazard, interruption and switch stand in the evidence."""
    evidence = _decide(_view(), {HERE: _pool(60, 2), ONE: _pool(30)}).evidence
    assert evidence["interruption_usd"] == pytest.approx(0.05)
    assert evidence["switch_usd"] == pytest.approx(0.06 / 6 + 0.1 / 60)
    assert evidence["hazard_here_per_hour"] == pytest.approx(0.1335 / 730, rel=0.1)
    assert evidence["expected_here_usd_per_hour"] == pytest.approx(0.06, abs=1e-4)


def test_a_flagged_pool_without_a_price_has_no_figures_of_its_own() -> None:
    """Without a price there is no comparison: a pool as expensive as on-demand has its cost alone."""
    view = _view(_settings(interruption_cost_minutes=10_080.0), signals={HERE: NOW})
    decision = _decide(view, {ONE: _pool(99, 4)})
    assert decision.fallback_pending
    (rejection,) = decision.rejected
    assert rejection.reason.endswith("USD per hour (forecast price 0.0990, interruptions 0.0066)")
