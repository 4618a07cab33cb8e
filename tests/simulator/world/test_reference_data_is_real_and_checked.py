"""Types, offerings, price list, advisor and network: AWS's shapes, and one world per seed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from simulator.world import AwsError, InvalidReply, NotModelled, World, WorldEvent
from simulator.world.advisor import URL
from simulator.world.catalog import instance_types
from simulator.world.operations import OPERATIONS
from simulator.world.shapes import checked_reply
from tests.simulator.world.conftest import Account


def test_every_type_of_the_catalog_fits_the_service_model(account: Account) -> None:
    """All pages of DescribeInstanceTypes pass the check of botocore's output shape."""
    pages = account.ec2.get_paginator("describe_instance_types").paginate()
    rows = [row for page in pages for row in page["InstanceTypes"]]
    assert len(rows) > 800
    assert all(row == instance_types()[row["InstanceType"]] for row in rows)


def test_types_are_filtered_by_any_member(account: Account) -> None:
    """Names in kebab case, lists in the singular."""
    reply = account.ec2.describe_instance_types(
        Filters=[
            {"Name": "processor-info.supported-architecture", "Values": ["arm64"]},
            {"Name": "vcpu-info.default-vcpus", "Values": ["2"]},
            {"Name": "memory-info.size-in-mib", "Values": ["8192"]},
            {"Name": "supported-usage-class", "Values": ["spot"]},
            {"Name": "bare-metal", "Values": ["false"]},
            {"Name": "instance-type", "Values": ["m6g.*"]},
            {"Name": "supported-boot-mode", "Values": ["uefi"]},
        ]
    )
    assert [row["InstanceType"] for row in reply["InstanceTypes"]] == ["m6g.large"]


def test_unknown_types_are_refused_by_name(account: Account, refused: Callable[..., str]) -> None:
    """InvalidInstanceType says which."""
    error = refused(account.ec2.describe_instance_types, InstanceTypes=["m5.large", "m5.tiny"])
    assert error.startswith("InvalidInstanceType")
    assert "[m5.tiny]" in error


def test_zones_and_offerings_agree(account: Account) -> None:
    """Each zone has a name, an id and a subnet, and offerings by name and by id match."""
    zones = account.ec2.describe_availability_zones()["AvailabilityZones"]
    assert tuple(zone["ZoneName"] for zone in zones) == account.world.zones
    named = {
        kind: {
            row["Location"]
            for row in account.ec2.describe_instance_type_offerings(
                LocationType=kind, Filters=[{"Name": "instance-type", "Values": ["m5.large"]}]
            )["InstanceTypeOfferings"]
        }
        for kind in ("availability-zone", "availability-zone-id")
    }
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in zones}
    assert {ids[name] for name in named["availability-zone"]} == named["availability-zone-id"]
    subnets = account.ec2.describe_subnets()["Subnets"]
    assert [subnet["AvailabilityZone"] for subnet in subnets] == list(account.world.zones)
    (table,) = account.ec2.describe_route_tables()["RouteTables"]
    assert table["Associations"][0]["Main"] is True
    apart = account.world.add_subnet("us-east-1a", "172.31.96.0/24", own_route_table=True)
    (found,) = account.ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [apart]}]
    )["RouteTables"]
    assert found["RouteTableId"] != table["RouteTableId"]
    assert len(account.ec2.describe_vpcs()["Vpcs"]) == 1
    assert len(account.ec2.describe_security_groups()["SecurityGroups"]) == 1


def test_subnets_may_be_in_local_zones_and_on_outposts(account: Account) -> None:
    """DescribeSubnets shows their zone and their OutpostArn, which other subnets lack; nothing can be
    launched there."""
    account.world.add_local_zone("us-east-1-bos-1a", "use1-bos1-az1")
    local = account.world.add_subnet("us-east-1-bos-1a", "172.31.96.0/24")
    outpost = account.world.add_subnet("us-east-1a", "172.31.97.0/24", outpost=True)
    rows = {row["SubnetId"]: row for row in account.ec2.describe_subnets()["Subnets"]}
    assert rows[local]["AvailabilityZoneId"] == "use1-bos1-az1"
    assert [s for s, row in rows.items() if "OutpostArn" in row] == [outpost]
    assert "us-east-1-bos-1a" not in account.world.zones
    for subnet in (local, outpost):
        with pytest.raises(AwsError, match="not supported"):
            account.world.launch_instance("m5.large", "us-east-1a", SubnetId=subnet)


