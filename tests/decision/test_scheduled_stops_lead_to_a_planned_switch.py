"""EC2 announces the end of an instance: a planned switch leaves it in time, and says why."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.guards.hold import why_not_left
from spot_optimizer.decision.guards.windows import parse_windows
from spot_optimizer.decision.kept_inputs import SettingLayers, inputs_from_bytes, inputs_to_bytes
from spot_optimizer.decision.scheduled_stop import URGENT_BEFORE, ScheduledStop
from spot_optimizer.decision.world import StackState, WorkloadView, World
from spot_optimizer.vocabulary import DecisionKind, Lifecycle, Mode, Pool, Rule
from tests.decision.worlds import ACTING, CATALOG, HERE, NOW, REGION, Facts, market, workload

THERE = Pool("m5.xlarge", "us-east-1b")
UNSAFE = {"price": 0.03, "instability": 0.99}
FAR = ScheduledStop(NOW + timedelta(days=10), "instance-retirement")
NEAR = ScheduledStop(NOW + URGENT_BEFORE, "instance-stop")
SATURDAY = parse_windows("sat 02:00-06:00")
"""NOW is a Tuesday."""


def _world(view: WorkloadView, pools: Facts, **stack: Any) -> World:
    return World((view,), market(pools), CATALOG, stack=StackState(**stack))


def _decide(view: WorkloadView, pools: Facts | None = None) -> Decision:
    """By default the pool of the workload is as good as the other one: nothing but the stop moves it."""
    world = _world(view, {HERE: 0.03, THERE: 0.03} if pools is None else pools)
    (decision,) = decide(world, NOW, region=REGION)
    return decision


@pytest.mark.parametrize("lifecycle", Lifecycle)
@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_every_engine_leaves_the_instance_and_says_why(engine: str, lifecycle: Lifecycle) -> None:
    """Long before the date, planned; the reason names the date and EC2's word for the event."""
    settings = replace(ACTING, engine=engine)
    made = _decide(workload(settings=settings, lifecycle=lifecycle, scheduled_stop=FAR))
    assert (made.kind, made.row) == (DecisionKind.SWITCH, Rule.LEAVE_UNBEARABLE)
    assert "EC2 will end the instance at 2025-06-13T15:00:00Z: instance-retirement" in made.reason
    assert (made.urgent, made.held_by) == (False, "")
    assert made.evidence["scheduled_stop_in_s"] == timedelta(days=10).total_seconds()


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_another_instance_of_the_same_pool_is_as_good(engine: str) -> None:
    """The host fails, not the pool: nobody pays for on-demand because there is no other pool."""
    view = workload(settings=replace(ACTING, engine=engine), scheduled_stop=FAR)
    made = _decide(view, {HERE: 0.03})
    assert made.kind is DecisionKind.SWITCH
    assert made.candidates[0].pool == HERE


def test_a_pool_with_a_signal_is_left_at_once_and_not_entered_again() -> None:
    """An interruption counts more than the date: urgent, into another pool."""
    view = workload(scheduled_stop=FAR, signals={HERE: NOW - timedelta(minutes=5)})
    made = _decide(view)
    assert made.urgent
    assert HERE not in [c.pool for c in made.candidates if c.lifecycle is Lifecycle.SPOT]


def test_an_unknown_price_of_the_current_pool_holds_nothing_up() -> None:
    """The instance ends whatever its pool costs."""
    made = _decide(workload(scheduled_stop=FAR), {THERE: 0.03})
    assert (made.kind, made.candidates[0].pool) == (DecisionKind.SWITCH, THERE)


def test_without_a_safe_pool_on_demand_capacity_takes_over() -> None:
    """Also for an on-demand workload: the same type in the same zone, on another host."""
    view = workload(lifecycle=Lifecycle.ON_DEMAND, scheduled_stop=FAR)
    first = _decide(view, {THERE: UNSAFE})
    assert (first.kind, first.fallback_pending) == (DecisionKind.STAY, True)
    again = replace(view, fallback_pending_since=NOW - timedelta(minutes=5))
    second = _decide(again, {THERE: UNSAFE})
    assert (second.kind, second.held_by) == (DecisionKind.FALLBACK, "")
    assert second.candidates[0].pool == HERE


