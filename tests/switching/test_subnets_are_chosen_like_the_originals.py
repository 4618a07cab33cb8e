"""A replacement lands in a subnet that reaches what the original's reached."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.subnets import InvalidSubnets, subnets_by_zone
from spot_optimizer.switching.zones import is_availability_zone


def subnet(name: str, zone: str, free: int = 10, vpc: str = "vpc-1", **more: Any) -> dict[str, Any]:
    """A DescribeSubnets row."""
    return {
        "SubnetId": f"subnet-{name}",
        "AvailabilityZone": f"us-east-1{zone}",
        "AvailableIpAddressCount": free,
        "VpcId": vpc,
        "State": "available",
        **more,
    }


def ipv6(state: str) -> list[dict[str, Any]]:
    """A subnet's IPv6 block in some state."""
    return [{"Ipv6CidrBlock": "2001:db8::/64", "Ipv6CidrBlockState": {"State": state}}]


def table(name: str, *names: str, main: bool = False, vpc: str = "vpc-1") -> dict[str, Any]:
    """A DescribeRouteTables row with explicit associations."""
    associations: list[dict[str, Any]] = [
        {"Main": False, "SubnetId": f"subnet-{each}"} for each in names
    ]
    if main:
        associations.append({"Main": True})
    return {"RouteTableId": f"rtb-{name}", "VpcId": vpc, "Associations": associations}


SUBNETS = [
    subnet("a", "a"),
    subnet("b1", "b", free=5),
    subnet("b2", "b", free=50),
    subnet("c", "c"),
    subnet("d", "d", free=0),
    subnet("other", "a", vpc="vpc-2"),
]
TABLES = [
    table("elsewhere", main=True, vpc="vpc-2"),
    table("main", main=True),
    table("private", "c"),
]


def test_subnets_with_the_originals_route_table_are_taken() -> None:
    """Implicitly the VPC's main one; the private zone and the full one are refused with reasons."""
    choice = subnets_by_zone(SUBNETS, TABLES, "subnet-a")
    assert choice.by_zone == {"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b2", "subnet-b1")}
    assert set(choice.refused) == {"us-east-1c", "us-east-1d"}
    assert "rtb-main" in choice.refused["us-east-1c"]
    assert "spot-optimizer:subnets" in choice.refused["us-east-1c"]
    assert choice.refused["us-east-1d"] == "no free address in subnet-d"


def test_an_explicit_route_table_counts_before_the_main_one() -> None:
    """A private original gets only private subnets."""
    choice = subnets_by_zone(SUBNETS, TABLES, "subnet-c")
    assert choice.by_zone == {"us-east-1c": ("subnet-c",)}


def test_a_list_is_obeyed_whatever_the_routes() -> None:
    """Who names subnets knows what they reach."""
    choice = subnets_by_zone(SUBNETS, [], "subnet-a", ("subnet-c", "subnet-b1"))
    assert choice.by_zone == {"us-east-1b": ("subnet-b1",), "us-east-1c": ("subnet-c",)}
    assert choice.refused["us-east-1a"] == "no subnet of this zone is in spot-optimizer:subnets"


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (("subnet-gone",), "'subnet-gone' does not exist"),
        (("subnet-other",), "'subnet-other' belongs to vpc-2; allowed are subnets of vpc-1"),
    ],
)
def test_a_list_that_cannot_be_obeyed_is_refused(allowed: tuple[str, ...], words: str) -> None:
    """The message names the field, the value and what is allowed."""
    with pytest.raises(InvalidSubnets, match=f"spot-optimizer:subnets: {words}"):
        subnets_by_zone(SUBNETS, TABLES, "subnet-a", allowed)
    with pytest.raises(InvalidSubnets, match=f"^SubnetIds: {words}"):
        subnets_by_zone(SUBNETS, TABLES, "subnet-a", allowed, listed_in="SubnetIds")


def test_a_deleted_subnet_is_left_out_of_a_list() -> None:
    """Somebody deletes one of the listed subnets while the workload runs: the others are still right."""
    choice = subnets_by_zone(SUBNETS, [], "subnet-a", ("subnet-gone", "subnet-b1"))
    assert choice.by_zone == {"us-east-1b": ("subnet-b1",)}
    assert choice.deleted == ("subnet-gone",)


