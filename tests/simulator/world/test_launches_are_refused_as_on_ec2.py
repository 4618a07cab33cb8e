"""RunInstances and CreateFleet refuse what EC2 refuses, with its codes, and then launch nothing."""

import base64
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.world import AwsError
from tests.simulator.world.conftest import Account

PLACE = {"AvailabilityZone": "us-east-1a"}
SPOT = {"MarketType": "spot"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"InstanceType": "m5.tiny"}, "InvalidParameterValue"),
        ({"InstanceType": "t3.micro", "Placement": {"AvailabilityZone": "us-east-1e"}}, "Unsupp"),
        ({"InstanceType": "m6g.large"}, "InvalidParameterValue: The architecture 'arm64'"),
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "banana"}, "InvalidAMIID.Malformed"),
        ({"KeyName": "lost"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ({"IamInstanceProfile": {"Name": "lost"}}, "InvalidParameterValue"),
        ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
        ({"CreditSpecification": {"CpuCredits": "standard"}}, "InstanceCreditSpecification.Not"),
        ({"CpuOptions": {"CoreCount": 8}}, "InvalidParameterValue"),
        ({"MinCount": 2, "MaxCount": 1}, "InvalidParameterValue"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue: User data is limited"),
        (
            {"TagSpecifications": [{"ResourceType": "spot-instances-request", "Tags": []}]},
            "InvalidParameterCombination: You cannot specify tags for Spot",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
            "InvalidBlockDeviceMapping",
        ),
        (
            {"MetadataOptions": {"HttpEndpoint": "disabled", "HttpTokens": "required"}},
            "InvalidParameterCombination: The parameters HttpTokens are not allowed unless",
        ),
        (
            {
                "NetworkInterfaces": [{"DeviceIndex": 0}],
                "SecurityGroupIds": ["sg-1"],
            },
            "InvalidParameterCombination: Network interfaces and an instance-level security",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0}], "SubnetId": "subnet-1"},
            "InvalidParameterCombination: Network interfaces and an instance-level subnet",
        ),
        (
            {
                "InstanceMarketOptions": {
                    **SPOT,
                    "SpotOptions": {"InstanceInterruptionBehavior": "stop"},
                }
            },
            "InvalidParameterCombination: The stop InstanceInterruptionBehavior",
        ),
    ],
)
def test_launch_that_does_not_fit_is_refused(
    account: Account, refused: Callable[..., str], params: dict[str, Any], code: str
) -> None:
    """Each misfit gets EC2's own error code and leaves no instance."""
    assert refused(account.run, **params).startswith(code)
    assert not account.world.instances


def test_images_must_fit_the_type_in_network_and_boot_mode(
    account: Account, refused: Callable[..., str]
) -> None:
    """ENA is required by m5, UEFI is unknown to t2, a deregistered image is unavailable."""
    old = account.world.add_image("x86_64", ena_support=False)
    assert refused(account.run, ImageId=old).startswith("InvalidParameterCombination: Enhanced")
    modern = account.world.add_image("x86_64", boot_mode="uefi")
    error = refused(account.run, ImageId=modern, InstanceType="t2.micro")
    assert error.startswith("InvalidParameterValue: The t2.micro instance type does not support")
    account.world.deregister_image(modern)
    assert refused(account.run, ImageId=modern).startswith("InvalidAMIID.Unavailable")


def test_ipv6_addresses_are_of_the_subnets_block(account: Account) -> None:
    """As many as asked for, shown by instance and interface; a subnet without a block has none."""
    dual = account.world.add_subnet("us-east-1a", "172.31.96.0/24", ipv6=True)

    def launch(subnet: str) -> str:
        interface = {"DeviceIndex": 0, "SubnetId": subnet, "Ipv6AddressCount": 2}
        return account.world.launch_instance(
            "m5.large", "us-east-1a", NetworkInterfaces=[interface]
        )

    (row,) = account.ec2.describe_subnets(SubnetIds=[dual])["Subnets"]
    (block,) = row["Ipv6CidrBlockAssociationSet"]
    assert block["Ipv6CidrBlockState"] == {"State": "associated"}
    instance_id = launch(dual)
    (interface,) = account.describe(instance_id)["NetworkInterfaces"]
    addresses = [each["Ipv6Address"] for each in interface["Ipv6Addresses"]]
    assert len(set(addresses)) == 2
    assert {ip_address(each) in ip_network(block["Ipv6CidrBlock"]) for each in addresses} == {True}
    found = account.ec2.describe_network_interfaces(
        NetworkInterfaceIds=[interface["NetworkInterfaceId"]]
    )["NetworkInterfaces"][0]["Ipv6Addresses"]
    assert found == interface["Ipv6Addresses"]
    plain = next(s for s in account.ec2.describe_subnets()["Subnets"] if s["DefaultForAz"])
    assert plain["Ipv6CidrBlockAssociationSet"] == []
    with pytest.raises(AwsError, match="has no IPv6 CIDR block"):
        launch(plain["SubnetId"])


