"""The template has everything of an instance that is not specific to it, its type or its lifecycle."""

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
from tests.switching.described_instances import (
    STACK,
    USER_DATA,
    device,
    instance,
    source,
    tag_list,
    volume,
)


def made(row: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The template data of an instance."""
    arguments: dict[str, Any] = {
        "volumes": [volume()],
        "interface_tags": {"Net": "front"},
        "read": source(),
    }
    arguments |= changes
    return template_data(
        arguments["read"],
        row or instance(),
        arguments["volumes"],
        stack=STACK,
        workload_id="web-1",
        interface_tags=arguments["interface_tags"],
        image_devices=frozenset(arguments.get("image_devices", ())),
    )


def test_template_has_every_option_of_the_instance() -> None:
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


def test_template_with_every_option_is_accepted_by_botocore() -> None:
    """Its names and types are those of CreateLaunchTemplate."""
    row = instance(
        Placement={"AvailabilityZone": "us-east-1a", "Tenancy": "dedicated"},
        EnclaveOptions={"Enabled": True},
        Licenses=[{"LicenseConfigurationArn": "arn:aws:license-manager:x"}],
        MaintenanceOptions={"AutoRecovery": "disabled"},
        BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")],
    )
    row["NetworkInterfaces"][0] |= {
        "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1", "IsPrimaryIpv6": True}],
        "ConnectionTrackingConfiguration": {"TcpEstablishedTimeout": 350},
    }
    data = made(row, volumes=[volume(VolumeId="vol-a"), volume(VolumeId="vol-b")])
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    assert data["Placement"] == {"Tenancy": "dedicated"}
    assert data["EnclaveOptions"] == {"Enabled": True}
    assert data["MaintenanceOptions"] == {"AutoRecovery": "disabled"}
    assert data["LicenseSpecifications"] == [
        {"LicenseConfigurationArn": "arn:aws:license-manager:x"}
    ]
    assert data["NetworkInterfaces"][0]["Ipv6AddressCount"] == 1
    assert data["NetworkInterfaces"][0]["PrimaryIpv6"] is True


def test_template_has_nothing_that_a_type_zone_or_lifecycle_refuses() -> None:
    """Every candidate can be launched from the one template."""
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


def test_template_has_snapshots_for_all_volumes_but_the_root() -> None:
    """EC2 refuses a snapshot for the root device; any other volume would be blank without one."""
    row = instance(BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")])
    data = made(row, volumes=[volume(VolumeId="vol-a"), volume(VolumeId="vol-b")])
    root, other = (mapping["Ebs"] for mapping in data["BlockDeviceMappings"])
    assert "SnapshotId" not in root
    assert other["SnapshotId"] == "snap-of-the-image"


def test_template_suppresses_volumes_of_the_image_that_were_removed() -> None:
    """A launch would add the image's volumes; the root and the volumes that the instance still has are
    not suppressed."""
    row = instance(BlockDeviceMappings=[device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")])
    volumes = [volume(VolumeId="vol-a"), volume(VolumeId="vol-b")]
    of_image = {"/dev/xvda", "/dev/sdf", "/dev/sdh", "/dev/sdg"}
    data = made(row, volumes=volumes, image_devices=of_image)
    assert data["BlockDeviceMappings"][2:] == [
        {"DeviceName": "/dev/sdg", "NoDevice": ""},
        {"DeviceName": "/dev/sdh", "NoDevice": ""},
    ]
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    rootless = made(instance(BlockDeviceMappings=[]), volumes=[], image_devices={"/dev/xvda"})
    assert rootless["BlockDeviceMappings"] == []


def test_template_has_iops_and_throughput_only_for_volume_types_that_take_them() -> None:
    """gp2 shows IOPS that a launch must not name; an unencrypted volume is not named unencrypted."""
    plain = volume(VolumeType="gp2", Iops=100, Throughput=128, Encrypted=False)
    ebs = made(volumes=[plain])["BlockDeviceMappings"][0]["Ebs"]
    assert ebs == {"DeleteOnTermination": True, "VolumeSize": 30, "VolumeType": "gp2"}


def test_template_has_no_tags_of_aws_or_of_an_earlier_switch() -> None:
    """EC2 refuses aws: keys, and the switch tag belongs to one launch; configuration tags stay."""
    row = instance(
        tags={
            "aws:cloudformation:stack-name": "web",
            "spot-optimizer:switch": "old",
            "spot-optimizer:mode": "auto",
        }
    )
    tags = {t["Key"]: t["Value"] for t in made(row)["TagSpecifications"][0]["Tags"]}
    assert tags == {
        "spot-optimizer:managed": STACK,
        "spot-optimizer:workload": "web-1",
        "spot-optimizer:mode": "auto",
    }


@pytest.mark.parametrize(("count", "fits"), [(47, True), (48, False)])
def test_template_leaves_room_for_our_three_tags(count: int, fits: bool) -> None:
    """50 tags are allowed; managed, workload and switch need three of them."""
    row = instance(tags={f"k{n}": "v" for n in range(count)})
    if fits:
        made(row)
    else:
        with pytest.raises(CannotReproduce, match="51 tags with ours, 50 are allowed"):
            made(row)


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
def test_option_that_cannot_be_reproduced_is_refused_by_name(
    read: dict[str, Any], named: str
) -> None:
    """Nothing is lost silently, not even an option that AWS adds later."""
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
def test_unused_option_refuses_no_instance(later: dict[str, Any]) -> None:
    """An option that AWS returns as unused, now or later, changes nothing; if no service manages the
    instance, the other parts of its operator do not matter."""
    assert made(read=source(**later)) == made()


def test_template_has_no_parts_that_a_launch_does_not_take() -> None:
    """A name that EC2 adds to its responses later is not sent back."""
    row = instance(
        PrivateDnsNameOptions={"HostnameType": "resource-name", "AddedLater": True},
        MetadataOptions={**instance()["MetadataOptions"], "AddedLater": "enabled"},
    )
    row["NetworkInterfaces"][0]["ConnectionTrackingConfiguration"] = {
        "UdpTimeout": 30,
        "AddedLater": 1,
    }
    data = made(row)
    assert_accepted("CreateLaunchTemplate", {"LaunchTemplateName": "x", "LaunchTemplateData": data})
    assert data["PrivateDnsNameOptions"] == {"HostnameType": "resource-name"}
    (interface,) = data["NetworkInterfaces"]
    assert interface["ConnectionTrackingSpecification"] == {"UdpTimeout": 30}


def test_template_has_no_options_of_a_disabled_metadata_endpoint() -> None:
    """EC2 accepts tokens and hops only with an enabled endpoint."""
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
def test_volume_that_cannot_be_reproduced_is_refused(
    volumes: list[dict[str, Any]], words: str
) -> None:
    """A shared volume or one that EC2 does not show."""
    with pytest.raises(CannotReproduce, match=words):
        made(volumes=volumes)


def test_volumes_with_different_tags_are_refused() -> None:
    """A launch tags all volumes alike, so one of them would lose its tags."""
    row = instance(BlockDeviceMappings=[device("/dev/xvda", "a"), device("/dev/sdf", "b")])
    volumes = [volume(VolumeId="a"), volume(VolumeId="b", tags={"Backup": "never"})]
    with pytest.raises(CannotReproduce, match="different tags"):
        made(row, volumes=volumes)


def test_template_of_a_private_instance_declines_a_public_address() -> None:
    """A private instance stays private in a subnet that assigns public addresses."""
    row = instance(PublicIpAddress=None)
    del row["NetworkInterfaces"][0]["Association"]
    assert made(row)["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False


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
def test_fingerprint_changes_with_the_instance(change: dict[str, Any]) -> None:
    """The next cycle sees what a user changes."""
    assert fingerprint(instance(**change)) != fingerprint(instance())


@given(number=st.integers(2, 200), zone=st.sampled_from("abc"))
def test_fingerprint_of_a_replacement_is_its_originals(number: int, zone: str) -> None:
    """Ids, type, zone, lifecycle, addresses, times and our tags do not enter it."""
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


def test_data_hash_changes_with_the_user_data() -> None:
    """Changed user data is a new template version; line breaks in its base64 are not."""
    data = made()
    assert data_hash(data) != data_hash({**data, "UserData": "b3RoZXI="})
    assert data_hash(data) == data_hash({**data, "UserData": USER_DATA[:8] + "\n" + USER_DATA[8:]})
    assert len(data_hash(data)) == 16


def test_user_data_that_is_not_base64_is_hashed_as_it_is() -> None:
    """A malformed response neither fails nor counts as empty."""
    assert user_data_hash("abc") not in ("", user_data_hash("abd"))
    assert user_data_hash(None) == ""


def test_traits_survive_spot_and_types_without_credits() -> None:
    """Credit mode, shutdown behavior and reservation preference return with the type."""
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
    ids=[
        "failed over",
        "failed over, never known",
        "switched",
        "of a user's fleet",
        "a user's own",
    ],
)
def test_default_credit_mode_of_a_failover_is_not_the_workloads(
    tags: dict[str, str], before: str | None, found: str
) -> None:
    """A fleet cannot set the mode; only the mode of an instance that it launched for us is ignored."""
    row = instance(tags=tags, InstanceType="t3.large")
    assert launch_traits(source(), row, "unlimited", LaunchTraits(before)).cpu_credits == found


def test_template_has_nothing_that_the_instance_does_not_have() -> None:
    """No instance profile, and a volume that is encrypted with the account's default key."""
    bare = instance()
    del bare["IamInstanceProfile"]
    keyless = volume()
    del keyless["KmsKeyId"]
    data = made(bare, volumes=[keyless])
    assert "IamInstanceProfile" not in data
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert "KmsKeyId" not in disk["Ebs"]