def prices(account: Account, *terms: tuple[str, str]) -> list[tuple[str, float]]:
    """(instance type, USD per hour) of all products that match."""
    filters = [{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in terms]
    found, token = [], None
    while True:
        reply = account.pricing.get_products(
            ServiceCode="AmazonEC2", Filters=filters, **({"NextToken": token} if token else {})
        )
        for text in reply["PriceList"]:
            entry = json.loads(text)
            (term,) = entry["terms"]["OnDemand"].values()
            (rate,) = term["priceDimensions"].values()
            kind = entry["product"]["attributes"]["instanceType"]
            found.append((kind, float(rate["pricePerUnit"]["USD"])))
        token = reply.get("NextToken")
        if not token:
            return found


def test_price_list_gives_on_demand_prices_to_a_careful_filter(account: Account) -> None:
    """With the full filter one price a type; a careless one also gets reserved and Windows."""
    careful = (
        ("location", "US East (N. Virginia)"),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
    )
    assert dict(prices(account, *careful)) == pytest.approx(account.on_demand)
    assert len(prices(account, *careful)) == len(account.on_demand)
    assert len(prices(account, ("instanceType", "m5.large"))) == 5


def test_advisor_file_has_the_known_shape_and_changes_on_request(account: Account) -> None:
    """Five ranges, buckets 0 to 4 with shares near the stated ones, changes from then on."""
    status, _, body = account.world.http(URL)
    data = json.loads(body)
    linux = data["spot_advisor"]["us-east-1"]["Linux"]
    assert status == 200
    assert [item["label"] for item in data["ranges"]] == [
        "<5%",
        "5-10%",
        "10-15%",
        "15-20%",
        ">20%",
    ]
    buckets = [row["r"] for row in linux.values()]
    shares = [buckets.count(bucket) / len(buckets) for bucket in range(5)]
    assert shares == pytest.approx([0.30, 0.22, 0.15, 0.10, 0.23], abs=0.05)
    assert linux["m5.large"]["s"] in range(55, 65)
    assert data["instance_types"]["m5.large"] == {"cores": 2, "emr": False, "ram_gb": 8.0}
    for bucket in (4, 0):
        account.world.advisor.set("m5.large", bucket)
        data = json.loads(account.world.http(URL)[2])
        assert data["spot_advisor"]["us-east-1"]["Linux"]["m5.large"]["r"] == bucket
    with pytest.raises(ValueError, match="0 to 4"):
        account.world.advisor.set("m5.large", 5)
    assert account.world.http("https://example.com/")[0] == 404


def test_reply_that_breaks_the_service_model_is_caught() -> None:
    """The path and what is allowed are named: wrong member, type, enumeration."""
    for reply, named in (
        ({"Volumen": []}, "Volumen"),
        ({"Volumes": [{"Size": "8"}]}, "Size"),
        ({"Volumes": [{"Size": True}]}, "Size"),
        ({"Volumes": [{"State": "lost"}]}, "State"),
        ({"Volumes": {}}, "Volumes"),
    ):
        with pytest.raises(InvalidReply, match=named):
            checked_reply("ec2", "DescribeVolumes", reply)


def test_operation_that_is_not_modelled_is_refused_by_name(account: Account) -> None:
    """Unknown operations and parameters are never answered by a guess."""
    with pytest.raises(NotModelled, match="DescribeHosts"):
        account.ec2.describe_hosts()
    with pytest.raises(NotModelled, match="Ipv6AddressCount"):
        account.run(Ipv6AddressCount=1)


def test_every_operation_names_its_page_in_the_documentation() -> None:
    """The docstring of each handler begins with the API reference page that it follows."""
    for (service, name), handler in OPERATIONS.items():
        page = f"API_pricing_{name}" if service == "pricing" else f"API_{name}"
        assert str(handler.__doc__).startswith(page), name


@pytest.mark.parametrize("region", ["eu-west-1", "ap-south-1", "sa-east-1"])
def test_other_regions_have_their_own_zones_types_and_names(region: str) -> None:
    """Subnets, offerings and the price list's location are the region's."""
    world = World(
        lambda: datetime(2024, 3, 1, tzinfo=UTC),
        seed=1,
        region=region,
        prices=SimpleNamespace(pools=()),
        on_demand_usd_per_hour={"m5.large": 0.1},
    )
    instance_id = world.launch_instance("m5.large", world.zones[0], lifecycle="on-demand")
    assert world.instances[instance_id].availability_zone.startswith(region)
    text = world.handle("pricing", "GetProducts", {"ServiceCode": "AmazonEC2"})[1]["PriceList"][0]
    assert json.loads(text)["product"]["attributes"]["location"] in {
        "EU (Ireland)",
        "Asia Pacific (Mumbai)",
        "South America (Sao Paulo)",
    }


def story(account: Account) -> tuple[Any, list[WorldEvent], Any]:
    """What can be seen of a small story."""
    for _ in range(3):
        account.run(ClientToken=f"t{_}", InstanceMarketOptions={"MarketType": "spot"})
    account.wait(seconds=30)
    seen = account.ec2.describe_instances()["Reservations"]
    account.wait(minutes=5)
    return seen, account.events, account.ec2.describe_instance_status()["InstanceStatuses"]


def test_runs_with_one_seed_are_identical(new_account: Callable[..., Account]) -> None:
    """Two worlds of one seed agree in ids, times, states and events."""
    assert story(new_account()) == story(new_account())