def test_small_subnet_runs_out_of_addresses(account: Account, refused: Callable[..., str]) -> None:
    """A /28 has eleven addresses for instances; the twelfth launch is refused."""
    subnet = account.world.add_subnet("us-east-1a", "172.31.96.0/28")
    account.ec2.run_instances(
        ImageId=account.image(),
        InstanceType="m5.large",
        SubnetId=subnet,
        MinCount=11,
        MaxCount=11,
    )
    error = refused(account.run, SubnetId=subnet)
    assert error.startswith("InsufficientFreeAddressesInSubnet")


def test_capacity_is_closed_by_pool_lifecycle_and_time_only(
    account: Account, refused: Callable[..., str]
) -> None:
    """Elsewhere, otherwise and afterwards the launch succeeds; the error is a server error."""
    end = account.now + timedelta(hours=1)
    account.world.close_capacity("m5.*", "us-east-1a", "spot", account.now, end)
    with pytest.raises(account.ec2.exceptions.ClientError) as caught:
        account.run(InstanceMarketOptions=SPOT)
    assert caught.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    account.run()
    account.run(InstanceType="c5.large", InstanceMarketOptions=SPOT)
    account.run(Placement={"AvailabilityZone": "us-east-1b"}, InstanceMarketOptions=SPOT)
    account.wait(hours=1)
    account.run(InstanceMarketOptions=SPOT)
    assert refused(account.run, InstanceType="m5.2xlarge", InstanceMarketOptions=SPOT).startswith(
        "InsufficientInstanceCapacity"
    ), "a pool without a price has no spot capacity"


def test_quotas_are_apart_by_lifecycle_and_family_class(
    account: Account, refused: Callable[..., str]
) -> None:
    """Spot and on-demand have their own codes; freed vCPUs can be used again."""
    account.world.set_quota_vcpu("spot", "m5.large", 4)
    account.world.set_quota_vcpu("on-demand", "c5.large", 2)
    account.run(InstanceMarketOptions=SPOT)
    second = account.run(InstanceType="c5.large", InstanceMarketOptions=SPOT)["InstanceId"]
    error = refused(account.run, InstanceMarketOptions=SPOT)
    assert error.startswith("MaxSpotInstanceCountExceeded")
    account.run()
    assert refused(account.run).startswith("VcpuLimitExceeded")
    account.ec2.terminate_instances(InstanceIds=[second])
    account.run(InstanceMarketOptions=SPOT)


def test_dry_run_checks_and_launches_nothing(account: Account, refused: Callable[..., str]) -> None:
    """A request that fits gets DryRunOperation, one that does not its own error."""
    assert refused(account.run, DryRun=True).startswith("DryRunOperation")
    assert refused(account.run, DryRun=True, KeyName="lost").startswith("InvalidKeyPair")
    error = refused(account.ec2.terminate_instances, InstanceIds=["i-1"], DryRun=True)
    assert error.startswith("DryRunOperation")
    assert not account.world.instances


def test_client_token_launches_once_per_zone(account: Account, refused: Callable[..., str]) -> None:
    """The same request returns the same instance, another one is refused, another zone launches
    again; a refused launch leaves its token free."""
    account.world.close_capacity("c5.large", lifecycle="*", end=account.now + timedelta(minutes=1))
    first = account.run(ClientToken="t")["InstanceId"]
    account.wait(minutes=2)
    again = account.run(ClientToken="t")
    assert (again["InstanceId"], again["State"]["Name"]) == (first, "running")
    error = refused(account.run, ClientToken="t", InstanceType="m5.xlarge")
    assert error.startswith("IdempotentParameterMismatch")
    other = account.run(ClientToken="t", Placement={"AvailabilityZone": "us-east-1b"})
    assert other["InstanceId"] != first
    account.now -= timedelta(minutes=2)
    refused(account.run, ClientToken="u", InstanceType="c5.large")
    account.wait(minutes=2)
    account.run(ClientToken="u", InstanceType="c5.large")


