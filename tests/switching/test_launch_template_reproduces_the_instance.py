"""The template remembers all of a machine that is not of one instance, type or lifecycle."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.instance_record import user_data_hash
from spot_optimizer.switching.launch_template import (
    CannotReproduce,
    data_hash,
    template_data,
)
from spot_optimizer.switching.launch_traits import LaunchTraits, launch_traits
from spot_optimizer.switching.stored_digests import fingerprint
from tests.switching.aws_shapes import assert_accepted
from tests.switching.machines import (
    STACK,
    USER_DATA,
    device,
    instance,
    source,
    tag_list,
    volume,
)


def made(machine: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The template data of a machine."""
    arguments: dict[str, Any] = {
        "volumes": [volume()],
        "interface_tags": {"Net": "front"},
        "read": source(),
    }
    arguments |= changes
    return template_data(
        arguments["read"],
        machine or instance(),
        arguments["volumes"],
        stack=STACK,
        workload_id="web-1",
        interface_tags=arguments["interface_tags"],
        image_devices=frozenset(arguments.get("image_devices", ())),
    )


def test_everything_that_was_asked_for_is_kept() -> None:
    """Image, key, profile, user data, metadata, monitoring, disks, groups, address and DNS."""
    data = made()
    tags = data.pop("TagSpecifications")
    assert data == {
        "ImageId": "ami-00000001",
        "KeyName": "ops",
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/web"},
        "UserData": USER_DATA,
        "EbsOptimized": True,
        "Monitoring": {"Enabled": False},
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
        },
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "DeleteOnTermination": True,
                    "VolumeSize": 30,
                    "VolumeType": "gp3",
                    "Iops": 4000,
                    "Throughput": 250,
                    "Encrypted": True,
                    "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1",
                },
            }
        ],
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "Groups": ["sg-1", "sg-2"],
                "AssociatePublicIpAddress": True,
                "DeleteOnTermination": True,
            }
        ],
    }
    ours = {"spot-optimizer:managed": STACK, "spot-optimizer:workload": "web-1"}
    assert {t["ResourceType"]: {x["Key"]: x["Value"] for x in t["Tags"]} for t in tags} == {
        "instance": {"Name": "web", **ours},
        "volume": {"Backup": "daily", **ours},
        "network-interface": {"Net": "front", **ours},
    }


def test_ec2_takes_the_data_of_a_machine_with_every_option() -> None:
    """No field has a name or type that CreateLaunchTemplate does not know."""
    machine = instance(
        Placement={"AvailabilityZone": "us-east-1a", "Tenancy": "dedicated"},
        EnclaveOptions={"Enabled": True},
        Licenses=[{"LicenseConfigurationArn": "arn:aws:license-manager:x"}],
        MaintenanceOptions={"AutoRecovery": "disabled"},
        BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")],
    )
    machine["NetworkInterfaces"][0] |= {
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1", "IsPrimaryIpv6": True}],
        "ConnectionTrackingConfiguration": {"TcpEstablishedTimeout": 350},
    }
    data = made(machine, volumes=[volume(VolumeId="vol-a"), volume(VolumeId="vol-b")])
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    assert data["Placement"] == {"Tenancy": "dedicated"}
    assert data["EnclaveOptions"] == {"Enabled": True}
    assert data["MaintenanceOptions"] == {"AutoRecovery": "disabled"}
    assert data["LicenseSpecifications"] == [
        {"LicenseConfigurationArn": "arn:aws:license-manager:x"}
    ]
    assert data["NetworkInterfaces"][0]["Ipv6AddressCount"] == 1
    assert data["NetworkInterfaces"][0]["PrimaryIpv6"] is True


def test_nothing_that_one_type_zone_or_lifecycle_refuses_is_in_it() -> None:
    """Any candidate can be launched from the one template."""
    read = source(
        InstanceMarketOptions={"MarketType": "spot"},
        CreditSpecification={"CpuCredits": "standard"},
        CpuOptions={"CoreCount": 1, "ThreadsPerCore": 2},
        TagSpecifications=[{"ResourceType": "spot-instances-request", "Tags": []}],
    )
    data = made(read=read)
    text = json.dumps(data)
    for name in (
        "InstanceType", "InstanceMarketOptions", "CreditSpecification", "CpuOptions",
        "InstanceInitiatedShutdownBehavior", "CapacityReservationSpecification",
        "AvailabilityZone", "SubnetId", "PrivateIpAddress", "NetworkInterfaceId", "VolumeId",
        "spot-instances-request",
    ):  # fmt: skip
        assert f'"{name}"' not in text, name


