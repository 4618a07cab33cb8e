"""No herding into one pool, no family above its share, refused capacity is remembered."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.world import (
    Force,
    StackState,
    WorkloadView,
    World,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    NOW,
    ON_DEMAND,
    REGION,
    TYPES,
    ZONES,
    Facts,
    decide_one,
    instance_type,
    market,
    over_provisioned,
    target_of,
    workload,
)

A, B, C = (Pool("m5.xlarge", zone) for zone in ZONES)
OTHER = Pool("m5a.xlarge", ZONES[1])
WIDE = replace(ACTING, family_share_max_fraction=1.0, switches_in_flight_max=1000)


def _workloads(count: int, **changes: object) -> tuple[WorkloadView, ...]:
    usual: dict[str, object] = {"settings": WIDE}
    return tuple(workload(workload_id=f"w-{n:03}", **usual | changes) for n in range(count))


def _decide(
    views: tuple[WorkloadView, ...],
    pools: Facts,
    **world: object,
) -> list[Decision]:
    made = World(views, market(pools), CATALOG, **world)  # type: ignore[arg-type]
    return decide(made, NOW, region=REGION)


def _free(decisions: list[Decision]) -> Counter[Pool]:
    return Counter(
        target_of(d) for d in decisions if d.kind is DecisionKind.SWITCH and not d.held_by
    )


def test_a_third_of_a_cycles_moves_go_into_one_pool() -> None:
    """Of ten that want the same pool three get it, three each the next ones, one waits."""
    decisions = _decide(_workloads(10), {HERE: 0.09, B: 0.03, C: 0.031, OTHER: 0.032})
    assert _free(decisions) == {B: 3, C: 3, OTHER: 3}
    (held,) = [d for d in decisions if d.held_by]
    assert held.held_by == (
        "3 switches of this cycle go to m5.xlarge/us-east-1b, at most 34 % of them"
    )
    second = next(d for d in decisions if not d.held_by and target_of(d) == C)
    assert "m5.xlarge/us-east-1c instead, because 3 switches of this cycle go to" in second.reason
    assert second.saving_forecast_usd_per_hour == pytest.approx(0.059)


def test_saving_of_the_next_best_pool_is_counted_in_each_kind_of_price() -> None:
    """By forecasts from forecast to forecast, by current prices from current to current."""
    pools: Facts = {
        HERE: {"price": 0.08, "forecast_mean": 0.09},
        B: 0.03,
        C: {"price": 0.033, "forecast_mean": 0.031},
    }
    decisions = _decide(_workloads(10), pools)
    second = next(d for d in decisions if not d.held_by and target_of(d) == C)
    assert second.saving_forecast_usd_per_hour == pytest.approx(0.059)
    assert second.saving_spot_usd_per_hour == pytest.approx(0.047)


@settings(deadline=None)
@given(count=st.integers(1, 40), fraction=st.sampled_from([0.01, 0.2, 0.34, 0.5, 1.0]))
def test_no_pool_takes_more_than_its_share_and_always_one(count: int, fraction: float) -> None:
    """Whatever the number of moves, at least one is made."""
    settings = replace(WIDE, moves_into_one_pool_fraction=fraction)
    decisions = _decide(_workloads(count, settings=settings), {HERE: 0.09, B: 0.03, C: 0.031})
    for moves in _free(decisions).values():
        assert moves <= max(1, fraction * count + 1e-9)
    assert _free(decisions)[B] >= 1


def test_the_share_is_one_of_the_moves_that_are_allowed_at_all() -> None:
    """With three places left, one goes into each pool."""
    narrow = replace(WIDE, switches_in_flight_max=10)
    decisions = _decide(
        _workloads(10, settings=narrow),
        {HERE: 0.09, B: 0.03, C: 0.031, OTHER: 0.032},
        stack=StackState(switches_in_flight=7),
    )
    assert _free(decisions) == {B: 1, C: 1, OTHER: 1}


def test_urgent_and_forced_switches_are_not_limited() -> None:
    """All that must leave go to the safest place, however many they are."""
    flagged = _workloads(8, signals={HERE: NOW})
    assert _free(_decide(flagged, {HERE: 0.09, B: 0.03, C: 0.031})) == {B: 8}
    forced = {f"w-{n:03}": Force("ann") for n in range(8)}
    assert _free(_decide(_workloads(8), {HERE: 0.09, B: 0.03, C: 0.031}, force=forced)) == {B: 8}


def test_a_right_sizing_waits_rather_than_take_another_type() -> None:
    """Its best target becomes the home type: the next best would be another home."""
    views = _workloads(2, usage=over_provisioned())
    smaller = {Pool("m5.large", ZONES[1]): 0.01, Pool("m5.large", ZONES[2]): 0.011}
    decisions = _decide(views, {HERE: 0.09, **smaller})
    assert [bool(d.held_by) for d in decisions] == [False, True]


def _spread(on_m5a: int, total: int) -> tuple[WorkloadView, ...]:
    """Workloads on their family's own pool; those of m5 want to m5a, the others want nothing."""
    at_home = _workloads(
        on_m5a, instance_type="m5a.xlarge", availability_zone=OTHER.availability_zone
    )
    return _workloads(total - on_m5a) + tuple(
        replace(view, workload_id=f"a-{view.workload_id}") for view in at_home
    )