def test_template_fills_in_and_the_request_overrides(account: Account) -> None:
    """Parameters replace the template's, tags merge by key, user data arrives base64."""
    data = {
        "ImageId": account.image(),
        "InstanceType": "t3.micro",
        "KeyName": "team-key",
        "UserData": base64.b64encode(b"#!/bin/sh").decode(),
        "MetadataOptions": {"HttpTokens": "required"},
        "TagSpecifications": [
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "Name", "Value": "old"}, {"Key": "kept", "Value": "1"}],
            }
        ],
    }
    template = account.ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData=data
    )["LaunchTemplate"]
    launched = account.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "web"},
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        Placement=PLACE,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "new"}]}],
    )["Instances"][0]
    tags = {tag["Key"]: tag["Value"] for tag in launched["Tags"]}
    assert tags == {
        "Name": "new",
        "kept": "1",
        "aws:ec2launchtemplate:id": template["LaunchTemplateId"],
        "aws:ec2launchtemplate:version": "1",
    }
    assert launched["InstanceType"] == "m5.large"
    assert launched["MetadataOptions"]["HttpTokens"] == "required"
    reply = account.ec2.describe_instance_attribute(
        InstanceId=launched["InstanceId"], Attribute="userData"
    )
    assert base64.b64decode(reply["UserData"]["Value"]) == b"#!/bin/sh"


def make_fleet(account: Account, overrides: list[dict[str, Any]], **params: Any) -> Any:
    """CreateFleet instant of one spot instance from a fresh template."""
    name = f"fleet-{len(account.ec2.describe_launch_templates()['LaunchTemplates'])}"
    account.ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={
            "ImageId": account.image(),
            "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet_of(account, "us-east-1c")}],
        },
    )
    request = {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": "$Latest"},
                "Overrides": overrides,
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": "spot",
        },
        "SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"},
        **params,
    }
    return account.ec2.create_fleet(**request)


def subnet_of(account: Account, zone: str) -> str:
    """The default subnet of a zone."""
    in_zone = [{"Name": "availability-zone", "Values": [zone]}]
    return str(account.ec2.describe_subnets(Filters=in_zone)["Subnets"][0]["SubnetId"])