def test_root_content_comes_from_the_image_and_other_volumes_from_their_snapshots() -> None:
    """EC2 refuses a snapshot for the root device; without one, another volume would be blank."""
    machine = instance(
        BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")]
    )
    data = made(machine, volumes=[volume(VolumeId="vol-a"), volume(VolumeId="vol-b")])
    root, other = (mapping["Ebs"] for mapping in data["BlockDeviceMappings"])
    assert "SnapshotId" not in root
    assert other["SnapshotId"] == "snap-of-the-image"


def test_volumes_of_the_image_that_were_removed_stay_away() -> None:
    """A launch adds the image's volumes to those that it names, unless it is told not to; the root,
    and what the machine still has, are not kept away."""
    machine = instance(
        BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")]
    )
    volumes = [volume(VolumeId="vol-a"), volume(VolumeId="vol-b")]
    of_image = {"/dev/xvda", "/dev/sdf", "/dev/sdh", "/dev/sdg"}
    data = made(machine, volumes=volumes, image_devices=of_image)
    assert data["BlockDeviceMappings"][2:] == [
        {"DeviceName": "/dev/sdg", "NoDevice": ""},
        {"DeviceName": "/dev/sdh", "NoDevice": ""},
    ]
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    rootless = made(instance(BlockDeviceMappings=[]), volumes=[], image_devices={"/dev/xvda"})
    assert rootless["BlockDeviceMappings"] == []


def test_speed_is_named_only_for_volume_types_that_take_it() -> None:
    """gp2 shows IOPS that a launch must not ask for; an open disk is not declared unencrypted."""
    plain = volume(VolumeType="gp2", Iops=100, Throughput=128, Encrypted=False)
    ebs = made(volumes=[plain])["BlockDeviceMappings"][0]["Ebs"]
    assert ebs == {"DeleteOnTermination": True, "VolumeSize": 30, "VolumeType": "gp2"}


def test_tags_of_aws_and_of_an_earlier_switch_are_not_copied() -> None:
    """EC2 refuses aws: keys, and the switch tag is of one launch; configuration stays."""
    machine = instance(
        tags={
            "aws:cloudformation:stack-name": "web",
            "spot-optimizer:switch": "old",
            "spot-optimizer:mode": "auto",
        }
    )
    tags = {t["Key"]: t["Value"] for t in made(machine)["TagSpecifications"][0]["Tags"]}
    assert tags == {
        "spot-optimizer:managed": STACK,
        "spot-optimizer:workload": "web-1",
        "spot-optimizer:mode": "auto",
    }


