"""GetLaunchTemplateData keeps what must survive a switch, and names what cannot be launched twice."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from simulator.world import DataVolume
from tests.simulator.world.conftest import Account

SPOT = {"MarketType": "spot"}
UNUSED = {
    "Operator": {"Managed": False, "HiddenByDefault": False},
    "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
    "HibernationOptions": {"Configured": False},
    "EnclaveOptions": {"Enabled": False},
    "MaintenanceOptions": {"AutoRecovery": "default"},
    "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
    "ElasticGpuSpecifications": [],
    "ElasticInferenceAccelerators": [],
    "LicenseSpecifications": [],
    "SecondaryInterfaces": [],
}
"""What EC2 says of options that an ordinary instance does not use."""


def adopted(account: Account, **params: Any) -> str:
    """An instance with everything that must be kept."""
    return account.world.launch_instance(
        "t3.micro",
        "us-east-1b",
        lifecycle="on-demand",
        tags={"Name": "web"},
        user_data=b"#!/bin/sh\necho hello\n",
        volumes=[DataVolume("/dev/sdf", 20, iops=4000, throughput_mib_per_s=500)],
        CreditSpecification={"CpuCredits": "standard"},
        Monitoring={"Enabled": True},
        **params,
    )


def test_unused_options_are_spelled_out(account: Account) -> None:
    """They are in the answer, and in that of DescribeInstances as far as it has them."""
    instance_id = adopted(account)
    data = account.ec2.get_launch_template_data(InstanceId=instance_id)["LaunchTemplateData"]
    assert {name: data[name] for name in UNUSED} == UNUSED
    assert data["MetadataOptions"]["State"] == "applied"
    row = account.describe(instance_id)
    assert row["Operator"] == UNUSED["Operator"]
    assert row["NetworkPerformanceOptions"] == UNUSED["NetworkPerformanceOptions"]
    assert row["MaintenanceOptions"] == {"AutoRecovery": "default", "RebootMigration": "default"}


def test_license_configurations_are_kept_and_checked(
    account: Account, refused: Callable[..., str]
) -> None:
    """They come back by the same name; what is no license configuration launches nothing."""
    arn = "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-1"
    named = [{"LicenseConfigurationArn": arn}]
    instance_id = adopted(account, LicenseSpecifications=named)
    data = account.ec2.get_launch_template_data(InstanceId=instance_id)["LaunchTemplateData"]
    assert data["LicenseSpecifications"] == named
    assert account.describe(instance_id)["Licenses"] == named
    error = refused(
        account.ec2.run_instances,
        ImageId=data["ImageId"],
        InstanceType="m5.large",
        LicenseSpecifications=[{"LicenseConfigurationArn": "lic-1"}],
        MinCount=1,
        MaxCount=1,
    )
    assert error.startswith("InvalidParameterValue")


def test_template_data_keeps_everything_that_must_be_kept(account: Account) -> None:
    """User data, groups, devices, metadata options, profile, credit, monitoring, placement."""
    group = account.world.add_security_group("web")
    instance_id = adopted(account, SecurityGroupIds=[group])
    data = account.ec2.get_launch_template_data(InstanceId=instance_id)["LaunchTemplateData"]
    assert base64.b64decode(data["UserData"]) == b"#!/bin/sh\necho hello\n"
    (interface,) = data["NetworkInterfaces"]
    assert interface["Groups"] == [group]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["IamInstanceProfile"]["Arn"].endswith(":instance-profile/workload")
    assert data["CreditSpecification"] == {"CpuCredits": "standard"}
    assert data["Monitoring"] == {"Enabled": True}
    assert data["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert data["KeyName"] == "team-key"
    assert data["TagSpecifications"][0]["Tags"] == [{"Key": "Name", "Value": "web"}]
    root, extra = data["BlockDeviceMappings"]
    assert (root["DeviceName"], extra["DeviceName"]) == ("/dev/xvda", "/dev/sdf")
    assert (extra["Ebs"]["Iops"], extra["Ebs"]["Throughput"]) == (4000, 500)
    assert extra["Ebs"]["DeleteOnTermination"] is False
    assert "InstanceMarketOptions" not in data


def test_spot_instance_carries_its_market_options(account: Account) -> None:
    """They must be removed before an on-demand launch or a fleet."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    data = account.ec2.get_launch_template_data(InstanceId=instance_id)["LaunchTemplateData"]
    assert data["InstanceMarketOptions"]["SpotOptions"]["SpotInstanceType"] == "one-time"