def test_fleet_tries_all_pools_and_reports_failures_with_success(account: Account) -> None:
    """HTTP 200: closed pools are in Errors with codes, the launched one in Instances, tagged."""
    account.world.close_capacity("m5.large", lifecycle="spot")
    overrides = [
        {"InstanceType": kind, "SubnetId": subnet_of(account, zone), "Priority": float(rank)}
        for rank, (kind, zone) in enumerate(
            [("m5.large", "us-east-1a"), ("m6g.large", "us-east-1a"), ("m5.large", "us-east-1b")]
        )
    ]
    reply = make_fleet(account, overrides)
    assert reply["Instances"] == []
    codes = sorted(error["ErrorCode"] for error in reply["Errors"])
    assert codes == [
        "InsufficientInstanceCapacity",
        "InsufficientInstanceCapacity",
        "InvalidParameterValue",
    ]
    overrides.append({"InstanceType": "c5.large", "SubnetId": subnet_of(account, "us-east-1b")})
    (launched,) = make_fleet(account, overrides)["Instances"]
    assert (launched["InstanceType"], launched["Lifecycle"]) == ("c5.large", "spot")
    found = account.describe(launched["InstanceIds"][0])
    assert found["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert "aws:ec2:fleet-id" in {tag["Key"] for tag in found["Tags"]}


@settings(max_examples=20, deadline=None)
@given(open_pools=st.sets(st.integers(0, 5), min_size=1))
def test_fleet_launches_in_an_open_pool_whenever_there_is_one(
    new_account: Callable[..., Account], open_pools: set[int]
) -> None:
    """Whatever pools are closed, exactly one instance starts, and in an open one."""
    account = new_account()
    pools = [(t, z) for t in ("m5.large", "c5.large") for z in account.world.zones[:3]]
    for number, (instance_type, zone) in enumerate(pools):
        if number not in open_pools:
            account.world.close_capacity(instance_type, zone, "spot")
    overrides = [
        {"InstanceType": t, "SubnetId": subnet_of(account, z), "Priority": float(n)}
        for n, (t, z) in enumerate(pools)
    ]
    make_fleet(account, overrides)
    (instance,) = account.world.instances.values()
    where = (instance.instance_type, instance.availability_zone)
    assert pools.index(where) in open_pools


def test_reused_fleet_token_returns_the_first_fleet(
    account: Account, refused: Callable[..., str]
) -> None:
    """The same request launches once; other parameters are IdempotentParameterMismatch."""
    overrides = [{"InstanceType": "m5.large", "AvailabilityZone": "us-east-1c"}]
    first = make_fleet(account, overrides, ClientToken="f")
    error = refused(make_fleet, account=account, overrides=overrides, ClientToken="f")
    assert error.startswith("IdempotentParameterMismatch"), "its template is another one"
    assert len(account.world.instances) == 1
    assert first["FleetId"].startswith("fleet-")


def test_fleet_with_one_pool_in_two_subnets_is_refused(
    account: Account, refused: Callable[..., str]
) -> None:
    """A fleet tells pools by type and zone."""
    other = account.world.add_subnet("us-east-1b", "172.31.96.0/24")
    subnets = (subnet_of(account, "us-east-1b"), other)
    overrides = [{"InstanceType": "m5.large", "SubnetId": subnet} for subnet in subnets]
    error = refused(make_fleet, account=account, overrides=overrides)
    assert error.startswith("InvalidFleetConfig")
    assert not account.world.instances


def test_repeated_fleet_names_no_instance_but_is_described_with_it(account: Account) -> None:
    """AWS promises that a repeated call does nothing more, not that it answers in full."""
    overrides = [
        {"InstanceType": kind, "SubnetId": subnet_of(account, "us-east-1b"), "Priority": rank}
        for rank, kind in enumerate(("m5.large", "c5.large"))
    ]
    account.world.close_capacity("m5.large", lifecycle="spot")
    first = make_fleet(account, overrides, ClientToken="f")
    again = account.ec2.create_fleet(
        Type="instant",
        ClientToken="f",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateName": "fleet-0",
                    "Version": "$Latest",
                },
                "Overrides": overrides,
            }
        ],
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
        SpotOptions={"AllocationStrategy": "capacity-optimized-prioritized"},
    )
    assert (again["FleetId"], again["Instances"], again["Errors"]) == (first["FleetId"], [], [])
    (described,) = account.ec2.describe_fleets(FleetIds=[first["FleetId"]])["Fleets"]
    assert [i["InstanceIds"] for i in described["Instances"]] == [
        i["InstanceIds"] for i in first["Instances"]
    ]
    assert [e["ErrorCode"] for e in described["Errors"]] == [
        e["ErrorCode"] for e in first["Errors"]
    ]
    assert described["ClientToken"] == "f"
    assert len(account.world.instances) == 1


def test_start_needs_quota_as_a_launch_does(account: Account, refused: Callable[..., str]) -> None:
    """A stopped instance counts no vCPU; started again it may find none left."""
    instance_id = account.run()["InstanceId"]
    account.wait(seconds=60)
    account.ec2.stop_instances(InstanceIds=[instance_id])
    account.wait(seconds=60)
    account.world.set_class_quota_vcpu("on-demand", "Standard", 3)
    account.run()
    error = refused(account.ec2.start_instances, InstanceIds=[instance_id])
    assert error.startswith("VcpuLimitExceeded")
    account.world.set_class_quota_vcpu("on-demand", "Standard", 4)
    account.ec2.start_instances(InstanceIds=[instance_id])


def test_quotas_of_lifecycles_and_classes_are_apart(
    account: Account, refused: Callable[..., str]
) -> None:
    """A full spot quota of the standard families leaves on-demand and other classes alone."""
    account.world.set_class_quota_vcpu("spot", "Standard", 2)
    account.world.set_class_quota_vcpu("spot", "P", 0)
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    account.run(**spot)
    error = refused(account.run, **spot)
    assert error.startswith("MaxSpotInstanceCountExceeded")
    account.run()