def test_no_family_gets_more_than_its_share() -> None:
    """Of ten workloads four may be on m5a: with three there one more moves, the rest wait."""
    settings = replace(WIDE, family_share_max_fraction=0.4, moves_into_one_pool_fraction=1.0)
    views = tuple(replace(v, settings=settings) for v in _spread(3, 10))
    decisions = _decide(views, {HERE: 0.09, OTHER: 0.03})
    assert _free(decisions) == {OTHER: 1}
    texts = {d.held_by for d in decisions if d.held_by}
    assert texts == {"4 of 10 workloads are on m5a, at most 40 %"}


def test_a_pool_that_would_be_left_again_is_not_taken_for_a_full_one() -> None:
    """3 points more expensive than the best: the next cycle would switch it again, so it waits."""
    for price, free in ((0.0331, 1), (0.0329, 2)):
        decisions = _decide(_workloads(2), {HERE: 0.09, B: 0.030, C: price})
        assert sum(_free(decisions).values()) == free


def test_another_family_is_taken_where_the_best_has_its_share() -> None:
    """A switch within the family does not count."""
    settings = replace(WIDE, family_share_max_fraction=0.4, moves_into_one_pool_fraction=1.0)
    views = tuple(replace(v, settings=settings) for v in _spread(4, 10))
    decisions = _decide(views, {HERE: 0.09, OTHER: 0.03, B: 0.035})
    assert _free(decisions) == {B: 6}


def test_fewer_than_ten_workloads_need_not_be_spread() -> None:
    """Nine may all be of one family."""
    settings = replace(WIDE, family_share_max_fraction=0.05, moves_into_one_pool_fraction=1.0)
    decisions = _decide(_workloads(9, settings=settings), {HERE: 0.09, OTHER: 0.03})
    assert _free(decisions) == {OTHER: 9}


def test_targets_that_a_limit_forbids_are_no_second_choice_either() -> None:
    """The workflow tries the candidates in turn: a full pool is none of them."""
    views = (
        *_workloads(2),
        workload(workload_id="z", settings=WIDE, instance_type="m5a.xlarge"),
    )
    pools = {HERE: 0.09, Pool("m5a.xlarge", ZONES[0]): 0.06, B: 0.030, C: 0.031, OTHER: 0.029}
    decisions = _decide(views, pools)
    lists = [[Pool(c.instance_type, c.availability_zone) for c in d.candidates] for d in decisions]
    assert [targets[0] for targets in lists] == [OTHER, B, C]
    assert OTHER not in lists[1]
    assert not {OTHER, B} & set(lists[2])