def test_answers_that_lack_the_original_or_its_routes_are_no_answer() -> None:
    """Half a description is an error, not a VPC without subnets."""
    with pytest.raises(InvalidSubnets, match="subnet-z"):
        subnets_by_zone(SUBNETS, TABLES, "subnet-z")
    with pytest.raises(InvalidSubnets, match="main route table of vpc-1"):
        subnets_by_zone(SUBNETS, TABLES[:1], "subnet-a")


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.integers(0, 3)),
        unique_by=lambda row: row[0],
        max_size=12,
    ),
    data=st.data(),
)
def test_the_choice_is_the_emptiest_subnet_whatever_the_order(
    rows: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    """Most free addresses, then the lowest id; every zone is either chosen or refused."""
    known = [subnet("original", "a"), *(subnet(f"{n:02}", zone, free) for n, zone, free in rows)]
    choice = subnets_by_zone(data.draw(st.permutations(known)), TABLES, "subnet-original")
    for zone, chosen in choice.by_zone.items():
        here = [s for s in known if s["AvailabilityZone"] == zone and s["AvailableIpAddressCount"]]
        ranked = sorted(here, key=lambda s: (-s["AvailableIpAddressCount"], s["SubnetId"]))
        assert chosen == tuple(s["SubnetId"] for s in ranked)[:3] != ()
    zones = {s["AvailabilityZone"] for s in known}
    assert zones == set(choice.by_zone) | set(choice.refused)
    assert not set(choice.by_zone) & set(choice.refused)


BOSTON, VERIZON = "-bos-1a", "-wl1-bos-wlz-1"


@pytest.mark.parametrize("place", [BOSTON, VERIZON])
@pytest.mark.parametrize("allowed", [(), ("subnet-a", "subnet-b2", "subnet-far")])
def test_an_instance_of_the_region_is_not_switched_out_of_it(
    place: str, allowed: tuple[str, ...]
) -> None:
    """Not into a Local nor into a Wavelength Zone of its VPC, though a list names the subnet."""
    far = subnet("far", place, free=200)
    choice = subnets_by_zone([*SUBNETS, far], TABLES, "subnet-a", allowed)
    assert set(choice.by_zone) == {"us-east-1a", "us-east-1b"}
    assert "is not an Availability Zone" in choice.refused[f"us-east-1{place}"]


def test_an_instance_of_a_local_zone_stays_there() -> None:
    """Neither the Region nor another Local Zone is near its users, and Elastic IPs cannot follow."""
    known = [*SUBNETS, subnet("far", BOSTON), subnet("away", "-mia-2a")]
    choice = subnets_by_zone(known, TABLES, "subnet-far")
    assert choice.by_zone == {f"us-east-1{BOSTON}": ("subnet-far",)}
    assert (
        choice.refused["us-east-1a"]
        == f"an instance in the Local Zone us-east-1{BOSTON} stays there"
    )
    assert "us-east-1-mia-2a" in choice.refused


@pytest.mark.parametrize(
    ("name", "ordinary"),
    [
        ("us-west-2a", True),
        ("ap-southeast-3c", True),
        ("us-gov-west-1a", True),
        ("us-isob-east-1b", True),
        ("eusc-de-east-1a", True),
        ("us-west-2-lax-1a", False),
        ("us-west-2-wl1-phx-wlz-1", False),
        ("usw2-az1", False),
        ("us-west-2", False),
    ],
)
def test_an_availability_zone_is_known_by_its_name(name: str, ordinary: bool) -> None:
    """Region and letter, in every partition; nothing else, nor a zone's id."""
    assert is_availability_zone(name) is ordinary


def test_an_outposts_subnet_is_left_alone() -> None:
    """There is no spot on an Outpost; an ordinary subnet of the same zone will do."""
    outpost: dict[str, Any] = {"OutpostArn": "arn:aws:outposts:us-east-1:123456789012:outpost/op-1"}
    known = [*SUBNETS, subnet("o1", "b", free=900, **outpost), subnet("o2", "e", **outpost)]
    choice = subnets_by_zone(known, TABLES, "subnet-a")
    assert choice.by_zone == {"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b2", "subnet-b1")}
    assert choice.refused["us-east-1e"] == "on an Outpost, which has no spot capacity: subnet-o2"


