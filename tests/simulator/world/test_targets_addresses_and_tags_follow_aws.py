"""Target health, elastic addresses and tags behave as AWS documents them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.world import AddressMoved, TargetDeregistered, TargetRegistered
from tests.simulator.world.conftest import Account


def health(account: Account, arn: str, instance_id: str) -> str:
    """Target health of an instance that is registered or not."""
    reply = account.elbv2.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": instance_id}])
    return str(reply["TargetHealthDescriptions"][0]["TargetHealth"]["State"])


def test_target_becomes_healthy_and_drains_for_the_deregistration_delay(account: Account) -> None:
    """initial -> healthy -> draining -> unused, and the events say so."""
    arn = account.world.create_target_group("web", deregistration_delay=timedelta(seconds=120))
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    assert health(account, arn, instance_id) == "unused"
    target = {"TargetGroupArn": arn, "Targets": [{"Id": instance_id}]}
    account.elbv2.register_targets(**target)
    account.elbv2.register_targets(**target)
    assert health(account, arn, instance_id) == "initial"
    account.wait(seconds=90)
    assert health(account, arn, instance_id) == "healthy"
    account.elbv2.deregister_targets(**target)
    account.elbv2.deregister_targets(**target)
    account.wait(seconds=119)
    assert health(account, arn, instance_id) == "draining"
    account.wait(seconds=2)
    assert health(account, arn, instance_id) == "unused"
    assert (
        account.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == []
    )
    kinds = [type(event) for event in account.events]
    assert kinds == [TargetRegistered, TargetDeregistered]


def test_only_running_instances_can_be_registered(
    account: Account, refused: Callable[..., str]
) -> None:
    """A pending one is an InvalidTarget; an unknown group is TargetGroupNotFound."""
    arn = account.world.create_target_group("web")
    instance_id = account.run()["InstanceId"]
    target = {"Targets": [{"Id": instance_id}]}
    error = refused(account.elbv2.register_targets, TargetGroupArn=arn, **target)
    assert error.startswith("InvalidTarget")
    error = refused(account.elbv2.describe_target_health, TargetGroupArn=arn + "x")
    assert error.startswith("TargetGroupNotFound")


def test_instance_that_never_boots_is_unhealthy_and_one_without_balancer_unused(
    account: Account,
) -> None:
    """unhealthy after its checks failed; unused where nothing sends traffic."""
    account.world.fail_status_checks()
    arn = account.world.create_target_group("web")
    idle = account.world.create_target_group("idle", has_load_balancer=False)
    instance_id = account.run()["InstanceId"]
    account.wait(seconds=45)
    for group in (arn, idle):
        account.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance_id}])
    account.wait(minutes=10)
    assert health(account, arn, instance_id) == "unhealthy"
    assert health(account, idle, instance_id) == "unused"


def test_terminated_instance_leaves_its_target_group(account: Account) -> None:
    """It is deregistered by itself when it is gone."""
    arn = account.world.create_target_group("web")
    instance_id = account.world.launch_instance("m5.large", "us-east-1a", target_group_arn=arn)
    assert health(account, arn, instance_id) == "healthy"
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(minutes=10)
    assert health(account, arn, instance_id) == "unused"
    assert TargetDeregistered in {type(event) for event in account.events}


def test_address_is_a_target_whoever_has_it(account: Account, refused: Callable[..., str]) -> None:
    """It is registered once for each port, healthy while its instance answers, and stays when that
    ends: unhealthy, until somebody takes it out; only then it can come back."""
    arn = account.world.create_target_group("web", target_type="ip")
    instance_id = account.world.launch_instance("m5.large", "us-east-1b", target_group_arn=arn)
    address = account.describe(instance_id)["PrivateIpAddress"]
    assert health(account, arn, address) == "healthy"
    (row,) = account.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert row["Target"] == {"Id": address, "Port": 80, "AvailabilityZone": "us-east-1b"}
    (group,) = account.elbv2.describe_target_groups()["TargetGroups"]
    assert group["TargetType"] == "ip"
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(minutes=10)
    assert health(account, arn, address) == "unhealthy"
    target = {"TargetGroupArn": arn, "Targets": [{"Id": address}]}
    account.elbv2.deregister_targets(**target)
    assert refused(account.elbv2.register_targets, **target).startswith("InvalidTarget")
    account.wait(minutes=5)
    account.elbv2.register_targets(**target)
    assert health(account, arn, address) == "unhealthy"


def test_zone_is_named_only_for_addresses_outside_the_subnets(
    account: Account, refused: Callable[..., str]
) -> None:
    """ELB knows the zone of the others, and refuses to override it."""
    arn = account.world.create_target_group("web", target_type="ip")

    def register(**target: Any) -> str:
        return refused(account.elbv2.register_targets, TargetGroupArn=arn, Targets=[target])

    assert "Availability Zone is required for IP address '10.0.0.1'" in register(Id="10.0.0.1")
    assert "overridden to 'all' from 'us-east-1a'" in register(
        Id="172.31.0.9", AvailabilityZone="all"
    )
    assert "is not valid" in register(Id=account.world.launch_instance("m5.large", "us-east-1a"))
    outside = {"Id": "10.0.0.1", "AvailabilityZone": "all"}
    account.elbv2.register_targets(TargetGroupArn=arn, Targets=[outside])
    (row,) = account.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert row["Target"] == {**outside, "Port": 80}


@pytest.mark.parametrize("target_type", ["instance", "ip"])
def test_target_in_a_zone_that_is_not_enabled_is_unused(account: Account, target_type: str) -> None:
    """ELBv2 API reference, TargetHealth: also one that was healthy, until the zone is enabled."""
    arn = account.world.create_target_group(
        "web", target_type=target_type, zones=("us-east-1a", "us-east-1b")
    )
    for zone in ("us-east-1b", "us-east-1c"):
        account.world.launch_instance("m5.large", zone, target_group_arn=arn)

    def states() -> list[tuple[str, str | None]]:
        rows = account.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return [(r["TargetHealth"]["State"], r["TargetHealth"].get("Reason")) for r in rows]

    assert states() == [("healthy", None), ("unused", "Target.NotInUse")]
    account.world.enable_zones(arn, "us-east-1a", "us-east-1c")
    assert states() == [("unused", "Target.NotInUse"), ("healthy", None)]


def test_load_balancers_name_their_zones(account: Account, refused: Callable[..., str]) -> None:
    """API_DescribeLoadBalancers: all page by page, or those named, 20 at most, each of them there."""
    both = ("us-east-1a", "us-east-1c")
    account.world.create_target_group("web", zones=both)
    account.world.create_target_group("raw", protocol="TCP", zones=("us-east-1b",))
    account.world.create_target_group("idle", has_load_balancer=False)
    groups = account.elbv2.describe_target_groups()["TargetGroups"]
    arns = [arn for group in groups for arn in group["LoadBalancerArns"]]
    pages = account.elbv2.get_paginator("describe_load_balancers").paginate(
        PaginationConfig={"PageSize": 1}
    )
    found = [row for page in pages for row in page["LoadBalancers"]]
    assert [row["LoadBalancerArn"] for row in found] == arns
    assert [row["Type"] for row in found] == ["application", "network"]
    zones = [[each["ZoneName"] for each in row["AvailabilityZones"]] for row in found]
    assert zones == [list(both), ["us-east-1b"]]
    (named,) = account.elbv2.describe_load_balancers(LoadBalancerArns=arns[1:])["LoadBalancers"]
    assert named == found[1]
    assert account.elbv2.describe_load_balancers(Names=["web"])["LoadBalancers"] == found[:1]
    describe = account.elbv2.describe_load_balancers
    assert refused(describe, LoadBalancerArns=[arns[0] + "x"]).startswith("LoadBalancerNotFound")
    assert refused(describe, LoadBalancerArns=arns[:1] * 21).startswith("ValidationError")


def test_application_load_balancer_has_two_zones(account: Account) -> None:
    """Its user guide, "Subnets for your load balancer"; a Network Load Balancer may have one."""
    for zones in (("us-east-1a",), ("us-east-1a", "eu-west-1a")):
        with pytest.raises(ValueError, match="zones"):
            account.world.create_target_group(f"web-{len(zones)}", zones=zones)
    account.world.create_target_group("raw", protocol="TCP", zones=("us-east-1a",))


def test_classic_load_balancers_name_their_instances(
    account: Account, refused: Callable[..., str]
) -> None:
    """All of them page by page, or those named."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    account.world.set_classic_load_balancer("empty")
    account.world.set_classic_load_balancer("legacy", instance_id)
    pages = account.elb.get_paginator("describe_load_balancers").paginate(
        PaginationConfig={"PageSize": 1}
    )
    found = [row for page in pages for row in page["LoadBalancerDescriptions"]]
    assert [row["LoadBalancerName"] for row in found] == ["empty", "legacy"]
    assert [row["Instances"] for row in found] == [[], [{"InstanceId": instance_id}]]
    error = refused(account.elb.describe_load_balancers, LoadBalancerNames=["gone"])
    assert error.startswith("LoadBalancerNotFound")
    with pytest.raises(ValueError, match="instance_ids"):
        account.world.set_classic_load_balancer("legacy", "i-0123456789abcdef0")


