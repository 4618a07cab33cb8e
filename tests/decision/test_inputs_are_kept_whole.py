"""What a cycle keeps is enough to decide the same again."""

import gzip
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from spot_optimizer.codec import DamagedState, pack_json
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.guards.windows import Window
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.kept_inputs import (
    SettingLayers,
    inputs_from_bytes,
    inputs_to_bytes,
)
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.world import (
    Force,
    PastSwitch,
    StackState,
    WorkloadView,
    World,
)
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.vocabulary import Lifecycle, Mode
from tests.decision.explained import kept
from tests.decision.test_decisions_are_sound import MARKETS, views
from tests.decision.worlds import ACTING, CATALOG, HERE, NOW, REGION, market, workload

LAYERS = SettingLayers(parameters={"engine": "forecast", "dry_run": False})


@settings(max_examples=60, deadline=None, print_blob=True)
@given(MARKETS, views("web-1"), views("web-2"))
def test_the_same_is_decided_again(
    snapshot: MarketSnapshot, one: WorkloadView, two: WorkloadView
) -> None:
    """Whatever the workloads: the world is equal, and so is every decision."""
    world = World((one, two), snapshot, CATALOG)
    again = kept(world, LAYERS).with_market(snapshot, CATALOG)
    assert again == world
    assert decide(again, NOW, region=REGION) == decide(world, NOW, region=REGION)


def test_everything_that_a_workload_can_have_comes_back() -> None:
    """Windows, moves, image, breaker, claim, zones that are refused; the stack's state, forces,
    refusals, interruptions."""
    view = workload(
        refused_zones={"us-east-1c": "its load balancer does not serve this zone"},
        mode=Mode.MANUAL,
        image=Image("uefi", True, "hvm"),
        windows=(Window(frozenset({0, 5}), 120, 300, "Europe/Berlin"),),
        not_before=NOW,
        moves=(PastSwitch(NOW, Lifecycle.ON_DEMAND, False),),
        breaker_open=True,
        live_switch_id="switch",
        cooldown_until=NOW,
        backoff_until=NOW,
        sized_up_at=NOW,
        settings=replace(ACTING, engine="layered", cooldown_minutes=20.0),
    )
    event = PoolEvent(HERE, NOW - timedelta(microseconds=1))
    world = World(
        (view,),
        market({HERE: 0.03}),
        CATALOG,
        StackState(True, True, 3),
        {"web-1": Force("ann", HERE, Lifecycle.ON_DEMAND)},
        (event,),
        (event, event),
    )
    layers = SettingLayers(
        {"dry_run": False}, {"cooldown_minutes": 20}, {"web-1": {"engine": "layered"}}
    )
    assert kept(world, layers).with_market(world.market, CATALOG) == world


SEVERAL = {"us-east-1a": ("subnet-a", "subnet-d"), "us-east-1b": ("subnet-b",)}


def test_subnets_of_a_zone_come_back_in_order() -> None:
    """One or several per zone, the preferred one first."""
    world = World((workload(subnets=SEVERAL),), None, CATALOG)
    assert kept(world, LAYERS).world.workloads[0].subnets == SEVERAL


def test_a_single_subnet_is_kept_as_the_first_release_reads_it() -> None:
    """Text for one subnet, which release 0.1.0 knows; a list for more, which it does not have."""
    world = World((workload(subnets=SEVERAL),), None, CATALOG)
    data = inputs_to_bytes(world, NOW, REGION, market_id="m", catalog_id="c", layers=LAYERS)
    (plain,) = json.loads(gzip.decompress(data))["workloads"]
    assert plain["subnets"] == {"us-east-1a": ["subnet-a", "subnet-d"], "us-east-1b": "subnet-b"}


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip",
        pack_json("decision-inputs", 1, {"at": "now"}),
        pack_json("decision-inputs", 2, {}),
    ],
)
def test_unreadable_inputs_are_damaged(data: bytes) -> None:
    """One kind of error, whatever is wrong with the bytes."""
    with pytest.raises(DamagedState):
        inputs_from_bytes(data)


def test_the_same_inputs_are_the_same_bytes() -> None:
    """No clock, no order of a set gets into them."""
    world = World((workload(),), None, CATALOG)
    first, second = (
        inputs_to_bytes(world, NOW, REGION, market_id="m", catalog_id="c", layers=LAYERS)
        for _ in range(2)
    )
    assert first == second