def test_an_instance_with_ipv6_needs_a_block_that_is_associated() -> None:
    """One that is not there yet, or not any more, gives no address; without IPv6 any will do."""
    known = [
        subnet("a", "a", Ipv6CidrBlockAssociationSet=ipv6("associated")),
        subnet("b1", "b", Ipv6CidrBlockAssociationSet=ipv6("associated")),
        subnet("b2", "b", free=900),
        subnet("c", "c", Ipv6CidrBlockAssociationSet=ipv6("associating")),
        subnet("d", "d", Ipv6CidrBlockAssociationSet=ipv6("disassociated")),
    ]
    choice = subnets_by_zone(known, TABLES[:2], "subnet-a", ipv6=True)
    assert choice.by_zone == {"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b1",)}
    assert choice.refused["us-east-1c"] == "no IPv6 block, which the instance needs, in subnet-c"
    assert set(subnets_by_zone(known, TABLES[:2], "subnet-a").by_zone) == {
        f"us-east-1{letter}" for letter in "abcd"
    }


def test_associations_with_gateways_are_none_of_subnets() -> None:
    """A route table may be associated with an internet or virtual private gateway (VPC user guide,
    "Gateway route tables")."""
    gateway = {
        "RouteTableId": "rtb-edge",
        "VpcId": "vpc-1",
        "Associations": [{"Main": False, "GatewayId": "igw-1"}],
    }
    tables = [table("main", main=True)]
    without = subnets_by_zone(SUBNETS, tables, "subnet-a", ())
    assert subnets_by_zone(SUBNETS, [gateway, *tables], "subnet-a", ()) == without


def test_a_participant_of_a_shared_vpc_needs_no_main_route_table() -> None:
    """It sees the tables of the subnets that are shared with it; one without such a table is not known
    to have the same routes."""
    shared = [subnet("a", "a"), subnet("b1", "b"), subnet("c", "c")]
    choice = subnets_by_zone(shared, [table("private", "a", "b1")], "subnet-a")
    assert choice.by_zone == {"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b1",)}
    assert "rtb-private" in choice.refused["us-east-1c"]


def test_a_subnet_of_the_hidden_main_route_table_has_to_be_named() -> None:
    """Its own routes are not known, so a list is asked for; and obeyed."""
    with pytest.raises(InvalidSubnets, match="name subnets in spot-optimizer:subnets"):
        subnets_by_zone(SUBNETS, [table("private", "c")], "subnet-a")
    choice = subnets_by_zone(SUBNETS, [], "subnet-a", ("subnet-b2",))
    assert choice.by_zone == {"us-east-1b": ("subnet-b2",)}


def test_an_ipv6_only_subnet_has_room_and_takes_only_its_kind() -> None:
    """EC2 counts its free IPv4 addresses: none."""
    block = ipv6("associated")
    only: dict[str, Any] = {"Ipv6Native": True, "Ipv6CidrBlockAssociationSet": block}
    known = [
        subnet("a", "a", free=0, **only),
        subnet("b1", "b", free=0, **only),
        subnet("c", "c", Ipv6CidrBlockAssociationSet=block),
    ]
    choice = subnets_by_zone(known, TABLES[:2], "subnet-a", ipv6=True)
    assert choice.by_zone == {"us-east-1a": ("subnet-a",), "us-east-1b": ("subnet-b1",)}
    assert choice.refused["us-east-1c"] == "not IPv6-only as the original's: subnet-c"
    dual = subnets_by_zone(known, TABLES[:2], "subnet-c", ipv6=True)
    assert dual.by_zone == {"us-east-1c": ("subnet-c",)}
    assert dual.refused["us-east-1a"] == "IPv6-only, other than the original's: subnet-a"


def test_a_subnet_that_refused_lately_is_avoided() -> None:
    """The zone's other subnet is taken; without one, the zone is refused with the reason."""
    lately = frozenset({"subnet-b2", "subnet-a"})
    choice = subnets_by_zone(SUBNETS, TABLES, "subnet-a", refused_lately=lately)
    assert choice.by_zone == {"us-east-1b": ("subnet-b1",)}
    assert choice.refused["us-east-1a"] == "EC2 lately refused a launch into subnet-a"


def test_refusals_never_leave_a_workload_without_a_subnet() -> None:
    """A failover has to try what there is."""
    everywhere = frozenset(each["SubnetId"] for each in SUBNETS)
    choice = subnets_by_zone(SUBNETS, TABLES, "subnet-a", refused_lately=everywhere)
    assert choice == subnets_by_zone(SUBNETS, TABLES, "subnet-a")