@pytest.mark.parametrize(("count", "fits"), [(47, True), (48, False)])
def test_room_is_left_for_our_three_tags(count: int, fits: bool) -> None:
    """50 tags are allowed; managed, workload and switch need three of them."""
    machine = instance(tags={f"k{n}": "v" for n in range(count)})
    if fits:
        made(machine)
    else:
        with pytest.raises(CannotReproduce, match="51 tags with ours, 50 are allowed"):
            made(machine)


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (source(DisableApiStop=True), "DisableApiStop"),
        (source(HibernationOptions={"Configured": True}), "HibernationOptions.Configured"),
        (source(SecondaryInterfaces=[{"DeviceIndex": 1}]), "SecondaryInterfaces.DeviceIndex"),
        (source(NetworkPerformanceOptions={"BandwidthWeighting": "vpc-1"}),
         "NetworkPerformanceOptions.BandwidthWeighting"),
        (source(Operator={"Managed": True, "Principal": "eks.amazonaws.com"}), "Operator.Managed"),
        (source(SomethingThatAwsAddsLater={"Enabled": True}), "SomethingThatAwsAddsLater.Enabled"),
        (source(SomethingThatAwsAddsLater=[{"Deep": {"Name": "x"}}]),
         "SomethingThatAwsAddsLater.Deep.Name"),
        (source(HibernationOptions={"Configured": False, "AddedLater": 5}),
         "HibernationOptions.AddedLater"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_name(read: dict[str, Any], named: str) -> None:
    """Nothing is silently lost, not even what AWS invents later."""
    with pytest.raises(CannotReproduce, match=f"^{named} is set"):
        made(read=read)


@pytest.mark.parametrize(
    "later",
    [
        {"Operator": {"Managed": False, "HiddenByDefault": True, "AddedLater": "somebody"}},
        {"HibernationOptions": {"Configured": False, "AddedLater": False}},
        {"NetworkPerformanceOptions": {"BandwidthWeighting": "default", "AddedLater": "default"}},
        {"AddedLater": {"Enabled": False, "Mode": "disabled", "Names": [], "Count": 0, "Id": ""}},
        {"AddedLater": [{"Mode": "none", "Inner": {"Preference": "no-preference"}}]},
        {"AddedLater": "off"},
        {"AddedLater": None},
    ],
    ids=str,
)
def test_what_nobody_uses_refuses_no_machine(later: dict[str, Any]) -> None:
    """What AWS spells out as unused, today or one day, changes nothing; a machine that is no
    service's is not judged by the other parts of its operator."""
    assert made(read=source(**later)) == made()


def test_parts_that_no_launch_takes_are_left_out() -> None:
    """A name that EC2 adds to its answers one day is not sent back to it."""
    machine = instance(
        PrivateDnsNameOptions={"HostnameType": "resource-name", "AddedLater": True},
        MetadataOptions={**instance()["MetadataOptions"], "AddedLater": "enabled"},
    )
    machine["NetworkInterfaces"][0]["ConnectionTrackingConfiguration"] = {
        "UdpTimeout": 30,
        "AddedLater": 1,
    }
    data = made(machine)
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    assert data["PrivateDnsNameOptions"] == {"HostnameType": "resource-name"}
    (interface,) = data["NetworkInterfaces"]
    assert interface["ConnectionTrackingSpecification"] == {"UdpTimeout": 30}


def test_of_a_metadata_endpoint_that_is_off_nothing_else_is_asked() -> None:
    """EC2 takes tokens and hops of an endpoint that answers only."""
    options = {**instance()["MetadataOptions"], "HttpEndpoint": "disabled"}
    assert made(instance(MetadataOptions=options))["MetadataOptions"] == {
        "HttpEndpoint": "disabled"
    }


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ([], "was not found"),
        ([volume(MultiAttachEnabled=True)], "shared"),
    ],
)
def test_volumes_that_cannot_be_remade_are_refused(
    volumes: list[dict[str, Any]], words: str
) -> None:
    """A shared or unseen volume is not guessed at."""
    with pytest.raises(CannotReproduce, match=words):
        made(volumes=volumes)


def test_volumes_with_different_tags_are_refused() -> None:
    """A launch tags all volumes alike, so one of them would lose its own."""
    machine = instance(BlockDeviceMappings=[device("/dev/xvda", "a"), device("/dev/sdf", "b")])
    volumes = [volume(VolumeId="a"), volume(VolumeId="b", tags={"Backup": "never"})]
    with pytest.raises(CannotReproduce, match="different tags"):
        made(machine, volumes=volumes)


