"""Every cell of a small grid of prices and Spot Advisor buckets, judged by each engine."""

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import ACTING, CATALOG, HERE, NOW, REGION, ZONES, market, workload

A, B = Pool("m5.xlarge", ZONES[1]), Pool("m5a.xlarge", ZONES[2])
HERES = list(product((40, 60, 98), (0, 4)))
OFFERS = list(product((20, 37, 40, 66, 99), (0, 2, 4)))
"""Price in points of the home type's on-demand price, bucket."""
Place = tuple[int, int]
DEARER_SWITCHES: dict[str, tuple[str, tuple[float, ...]]] = {
    "forecast": ("switch_gain_points", (0.1, 3.0, 10.0, 50.0)),
    "layered": ("switch_gain_points", (0.1, 3.0, 10.0, 50.0)),
    "risk_score": ("switch_gain_points", (0.1, 3.0, 10.0, 50.0)),
    "expected_cost": ("switch_overlap_minutes", (0.0, 10.0, 60.0, 240.0)),
}


def _facts(place: Place) -> dict[str, float]:
    points, bucket = place
    return {"price": points / 1000, "advisor_bucket": bucket, "forecast_p95": points / 1000}


def _settings(engine: str, **costs: Any) -> Settings:
    return replace(
        ACTING,
        engine=engine,
        switches_in_flight_max=1000,
        moves_into_one_pool_fraction=1.0,
        **costs,
    )


def _views(engine: str, costs: int) -> tuple[WorkloadView, ...]:
    """On spot and on-demand, at so many costs of a switch."""
    name, values = DEARER_SWITCHES[engine]
    values = values[:costs] if costs > 1 else values[1:2]
    return tuple(
        workload(
            workload_id=f"{lifecycle}-{position}",
            lifecycle=lifecycle,
            settings=_settings(engine, **{name: value}),
        )
        for lifecycle in Lifecycle
        for position, value in enumerate(values)
    )


@cache
def _verdicts(
    engine: str, here: Place, a: Place | None, b: Place | None, costs: int = 1
) -> tuple[Pool | None, ...]:
    """Where each of the workloads would go, None for nowhere."""
    pools = {HERE: here, A: a, B: b}
    snapshot = market({pool: _facts(place) for pool, place in pools.items() if place is not None})
    decisions = decide(World(_views(engine, costs), snapshot, CATALOG), NOW, region=REGION)
    return tuple(
        Pool(d.candidates[0].instance_type, d.candidates[0].availability_zone)
        if d.kind is DecisionKind.SWITCH
        else None
        for d in decisions
    )


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_a_cheaper_safer_pool_never_loses(engine: str) -> None:
    """Where B alone would be moved to and A is nowhere worse and somewhere better, A is moved to;
    and wherever the workload goes, it is not to B."""
    for here, a, b in product(HERES, OFFERS, OFFERS):
        if a == b or a[0] > b[0] or a[1] > b[1]:
            continue
        alone, both = _verdicts(engine, here, None, b), _verdicts(engine, here, a, b)
        for only_b, target in zip(alone, both, strict=True):
            cell = (engine, here, a, b)
            assert target != B, cell
            assert only_b is None or target in (A, HERE), cell


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_a_costlier_switch_never_causes_more_switches(engine: str) -> None:
    """What stays at a low threshold or cost stays at every higher one, in every cell."""
    moved = stayed = 0
    for here, a in product(HERES, OFFERS):
        targets = _verdicts(engine, here, a, None, costs=4)
        half = len(targets) // 2
        for by_cost in (targets[:half], targets[half:]):
            switches = [target is not None for target in by_cost]
            assert switches == sorted(switches, reverse=True), (engine, here, a, by_cost)
            moved, stayed = moved + switches[0], stayed + (not switches[-1])
    assert moved > 20
    assert stayed > 20