def test_address_moves_only_when_it_may(account: Account, refused: Callable[..., str]) -> None:
    """Without AllowReassociation Resource.AlreadyAssociated and nothing moved; repeats are fine."""
    old = account.world.launch_instance("m5.large", "us-east-1a", address=True)
    new = account.world.launch_instance("m5.large", "us-east-1b")
    (address,) = account.ec2.describe_addresses()["Addresses"]
    wanted = {"AllocationId": address["AllocationId"], "InstanceId": new}
    error = refused(account.ec2.associate_address, **wanted)
    assert error.startswith("Resource.AlreadyAssociated")
    assert account.describe(old)["PublicIpAddress"] == address["PublicIp"]
    for _ in range(2):
        account.ec2.associate_address(**wanted, AllowReassociation=True)
    assert account.describe(new)["PublicIpAddress"] == address["PublicIp"]
    moves = [event for event in account.events if isinstance(event, AddressMoved)]
    assert [(move.from_instance_id, move.to_instance_id) for move in moves] == [(old, new)]
    (address,) = account.ec2.describe_addresses()["Addresses"]
    account.ec2.disassociate_address(AssociationId=address["AssociationId"])
    error = refused(account.ec2.disassociate_address, AssociationId=address["AssociationId"])
    assert error.startswith("InvalidAssociationID.NotFound")


