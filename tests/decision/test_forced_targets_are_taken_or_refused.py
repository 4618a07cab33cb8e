"""A forced target is used unless the workload cannot run there; the refusal says why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.world import (
    Force,
    WorkloadView,
    World,
)
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Pool,
)
from tests.decision.worlds import CATALOG, HERE, NOW, REGION, market, workload

THERE = Pool("m5.2xlarge", "us-east-1b")
BAD = {"price": 0.15, "instability": 0.99, "advisor_bucket": 4}
MARKET = market({HERE: 0.03, THERE: BAD, Pool("m6g.xlarge", "us-east-1b"): 0.01})


def _forced(
    pool: Pool | None,
    lifecycle: Lifecycle = Lifecycle.SPOT,
    *,
    view: WorkloadView | None = None,
    snapshot: MarketSnapshot | None = MARKET,
) -> Decision:
    view = view or workload()
    force = {view.workload_id: Force("ann", pool, lifecycle)}
    return decide(World((view,), snapshot, CATALOG, force=force), NOW, region=REGION)[0]


def test_a_forced_pool_need_be_neither_safe_nor_cheap_nor_in_the_types() -> None:
    """The user has looked: the worst pool is taken, and the reason says what it is."""
    decision = _forced(THERE, view=workload(type_globs=("c5.*",)))
    assert (decision.kind, decision.row, decision.forced_by) == (DecisionKind.SWITCH, 0, "ann")
    (target,) = decision.candidates
    assert (target.instance_type, target.subnet_id) == ("m5.2xlarge", "subnet-b")
    assert target.discount_points == pytest.approx(-50)
    assert decision.home_type_after == "m5.xlarge"
    assert "forced by ann to m5.2xlarge/us-east-1b" in decision.reason
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.03 - 0.15)


def test_on_demand_can_be_forced_without_a_market() -> None:
    """The way out when prices are unknown."""
    decision = _forced(HERE, Lifecycle.ON_DEMAND, snapshot=None)
    (target,) = decision.candidates
    assert (target.lifecycle, target.forecast_usd_per_hour, target.risk) == (
        Lifecycle.ON_DEMAND,
        0.100,
        0.0,
    )


def test_a_forced_pool_is_taken_on_an_old_market() -> None:
    """No price decides here, so an old one is good enough for the record."""
    decision = _forced(THERE, snapshot=market({THERE: 0.05}, age=timedelta(days=1)))
    assert decision.kind is DecisionKind.SWITCH


def test_forced_on_demand_may_be_left_for_spot_in_the_same_pool() -> None:
    """Another lifecycle is another place."""
    decision = _forced(HERE, view=workload(lifecycle=Lifecycle.ON_DEMAND))
    assert decision.kind is DecisionKind.SWITCH


@pytest.mark.parametrize(
    ("pool", "lifecycle", "view", "text"),
    [
        (HERE, Lifecycle.SPOT, {}, "web-1 already runs on m5.xlarge/us-east-1a spot"),
        (Pool("z9.big", "us-east-1b"), Lifecycle.SPOT, {}, "z9.big is not in the catalog"),
        (Pool("m6g.xlarge", "us-east-1b"), Lifecycle.SPOT, {}, "home type m5.xlarge: architecture"),
        (Pool("m5.large", "us-east-1b"), Lifecycle.SPOT, {}, "m5.large has 2 vCPU and 8 GiB"),
        (Pool("c5.xlarge", "us-east-1b"), Lifecycle.SPOT, {}, "c5.xlarge has 4 vCPU and 8 GiB"),
        (Pool("m5.xlarge", "us-east-1f"), Lifecycle.SPOT, {}, "not offered in us-east-1f"),
        (
            THERE,
            Lifecycle.SPOT,
            {"subnets": {"us-east-1a": ("subnet-a",)}},
            "no subnet in us-east-1b; allowed are us-east-1a",
        ),
        (
            THERE,
            Lifecycle.SPOT,
            {
                "subnets": {"us-east-1a": ("subnet-a",)},
                "refused_zones": {"us-east-1b": "it is full"},
            },
            "no subnet to use in us-east-1b: it is full; allowed are us-east-1a",
        ),
        (THERE, Lifecycle.SPOT, {"subnets": {}}, "allowed are no zone"),
        (Pool("m5.xlarge", "us-east-1c"), Lifecycle.SPOT, {}, "no usable price of m5.xlarge"),
        (THERE, Lifecycle.SPOT, {"home_type": "z9.big"}, "home type z9.big is not in the catalog"),
    ],
)
def test_a_target_where_the_workload_cannot_run_is_refused(
    pool: Pool, lifecycle: Lifecycle, view: dict[str, object], text: str
) -> None:
    """STAY, with the obstacle."""
    decision = _forced(pool, lifecycle, view=workload(**view))
    assert (decision.kind, decision.row) == (DecisionKind.STAY, 0)
    assert decision.reason.startswith("forced target refused: ")
    assert text in decision.reason


def test_a_forced_spot_pool_needs_a_market() -> None:
    """Without any market the pool's price is unknown."""
    assert "no usable price" in _forced(THERE, snapshot=None).reason


def test_a_type_without_list_price_cannot_be_forced_on_demand() -> None:
    """Its cost could not be recorded."""
    prices = {k: v for k, v in CATALOG.on_demand_usd_per_hour.items() if k != THERE.instance_type}
    world = World(
        (workload(),),
        MARKET,
        replace(CATALOG, on_demand_usd_per_hour=prices),
        force={"web-1": Force("ann", THERE, Lifecycle.ON_DEMAND)},
    )
    assert "no on-demand price" in decide(world, NOW, region=REGION)[0].reason


def test_forced_without_a_pool_follows_the_table_whatever_the_cooldown() -> None:
    """The look is at once, the rules are the same."""
    view = workload(cooldown_until=NOW + timedelta(minutes=5), signals={HERE: NOW})
    decision = _forced(
        None, view=view, snapshot=market({HERE: 0.03, Pool("m5.xlarge", "us-east-1b"): 0.04})
    )
    assert (decision.row, decision.held_by) == (6, "")


def test_a_workload_that_is_off_is_left_alone_even_when_forced() -> None:
    """Off means that we look away."""
    world = World((workload(mode=Mode.OFF),), MARKET, CATALOG, force={"web-1": Force("ann", THERE)})
    assert decide(world, NOW, region=REGION) == []


def test_a_forced_type_that_cannot_boot_the_image_is_refused() -> None:
    """The user has looked at the price, hardly at the boot mode."""
    kind = replace(CATALOG.types["m5a.xlarge"], boot_modes="uefi")
    catalog = replace(CATALOG, types={**CATALOG.types, kind.name: kind})
    pool = Pool("m5a.xlarge", "us-east-1b")
    view = workload(image=Image(boot_mode="legacy-bios"))
    world = World(
        (view,), market({HERE: 0.05, pool: 0.03}), catalog, force={"web-1": Force("ann", pool)}
    )
    (decision,) = decide(world, NOW, region=REGION)
    assert decision.kind is DecisionKind.STAY
    assert "cannot boot the image: boot mode legacy-bios, the type boots uefi" in decision.reason