@pytest.mark.parametrize(
    "held",
    [{"windows": SATURDAY}, {"not_before": NOW + timedelta(days=5)}, {"backoff_until": FAR.at}],
    ids=["window", "not-before", "back-off"],
)
def test_holds_of_a_planned_switch_count_until_the_date_is_near(held: dict[str, Any]) -> None:
    """A window waits; from six hours before the date on it does not."""
    assert _decide(workload(scheduled_stop=FAR, **held)).held_by
    close = _decide(workload(scheduled_stop=NEAR, **held))
    assert (close.urgent, close.held_by) == (True, "")
    before = replace(NEAR, at=NEAR.at + timedelta(seconds=1))
    assert _decide(workload(scheduled_stop=before, **held)).held_by


def test_the_date_may_have_passed() -> None:
    """EC2 acts at the date or later: until then the switch stays urgent."""
    past = ScheduledStop(NOW - timedelta(days=1), "instance-stop")
    assert _decide(workload(scheduled_stop=past, windows=SATURDAY)).urgent


MANUAL, OFF = {"mode": Mode.MANUAL}, {"mode": Mode.OFF}
DRY = {"settings": replace(ACTING, dry_run=True)}
NO_ON_DEMAND = {"settings": replace(ACTING, fallback_to_on_demand=False)}


@pytest.mark.parametrize(
    ("stop", "view", "stack", "expected"),
    [
        (None, MANUAL, {}, ""),
        (FAR, {}, {}, ""),
        (FAR, {"windows": SATURDAY}, {}, ""),
        (FAR, {"cooldown_until": NOW + timedelta(minutes=5)}, {}, ""),
        (FAR, {"live_switch_id": "s1", **MANUAL}, {}, ""),
        (FAR, MANUAL, {}, "manual mode"),
        (FAR, OFF, {}, ""),
        (FAR, DRY, {}, "dry run"),
        (FAR, {}, {"global_stop": True}, "global stop"),
        (FAR, {"breaker_open": True}, {}, "the workload's breaker is open"),
        (NEAR, {"windows": SATURDAY}, {}, ""),
        (NEAR, {"cooldown_until": NOW + timedelta(minutes=5)}, {}, ""),
    ],
)
def test_only_what_lasts_until_the_date_needs_a_person(
    stop: ScheduledStop | None, view: dict[str, Any], stack: dict[str, Any], expected: str
) -> None:
    """A hold that ends by itself needs none."""
    seen = workload(scheduled_stop=stop, **view)
    world = _world(seen, {HERE: 0.03, THERE: 0.03}, **stack)
    made = decide(world, NOW, region=REGION)
    found = why_not_left(made[0] if made else None, seen, world, NOW)
    assert found.startswith(expected) if expected else not found


@pytest.mark.parametrize(("stop", "expected"), [(FAR, False), (NEAR, True)])
def test_a_lack_of_pools_needs_a_person_only_close_to_the_date(
    stop: ScheduledStop, expected: bool
) -> None:
    """Ten days before it, a safe pool may still come."""
    seen = workload(scheduled_stop=stop, **NO_ON_DEMAND)
    world = _world(seen, {THERE: UNSAFE})
    (made,) = decide(world, NOW, region=REGION)
    assert made.kind is DecisionKind.STAY
    assert bool(why_not_left(made, seen, world, NOW)) is expected


def test_a_scheduled_stop_is_kept_with_the_inputs() -> None:
    """So the decision can be made again, and explained."""
    world = _world(workload(settings=ACTING, scheduled_stop=FAR), {HERE: 0.03})
    layers = SettingLayers(parameters={"engine": "forecast", "dry_run": False})
    body = inputs_to_bytes(world, NOW, REGION, market_id="", catalog_id="", layers=layers)
    assert inputs_from_bytes(body).world.workloads == world.workloads