def test_addresses_are_limited_and_pending_instances_take_none(
    account: Account, refused: Callable[..., str]
) -> None:
    """AddressLimitExceeded beyond five; InvalidInstanceID while pending."""
    for _ in range(4):
        account.ec2.allocate_address(Domain="vpc")
    allocation_id = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    error = refused(account.ec2.allocate_address, Domain="vpc")
    assert error.startswith("AddressLimitExceeded")
    instance_id = account.run()["InstanceId"]
    error = refused(
        account.ec2.associate_address, AllocationId=allocation_id, InstanceId=instance_id
    )
    assert error.startswith("InvalidInstanceID:")


@settings(max_examples=15, deadline=None)
@example(first=50, second=1, overlap=0)
@given(first=st.integers(0, 50), second=st.integers(1, 60), overlap=st.integers(0, 50))
def test_resource_never_has_more_than_fifty_tags(
    new_account: Callable[..., Account], first: int, second: int, overlap: int
) -> None:
    """Creation is all or nothing; an existing key does not count twice."""
    account = new_account()
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    begin = max(0, first - overlap)
    old = {f"k{n}" for n in range(first)}
    new = {f"k{n}" for n in range(begin, begin + second)}

    def tag(keys: set[str]) -> None:
        account.ec2.create_tags(
            Resources=[instance_id], Tags=[{"Key": key, "Value": ""} for key in sorted(keys)]
        )

    if old:
        tag(old)
    if len(old | new) > 50:
        with pytest.raises(account.ec2.exceptions.ClientError, match="TagLimitExceeded"):
            tag(new)
        assert set(account.world.tags_of(instance_id)) == old
    else:
        tag(new)
        assert set(account.world.tags_of(instance_id)) == old | new


def test_reserved_tags_are_refused_and_listings_are_complete(
    account: Account, refused: Callable[..., str]
) -> None:
    """aws: keys cannot be written; DescribeTags finds by key; DeleteTags minds the value."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "web"})
    tags = {"Resources": [instance_id], "Tags": [{"Key": "aws:x", "Value": "1"}]}
    assert refused(account.ec2.create_tags, **tags).startswith("InvalidParameterValue")
    (found,) = account.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["Name"]}])["Tags"]
    assert (found["ResourceId"], found["ResourceType"]) == (instance_id, "instance")
    account.ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "Name", "Value": "other"}])
    assert account.world.tags_of(instance_id) == {"Name": "web"}
    account.ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "Name"}])
    assert account.world.tags_of(instance_id) == {}


def test_filters_are_strict_and_pages_keep_to_their_listing(
    account: Account, refused: Callable[..., str]
) -> None:
    """Unknown names are refused, values may have wildcards, ids and MaxResults exclude each
    other, and an instance launched between two pages is not on the second."""
    ids = [
        account.world.launch_instance("m5.large", "us-east-1a", tags={"Name": f"web-{n}"})
        for n in range(12)
    ]
    error = refused(account.ec2.describe_instances, Filters=[{"Name": "color", "Values": ["red"]}])
    assert error.startswith("InvalidParameterValue: The filter 'color' is invalid")
    reply = account.ec2.describe_instances(
        Filters=[
            {"Name": "tag:Name", "Values": ["web-1?", "web-3"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )
    assert len(reply["Reservations"]) == 3
    error = refused(account.ec2.describe_instances, InstanceIds=ids[:1], MaxResults=5)
    assert error.startswith("InvalidParameterCombination")
    assert refused(account.ec2.describe_instances, MaxResults=4).startswith("InvalidParameterV")
    first = account.ec2.describe_instances(MaxResults=10)
    account.world.launch_instance("m5.large", "us-east-1a")
    second = account.ec2.describe_instances(MaxResults=10, NextToken=first["NextToken"])
    assert (len(first["Reservations"]), len(second["Reservations"])) == (10, 2)
