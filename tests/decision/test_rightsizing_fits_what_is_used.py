"""Rows 1 and 2: larger in what is short, smaller only where the use allows it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import World
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import (
    CATALOG,
    HERE,
    HOME,
    NOW,
    ON_DEMAND,
    REGION,
    TYPES,
    ZONES,
    decide_one,
    instance_type,
    market,
    over_provisioned,
    target_of,
    under_provisioned,
    workload,
)

B = "us-east-1b"
EXTRA = {
    "r5.xlarge": (instance_type("r5.xlarge", 4, 32.0), 0.126),
    "c5.2xlarge": (instance_type("c5.2xlarge", 8, 16.0), 0.170),
    "c5.4xlarge": (instance_type("c5.4xlarge", 16, 32.0), 0.340),
}
RICH = Catalog(
    TYPES | {name: kind for name, (kind, _) in EXTRA.items()},
    ON_DEMAND | {name: price for name, (_, price) in EXTRA.items()},
    {name: frozenset(ZONES) for name in [*TYPES, *EXTRA]},
)
OFFERS = {HERE: 0.04} | {
    Pool(name, B): price
    for name, price in {
        "r5.xlarge": 0.030,
        "c5.2xlarge": 0.050,
        "m5.2xlarge": 0.060,
        "c5.4xlarge": 0.010,
    }.items()
}


@pytest.mark.parametrize(
    ("cpu", "memory", "target"),
    [(True, False, "c5.2xlarge"), (False, True, "r5.xlarge"), (True, True, "m5.2xlarge")],
)
def test_a_larger_type_has_more_of_what_is_short(cpu: bool, memory: bool, target: str) -> None:
    """CPU alone, memory alone or both; a type of more than twice the price is out of bounds."""
    view = workload(usage=under_provisioned(cpu=cpu, memory=memory))
    decision = decide(World((view,), market(OFFERS), RICH), NOW, region=REGION)[0]
    assert decision.row == 1
    assert target_of(decision) == Pool(target, B)
    assert decision.home_type_after == target


def test_the_largest_of_a_family_grows_to_twice_its_size() -> None:
    """Where the family has no next size, twice the home type's counts."""
    catalog = replace(RICH, types={k: v for k, v in RICH.types.items() if k != "m5.2xlarge"})
    for usage, target in (
        (under_provisioned(cpu=True), "c5.2xlarge"),
        (under_provisioned(cpu=False, memory=True), "r5.xlarge"),
    ):
        view = workload(usage=usage)
        decision = decide(World((view,), market(OFFERS), catalog), NOW, region=REGION)[0]
        assert target_of(decision) == Pool(target, B)


def test_a_larger_pool_that_costs_its_own_on_demand_price_is_no_gain() -> None:
    """Row 1 may pay more than the home type's on-demand price, never the larger type's own."""
    view = workload(usage=under_provisioned())
    larger = Pool("m5.2xlarge", B)
    assert decide_one(view, {HERE: 0.04, larger: 0.150}).row == 1
    assert decide_one(view, {HERE: 0.04, larger: 0.200}).row == 4


def test_a_workload_on_a_larger_type_grows_beyond_that_type() -> None:
    """One that runs short on a larger type is not sent to the next size of its home type."""
    view = workload(
        instance_type="m5.2xlarge",
        usage=Usage(NOW, 4.0, 8.0, 168.0, recent_cpu_vcpu=(7.9,) * 12),
    )
    here, other = Pool("m5.2xlarge", ZONES[0]), Pool("m5.2xlarge", B)
    decision = decide_one(view, {here: 0.04, other: 0.03})
    assert decision.row == 4


def test_memory_shortage_of_a_burstable_type_looks_at_memory_steps() -> None:
    """Sizes that share their vCPU differ in memory: the next step of memory is enough."""
    types = {
        t.name: t
        for t in (
            instance_type("t3.small", 2, 2.0, burstable=True),
            instance_type("t3.medium", 2, 4.0, burstable=True),
            instance_type("t3.xlarge", 4, 16.0, burstable=True),
        )
    }
    catalog = Catalog(
        types,
        {"t3.small": 0.02, "t3.medium": 0.04, "t3.xlarge": 0.16},
        {name: frozenset(ZONES) for name in types},
    )
    view = workload(
        instance_type="t3.small",
        home_type="t3.small",
        usage=Usage(NOW, 0.1, 1.9, 168.0, recent_memory_gib=(1.9,) * 12),
    )
    pools = {Pool("t3.small", ZONES[0]): 0.006, Pool("t3.medium", B): 0.012}
    decision = decide(World((view,), market(pools), catalog), NOW, region=REGION)[0]
    assert decision.home_type_after == "t3.medium"


def test_unknown_memory_keeps_the_home_types_memory() -> None:
    """Half the memory is refused at any price, fewer vCPU with the same memory are not."""
    view = workload(usage=over_provisioned(memory_p95_gib=None))
    half = Pool("m5.large", B)
    assert decide_one(view, {HERE: 0.04, half: 0.01}).kind is DecisionKind.STAY
    same_memory = Pool("r5.large", B)
    decision = decide_one(view, {HERE: 0.04, half: 0.01, same_memory: 0.03})
    assert (decision.row, target_of(decision)) == (2, same_memory)


