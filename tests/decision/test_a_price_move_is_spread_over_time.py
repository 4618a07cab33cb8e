"""A price move that makes everybody want to leave at once lets them go a few at a time."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import (
    PastSwitch,
    StackState,
    WorkloadView,
    World,
)
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
    REGION,
    ZONES,
    market,
    target_of,
    workload,
)

CYCLE = timedelta(minutes=5)
CYCLES_OF_A_SWITCH = 2
BEFORE, AFTER = 0.030, 0.095
OTHERS = {
    Pool("m5.xlarge", ZONES[1]): 0.032,
    Pool("m5.xlarge", ZONES[2]): 0.0325,
    Pool("m5a.xlarge", ZONES[0]): 0.033,
    Pool("m5a.xlarge", ZONES[1]): 0.0335,
}


def fleet(count: int) -> dict[str, WorkloadView]:
    """So many workloads in one pool."""
    views = (workload(workload_id=f"w-{number:04}", settings=ACTING) for number in range(count))
    return {view.workload_id: view for view in views}


def cycle(
    views: dict[str, WorkloadView], price: float, in_flight: int, number: int
) -> dict[str, Pool]:
    """Where one cycle lets whom go, at this price of the pool that all were in."""
    at = NOW + number * CYCLE
    prices = replace(market({HERE: price, **OTHERS}), as_of=at)
    world = World(
        tuple(views.values()), prices, CATALOG, stack=StackState(switches_in_flight=in_flight)
    )
    decisions = decide(world, at, region=REGION)
    return {
        d.workload_id: target_of(d)
        for d in decisions
        if d.kind is DecisionKind.SWITCH and not d.held_by
    }


def moved(view: WorkloadView, pool: Pool, number: int) -> WorkloadView:
    """The workload after its switch."""
    at = NOW + number * CYCLE
    return replace(
        view,
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        cooldown_until=at + timedelta(minutes=10),
        moves=(*view.moves, PastSwitch(at, Lifecycle.SPOT, True)),
    )


def test_nobody_moves_before_the_price_does() -> None:
    """Their pool is the cheapest."""
    assert cycle(fleet(100), BEFORE, 0, 0) == {}


@pytest.mark.parametrize(("count", "in_flight"), [(11, 0), (11, 4), (11, 10), (1000, 0)])
def test_ten_of_a_thousand_begin_at_once_and_no_pool_takes_more_than_a_third(
    count: int, in_flight: int
) -> None:
    """What is in flight counts against the limit, whatever the number of those that want to move."""
    begun = cycle(fleet(count), AFTER, in_flight, 0)
    assert len(begun) == 10 - in_flight
    for into_one in Counter(begun.values()).values():
        assert into_one <= max(1, 0.34 * len(begun))


def test_the_wave_runs_out_with_each_workload_moved_once() -> None:
    """Sixty are gone after a good hour, over several pools, and stay there."""
    views, in_flight = fleet(60), list[tuple[int, str, Pool]]()
    into: Counter[Pool] = Counter()
    for number in range(20):
        for ends, workload_id, pool in list(in_flight):
            if ends == number:
                views[workload_id] = moved(views[workload_id], pool, number)
                in_flight.remove((ends, workload_id, pool))
        busy = {workload_id for _, workload_id, _ in in_flight}
        free = {name: view for name, view in views.items() if name not in busy}
        begun = cycle(free, AFTER, len(in_flight), number)
        into.update(begun.values())
        in_flight += [(number + CYCLES_OF_A_SWITCH, name, pool) for name, pool in begun.items()]
        assert len(in_flight) <= 10
    assert not in_flight
    assert {len(view.moves) for view in views.values()} == {1}
    assert len(into) >= 3
    assert max(into.values()) <= 0.5 * len(views)