def test_a_full_pool_is_left_out_behind_a_best_one_that_is_free() -> None:
    """The second takes its own best pool, but not the first's as what to try next."""
    narrow = workload(workload_id="a", settings=WIDE, type_globs=("m5a.*",))
    views = (narrow, workload(workload_id="b", settings=WIDE, availability_zone=ZONES[2]))
    decisions = _decide(views, {HERE: 0.09, C: 0.08, B: 0.030, OTHER: 0.031})
    lists = [[Pool(c.instance_type, c.availability_zone) for c in d.candidates] for d in decisions]
    assert lists == [[OTHER], [B]]


def _refused(pool: Pool, *minutes: float) -> tuple[PoolEvent, ...]:
    return tuple(PoolEvent(pool, NOW - timedelta(minutes=m)) for m in minutes)


@pytest.mark.parametrize(
    ("minutes", "avoided"),
    [
        ((59,), True),
        ((60,), False),
        ((119, 119), True),
        ((121, 121), False),
        ((-5,), True),
        ((11 * 60,) * 1000, False),
        ((13 * 60,) * 100_000, False),
    ],
    ids=str,
)
def test_a_refused_launch_is_remembered_and_forgotten(
    minutes: tuple[float, ...], avoided: bool
) -> None:
    """One keeps planned switches away for an hour, two at once for two; none counts after half a day."""
    pools = {HERE: 0.09, B: 0.03, C: 0.04}
    (decision,) = _decide(_workloads(1), pools, refusals=_refused(B, *minutes))
    assert target_of(decision) == (C if avoided else B)
    assert ("refused a launch lately" in decision.rejected_counts) == avoided


def test_an_urgent_switch_tries_a_pool_that_refused_last() -> None:
    """It is better than none; the failover plan keeps it at the end."""
    views = _workloads(1, signals={HERE: NOW})
    (decision,) = _decide(views, {HERE: 0.09, B: 0.03, C: 0.04}, refusals=_refused(B, 5))
    spot = [c for c in decision.candidates if c.lifecycle is Lifecycle.SPOT]
    assert [c.availability_zone for c in spot] == ["us-east-1c", "us-east-1b"]
    assert [c.availability_zone for c in decision.failover_plan] == ["us-east-1c", "us-east-1b"]


def test_a_refusal_in_a_pool_that_the_market_does_not_know_is_nobodys() -> None:
    """It changes nothing."""
    (decision,) = _decide(
        _workloads(1), {HERE: 0.09, B: 0.03}, refusals=_refused(Pool("z9.big", "us-east-1a"), 1)
    )
    assert target_of(decision) == B


def test_at_equal_cost_the_newer_generation_wins() -> None:
    """m5a before m5 only by name; a former generation comes last."""
    new = instance_type("m7i.xlarge", 4, 16.0)
    old = instance_type("m4.xlarge", 4, 16.0, current_generation=False)
    types = TYPES | {t.name: t for t in (new, old)}
    catalog = Catalog(
        types,
        ON_DEMAND | {"m7i.xlarge": 0.11, "m4.xlarge": 0.1},
        {name: frozenset(ZONES) for name in types},
    )
    zone = ZONES[1]
    pools = {HERE: 0.09} | {
        Pool(name, zone): 0.03 for name in ("m4.xlarge", "m5.xlarge", "m5a.xlarge", "m7i.xlarge")
    }
    decision = decide(World(_workloads(1), market(pools), catalog), NOW, region=REGION)[0]
    assert [c.instance_type for c in decision.candidates] == [
        "m7i.xlarge",
        "m5.xlarge",
        "m5a.xlarge",
        "m4.xlarge",
    ]


def test_a_safer_pool_at_equal_cost_comes_before_a_newer_one() -> None:
    """Risk breaks ties first, in steps of what counts as a difference."""
    decision = decide_one(
        workload(), {HERE: 0.09, B: {"price": 0.03, "advisor_bucket": 1}, OTHER: 0.03}
    )
    assert target_of(decision) == OTHER