def test_a_type_of_the_same_size_is_not_smaller() -> None:
    """Row 2 leaves types of the home type's size to the rows below."""
    view = workload(usage=over_provisioned())
    decision = decide_one(view, {HERE: 0.04, Pool("m5a.xlarge", B): 0.03})
    assert (decision.row, decision.home_type_after) == (4, "m5.xlarge")


def test_further_targets_are_no_smaller_than_the_new_home_type() -> None:
    """r5.large is best; c5.large is smaller than it in memory, so it is no second choice."""
    view = workload(usage=over_provisioned())
    pools = {HERE: 0.04, Pool("r5.large", B): 0.020, Pool("c5.large", B): 0.021}
    decision = decide_one(view, pools)
    assert [c.instance_type for c in decision.candidates] == ["r5.large"]


def test_unpriced_current_pool_means_no_smaller_type_in_an_urgent_switch() -> None:
    """If the current cost is unknown no gain can be shown: the urgent switch keeps the size."""
    view = workload(usage=over_provisioned(), signals={HERE: NOW})
    decision = decide_one(view, {Pool("m5.large", B): 0.01, Pool("m5a.xlarge", B): 0.04})
    assert (decision.row, target_of(decision)) == (6, Pool("m5a.xlarge", B))
    assert decision.saving_forecast_usd_per_hour == 0.0


def test_on_demand_is_compared_at_the_price_of_the_current_type() -> None:
    """An on-demand m5.2xlarge pays 0.200: that is what a smaller pool saves against."""
    view = workload(
        instance_type="m5.2xlarge", lifecycle=Lifecycle.ON_DEMAND, usage=over_provisioned()
    )
    decision = decide_one(view, {Pool("m5.large", B): 0.030})
    assert decision.row == 2
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.170)


def test_the_catalog_is_left_as_it_was() -> None:
    """Deciding writes into nothing that it was given."""
    before = dict(CATALOG.on_demand_usd_per_hour)
    decide_one(workload(usage=under_provisioned()), OFFERS)
    assert CATALOG.on_demand_usd_per_hour == before


GROWN = {"instance_type": "m5.2xlarge"}
"""On twice the home type: it was cheaper once."""
FROM_LARGER = {Pool("m5.2xlarge", ZONES[0]): 0.04, Pool(HOME, B): 0.02, Pool("m5.2xlarge", B): 0.03}


@pytest.mark.parametrize(
    ("usage", "target"),
    [
        (Usage(NOW, 2.0, 9.0, 168.0), HOME),
        (Usage(NOW, 2.0, 14.0, 168.0), "m5.2xlarge"),
        (Usage(NOW, 3.5, 9.0, 168.0), "m5.2xlarge"),
        (Usage(NOW, 2.0, None, 168.0), "m5.2xlarge"),
        (None, "m5.2xlarge"),
    ],
    ids=["fits the home type", "memory grown", "CPU grown", "memory unknown", "usage unknown"],
)
def test_a_workload_that_grew_into_a_larger_type_is_not_squeezed_back(
    usage: Usage | None, target: str
) -> None:
    """The way back to the home type's size is open only where p95 use times the headroom fits it."""
    decision = decide_one(workload(usage=usage, **GROWN), FROM_LARGER)
    assert target_of(decision) == Pool(target, B)


def test_a_workload_that_was_sized_up_today_is_not_sized_down() -> None:
    """The week behind the p95 still shows the time before the load came."""
    smaller = {HERE: 0.04, Pool("m5.large", B): 0.01}
    usage = over_provisioned()
    for hours, row in ((23, 4), (25, 2)):
        view = workload(usage=usage, sized_up_at=NOW - timedelta(hours=hours))
        assert decide_one(view, smaller).row == row


def test_a_smaller_type_holds_the_last_hours_peak() -> None:
    """A quiet week does not size down what has been busy within the hour."""
    smaller = {HERE: 0.04, Pool("m5.large", B): 0.01}
    quiet = replace(over_provisioned(), recent_cpu_vcpu=(0.5,) * 12)
    busy = replace(over_provisioned(), recent_cpu_vcpu=(0.5,) * 11 + (1.9,))
    hungry = replace(over_provisioned(), recent_memory_gib=(2.0,) * 11 + (7.0,))
    assert decide_one(workload(usage=quiet), smaller).row == 2
    assert decide_one(workload(usage=busy), smaller).row == 4
    assert decide_one(workload(usage=hungry), smaller).row == 4


def test_an_instance_store_is_neither_lost_nor_gained() -> None:
    """A type with an instance store is no target for an instance without one."""
    types = TYPES | {"m5d.xlarge": instance_type("m5d.xlarge", 4, 16.0, instance_store=True)}
    catalog = Catalog(
        types, ON_DEMAND | {"m5d.xlarge": 0.113}, {name: frozenset(ZONES) for name in types}
    )
    pools = {HERE: 0.04, Pool("m5d.xlarge", B): 0.01}
    decision = decide(World((workload(),), market(pools), catalog), NOW, region=REGION)[0]
    assert decision.kind is DecisionKind.STAY
    assert any("instance store" in rejection.reason for rejection in decision.rejected)