def test_a_machine_without_a_public_address_declines_the_subnets_default() -> None:
    """A private machine stays private in a subnet that hands out public addresses."""
    machine = instance(PublicIpAddress=None)
    del machine["NetworkInterfaces"][0]["Association"]
    assert made(machine)["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False


CHANGES: list[dict[str, Any]] = [
    {"ImageId": "ami-2"},
    {"KeyName": "other"},
    {"IamInstanceProfile": {"Arn": "arn:other"}},
    {"Monitoring": {"State": "enabled"}},
    {"MetadataOptions": {"HttpTokens": "optional"}},
    {"EnclaveOptions": {"Enabled": True}},
    {"MaintenanceOptions": {"AutoRecovery": "disabled"}},
    {"PrivateDnsNameOptions": {"HostnameType": "resource-name"}},
    {"Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "dedicated"}},
    {"BlockDeviceMappings": []},
    {"Tags": tag_list({"Name": "web", "spot-optimizer:types": "m5*"})},
    {"NetworkInterfaces": [{"Attachment": {"DeviceIndex": 0}, "Groups": [{"GroupId": "sg-9"}]}]},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_the_fingerprint_changes_with_the_machine(change: dict[str, Any]) -> None:
    """What a user changes is seen by the next cycle."""
    assert fingerprint(instance(**change)) != fingerprint(instance())


@given(number=st.integers(2, 200), zone=st.sampled_from("abc"))
def test_a_faithful_replacement_has_the_same_fingerprint(number: int, zone: str) -> None:
    """Ids, type, zone, lifecycle, addresses, times and our tags are not the machine."""
    other = instance(
        number,
        tags={
            "Name": "web",
            "spot-optimizer:managed": STACK,
            "spot-optimizer:workload": "w",
            "spot-optimizer:switch": str(number),
            "aws:ec2:fleet-id": "fleet-1",
        },
        InstanceType="c6i.xlarge",
        InstanceLifecycle="spot",
        SpotInstanceRequestId="sir-1",
        CpuOptions={"CoreCount": 2, "ThreadsPerCore": 2},
        Placement={"AvailabilityZone": f"us-east-1{zone}", "Tenancy": "default"},
        CapacityReservationSpecification={},
        EbsOptimized=False,
    )
    other["NetworkInterfaces"][0]["Groups"].reverse()
    assert fingerprint(other) == fingerprint(instance())


def test_user_data_enters_the_hash_but_never_as_itself() -> None:
    """A change of user data is a new template version; its text is nowhere in the hash."""
    data = made()
    assert data_hash(data) != data_hash({**data, "UserData": "b3RoZXI="})
    assert data_hash(data) == data_hash({**data, "UserData": USER_DATA[:8] + "\n" + USER_DATA[8:]})
    assert len(data_hash(data)) == 16


def test_user_data_that_is_no_base64_is_hashed_as_it_is() -> None:
    """A malformed answer neither fails nor passes for empty."""
    assert user_data_hash("abc") not in ("", user_data_hash("abd"))
    assert user_data_hash(None) == ""


def test_a_detour_over_spot_and_fixed_types_loses_no_trait() -> None:
    """Credit mode, shutdown behaviour and reservation preference come back with the type."""
    home = instance(
        InstanceType="t3.large",
        CapacityReservationSpecification={"CapacityReservationPreference": "none"},
    )
    at_home = launch_traits(source(), home, "standard")
    assert at_home == LaunchTraits("standard", "stop", "none")
    abroad = instance(InstanceLifecycle="spot", InstanceType="m5.large")
    away = launch_traits(
        source(InstanceInitiatedShutdownBehavior="terminate"), abroad, None, at_home
    )
    assert away == at_home


@pytest.mark.parametrize(
    ("tags", "before", "found"),
    [
        ({"spot-optimizer:switch": "s", "aws:ec2:fleet-id": "fleet-1"}, "standard", "standard"),
        ({"spot-optimizer:switch": "s", "aws:ec2:fleet-id": "fleet-1"}, None, "unlimited"),
        ({"spot-optimizer:switch": "s"}, "standard", "unlimited"),
        ({"aws:ec2:fleet-id": "fleet-1"}, "standard", "unlimited"),
        ({}, "standard", "unlimited"),
    ],
    ids=["rescued", "rescued, never known", "switched", "of a user's fleet", "a user's own"],
)
def test_the_default_credit_mode_of_a_rescue_is_not_the_workloads(
    tags: dict[str, str], before: str | None, found: str
) -> None:
    """A fleet cannot be told the mode; only what its machine runs in by accident is not believed."""
    machine = instance(tags=tags, InstanceType="t3.large")
    assert launch_traits(source(), machine, "unlimited", LaunchTraits(before)).cpu_credits == found


def test_what_a_machine_does_not_have_is_not_given_to_it() -> None:
    """No instance profile, a disk that is encrypted with the account's default key."""
    bare = instance()
    del bare["IamInstanceProfile"]
    keyless = volume()
    del keyless["KmsKeyId"]
    data = made(bare, volumes=[keyless])
    assert "IamInstanceProfile" not in data
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert "KmsKeyId" not in disk["Ebs"]