def test_data_launches_a_twin_only_when_stripped(
    account: Account, refused: Callable[..., str]
) -> None:
    """The interface and its address exist once: without them, zone and subnet it fits elsewhere."""
    instance_id = adopted(account)
    data = account.ec2.get_launch_template_data(InstanceId=instance_id)["LaunchTemplateData"]
    with pytest.raises(ParamValidationError, match=r"(?s)Operator.*State"):
        account.ec2.create_launch_template(LaunchTemplateName="raw", LaunchTemplateData=data)
    data = {name: value for name, value in data.items() if name not in UNUSED}
    del data["MetadataOptions"]["State"]
    account.ec2.create_launch_template(LaunchTemplateName="raw", LaunchTemplateData=data)
    counts = {"MinCount": 1, "MaxCount": 1}
    error = refused(
        account.ec2.run_instances, LaunchTemplate={"LaunchTemplateName": "raw"}, **counts
    )
    assert error.startswith("InvalidParameterCombination")
    (interface,) = data["NetworkInterfaces"]
    data["NetworkInterfaces"] = [{"DeviceIndex": 0, "Groups": interface["Groups"]}]
    del data["Placement"]["AvailabilityZone"]
    account.ec2.create_launch_template_version(
        LaunchTemplateName="raw", LaunchTemplateData=data, SourceVersion="1"
    )
    twin = account.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "raw", "Version": "$Latest"},
        Placement={"AvailabilityZone": "us-east-1a"},
        InstanceMarketOptions=SPOT,
        **counts,
    )["Instances"][0]
    account.wait(minutes=5)
    copied = account.ec2.get_launch_template_data(InstanceId=twin["InstanceId"])
    copied = copied["LaunchTemplateData"]
    del copied["MetadataOptions"]["State"]
    for name in ("UserData", "MetadataOptions", "BlockDeviceMappings", "CreditSpecification"):
        assert copied[name] == data[name], name
    assert copied["Placement"]["AvailabilityZone"] == "us-east-1a"


def test_versions_are_numbered_and_the_default_cannot_be_deleted(
    account: Account, refused: Callable[..., str]
) -> None:
    """$Default stays at 1 until it is set; deleting it is reported, deleting another works."""
    ec2 = account.ec2
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"KeyName": "a"})
    named = {"LaunchTemplateName": "web"}
    for key in ("b", "c"):
        ec2.create_launch_template_version(**named, LaunchTemplateData={"KeyName": key})
    found = ec2.describe_launch_template_versions(**named, Versions=["$Latest", "$Default"])
    keys = [row["LaunchTemplateData"]["KeyName"] for row in found["LaunchTemplateVersions"]]
    assert keys == ["c", "a"]
    ec2.modify_launch_template(**named, DefaultVersion="2")
    reply = ec2.delete_launch_template_versions(**named, Versions=["1", "2"])
    (gone,) = reply["SuccessfullyDeletedLaunchTemplateVersions"]
    (kept,) = reply["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert (gone["VersionNumber"], kept["VersionNumber"]) == (1, 2)
    error = refused(ec2.create_launch_template, **named, LaunchTemplateData={"KeyName": "a"})
    assert error.startswith("InvalidLaunchTemplateName.AlreadyExistsException")
    error = refused(ec2.describe_launch_template_versions, **named, Versions=["9"])
    assert error.startswith("InvalidLaunchTemplateId.VersionNotFound")
    ec2.delete_launch_template(**named)
    error = refused(ec2.describe_launch_templates, LaunchTemplateNames=["web"])
    assert error.startswith("InvalidLaunchTemplateName.NotFoundException")


def test_instance_launched_with_an_age_keeps_its_launch_time(account: Account) -> None:
    """An instance launched with an age reports it, and so do its checks."""
    instance_id = adopted(account, DisableApiTermination=True)
    assert account.describe(instance_id)["LaunchTime"] == account.now - timedelta(days=30)
    reply = account.ec2.describe_instance_attribute(
        InstanceId=instance_id, Attribute="disableApiTermination"
    )
    assert reply["DisableApiTermination"]["Value"] is True
