"""An order names the other subnets of its zones, within what version 0.1.0 accepts."""

from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.contracts.switch import CANDIDATES_MAX, Target
from spot_optimizer.services.decide.switch_order import in_other_subnets, on_demand_places
from spot_optimizer.vocabulary import Lifecycle

SUBNETS = {
    zone: tuple(f"subnet-{zone[-1]}{number}" for number in range(count))
    for zone, count in (("us-east-1a", 3), ("us-east-1b", 1), ("us-east-1c", 2))
}


def target(instance_type: str, zone: str) -> Target:
    """A candidate in its zone's preferred subnet."""
    return Target(
        instance_type=instance_type,
        availability_zone=zone,
        lifecycle=Lifecycle.SPOT,
        subnet_id=SUBNETS[zone][0],
        forecast_usd_per_hour=0.02,
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["m5.large", "m5a.large", "c6i.large", "t3.large", "r5.large"]),
            st.sampled_from(sorted(SUBNETS)),
        ),
        min_size=1,
        max_size=14,
        unique=True,
    )
)
def test_other_subnets_follow_their_candidate_and_displace_none(
    pools: list[tuple[str, str]],
) -> None:
    """Every candidate stays, in rank order; all that is named is one of its pools and its subnets."""
    targets = [target(*pool) for pool in pools]
    order = in_other_subnets(targets, SUBNETS)
    assert len(order) <= CANDIDATES_MAX == 14
    assert [t for t in order if t in targets] == targets
    assert len(set(order)) == len(order)
    places = [(t.instance_type, t.availability_zone) for t in order]
    assert list(dict.fromkeys(places)) == pools
    for each in order:
        assert each.subnet_id in SUBNETS[each.availability_zone]
    wanted = sum(len(SUBNETS[zone]) for _, zone in pools)
    assert len(order) == min(CANDIDATES_MAX, wanted)


def test_on_demand_is_tried_in_other_zones_before_other_subnets() -> None:
    """Three places, as ever: a failover's order has no room for more."""
    assert [s.subnet_id for s in on_demand_places(SUBNETS, "us-east-1c")] == [
        "subnet-c0",
        "subnet-a0",
        "subnet-b0",
    ]
    alone = {"us-east-1a": SUBNETS["us-east-1a"]}
    assert [s.subnet_id for s in on_demand_places(alone, "us-east-1a")] == list(alone["us-east-1a"])
