"""The comparison names everything that a replacement lost, and nothing else."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.comparison import (
    DescribedInstance,
    Expected,
    described_instance,
    differences,
)
from spot_optimizer.switching.instance_identity import identity_digest
from spot_optimizer.switching.instance_state import state_digest
from spot_optimizer.switching.stored_digests import details_digest, instance_digest
from spot_optimizer.vocabulary import Lifecycle
from tests.switching.described_instances import device, instance, tag_list, volume

EXPECTED = Expected("c6i.xlarge", "us-east-1b", Lifecycle.SPOT, cpu_credits="standard")


def described(row: dict[str, Any], *volumes: dict[str, Any], **changes: Any) -> DescribedInstance:
    """An instance with known user data."""
    return described_instance(row, volumes, **{"user_data_hash": "h1", **changes})


def original() -> DescribedInstance:
    """The instance that the switch leaves."""
    return described(instance(), volume(), shutdown_behavior="stop", termination_protection=False)


def twin(**changes: Any) -> dict[str, Any]:
    """A replacement that equals the original, in the expected place."""
    return instance(
        2,
        tags={
            "Name": "web",
            "spot-optimizer:managed": "optimizer",
            "spot-optimizer:workload": "w",
            "spot-optimizer:switch": "s",
            "aws:ec2:fleet-id": "fleet-1",
        },
        **{
            "InstanceType": "c6i.xlarge",
            "InstanceLifecycle": "spot",
            "Placement": {"AvailabilityZone": "us-east-1b", "Tenancy": "default"},
            **changes,
        },
    )


def fields(replacement: DescribedInstance, expected: Expected = EXPECTED) -> list[str]:
    """Names of the unexplained differences from the original."""
    found = differences(original(), replacement, expected)
    return [each.field for each in found if not each.explanation]


def test_replacement_that_equals_the_original_has_no_difference() -> None:
    """Its ids, addresses, AWS's tags and ours do not count, nor does the shutdown behavior of spot."""
    assert fields(described(twin(), volume(2), shutdown_behavior="terminate")) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"InstanceType": "c6i.large"}, "instance type"),
        ({"Placement": {"AvailabilityZone": "us-east-1c"}}, "availability zone"),
        ({"InstanceLifecycle": None}, "lifecycle"),
        ({"ImageId": "ami-2"}, "image"),
        ({"KeyName": None}, "key"),
        ({"IamInstanceProfile": None}, "instance profile"),
        ({"MetadataOptions": {"HttpTokens": "optional"}}, "metadata options"),
        ({"Monitoring": {"State": "enabled"}}, "detailed monitoring"),
        ({"VpcId": "vpc-2"}, "VPC"),
        ({"EnclaveOptions": {"Enabled": True}}, "enclave"),
        ({"MaintenanceOptions": {"AutoRecovery": "disabled"}}, "automatic recovery"),
        ({"EbsOptimized": False}, "EBS optimization"),
        ({"Tags": []}, "tag Name"),
        ({"Tags": tag_list({"Name": "shop"})}, "tag Name"),
        ({"BlockDeviceMappings": []}, "device /dev/xvda"),
    ],
)
def test_comparison_names_each_loss_of_the_instance(change: dict[str, Any], field: str) -> None:
    """One changed property is one difference, with its name."""
    assert fields(described(twin(**change), volume(2))) == [field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Groups": [{"GroupId": "sg-1"}]}, "security groups"),
        ({"SourceDestCheck": False}, "source/destination check"),
        ({"Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}, "IPv6 addresses"),
        ({"ConnectionTrackingConfiguration": {"UdpTimeout": 30}}, "connection tracking"),
    ],
)
def test_comparison_names_each_loss_of_the_interface(change: dict[str, Any], field: str) -> None:
    """The network interface is part of the instance."""
    row = twin()
    row["NetworkInterfaces"][0] |= change
    assert fields(described(row, volume(2))) == [field]


def test_comparison_ignores_the_options_of_a_disabled_metadata_endpoint() -> None:
    """The launch did not set its tokens and hops; an enabled endpoint is a difference."""
    options = {**instance()["MetadataOptions"], "HttpEndpoint": "disabled"}
    was = described(instance(MetadataOptions=options), volume())
    off = twin(MetadataOptions={**options, "HttpTokens": "optional", "HttpPutResponseHopLimit": 1})
    assert differences(was, described(off, volume(2)), EXPECTED) == []
    (difference,) = differences(was, described(twin(), volume(2)), EXPECTED)
    assert difference.field == "metadata options"


def test_comparison_names_a_public_address_that_was_lost() -> None:
    """A public instance stays reachable."""
    row = twin(PublicIpAddress=None)
    del row["NetworkInterfaces"][0]["Association"]
    assert fields(described(row, volume(2))) == ["public address"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Size": 8}, "size"),
        ({"VolumeType": "gp2"}, "type"),
        ({"Iops": 3000}, "IOPS"),
        ({"Throughput": 125}, "throughput"),
        ({"KmsKeyId": "arn:other"}, "KMS key"),
        ({"Tags": []}, "tag Backup"),
        ({"Tags": tag_list({"Backup": "never"})}, "tag Backup"),
    ],
)
def test_comparison_names_each_loss_of_a_volume(change: dict[str, Any], field: str) -> None:
    """A slower, smaller or differently encrypted volume is a loss."""
    assert fields(described(twin(), {**volume(2), **change})) == [f"device /dev/xvda {field}"]


def test_comparison_names_a_volume_that_would_outlive_its_instance() -> None:
    """Otherwise every switch would leave a volume behind."""
    row = twin(BlockDeviceMappings=[device("/dev/xvda", volume(2)["VolumeId"], delete=False)])
    assert fields(described(row, volume(2))) == ["device /dev/xvda deleted on termination"]


def test_comparison_names_lost_encryption_and_accepts_new_encryption() -> None:
    """The account may now encrypt by default; the reverse is a loss."""
    open_disk = volume(2, Encrypted=False, KmsKeyId=None)
    assert "device /dev/xvda encrypted" in fields(described(twin(), open_disk))
    was = described(instance(), volume(1, Encrypted=False, KmsKeyId=None))
    assert differences(was, described(twin(), volume(2)), EXPECTED) == []


def test_comparison_shows_only_hashes_of_user_data() -> None:
    """A difference never shows the text."""
    (difference,) = differences(
        original(), described(twin(), volume(2), user_data_hash="h2"), EXPECTED
    )
    assert difference.field == "user data"
    assert (difference.original, difference.replacement) == ("h1", "h2")


def test_comparison_accepts_a_type_that_is_always_ebs_optimized() -> None:
    """EBS optimization that the original does not have is no loss."""
    was = described(instance(EbsOptimized=False), volume())
    for now in (True, False):
        assert differences(was, described(twin(EbsOptimized=now), volume(2)), EXPECTED) == []


@pytest.mark.parametrize(
    ("instance_type", "cpu_credits", "found"),
    [
        ("t3.large", "unlimited", ["CPU credits"]),
        ("t3.large", "standard", []),
        ("m5.large", None, []),
    ],
)
def test_comparison_requires_the_workloads_credit_mode_on_burstable_types(
    instance_type: str, cpu_credits: str | None, found: list[str]
) -> None:
    """A T type gets the workload's mode; other types have none."""
    expected = Expected(instance_type, "us-east-1b", Lifecycle.SPOT, cpu_credits="standard")
    row = described(twin(InstanceType=instance_type), volume(2), cpu_credits=cpu_credits)
    assert fields(row, expected) == found


def test_comparison_of_on_demand_instances_includes_shutdown_and_protection() -> None:
    """If both can have them, they must be equal."""
    on_demand = Expected("c6i.xlarge", "us-east-1b", Lifecycle.ON_DEMAND)
    replacement = described(
        twin(InstanceLifecycle=None),
        volume(2),
        shutdown_behavior="terminate",
        termination_protection=True,
    )
    assert fields(replacement, on_demand) == ["shutdown behavior", "termination protection"]


def test_instance_that_ec2_is_setting_up_is_pending() -> None:
    """An attaching volume, an invisible one and metadata options that are not applied yet."""
    row = twin(MetadataOptions={**instance()["MetadataOptions"], "State": "pending"})
    row["BlockDeviceMappings"][0]["Ebs"]["Status"] = "attaching"
    row["BlockDeviceMappings"].append(device("/dev/sdf", "vol-unseen"))
    pending = described(row, volume(2)).pending
    assert pending == ("device /dev/xvda", "device /dev/sdf", "metadata options")
    assert described(twin(), volume(2)).pending == ()


AS_READ = replace(EXPECTED, original_as_read=True)


def tagged_by_tools() -> DescribedInstance:
    """A replacement that a tool has tagged within seconds, with its volume."""
    written = {"Owner": "ann", "CreatedAt": "today"}
    row = twin(Tags=tag_list({"Name": "web", **written}))
    return described(row, volume(2, tags={"Backup": "daily", **written}))


@pytest.mark.parametrize("expected", [EXPECTED, AS_READ])
def test_tags_that_tools_add_are_reported_and_accepted(expected: Expected) -> None:
    """Additional tags, on instance and volumes, are in the findings and undo nothing."""
    found = differences(original(), tagged_by_tools(), expected)
    assert [str(each) for each in found] == [
        "tag CreatedAt: None became today (not on the original)",
        "tag Owner: None became ann (not on the original)",
        "device /dev/xvda tag CreatedAt: None became today (not on the original)",
        "device /dev/xvda tag Owner: None became ann (not on the original)",
    ]


def test_tag_that_was_changed_after_the_launch_is_reported_and_accepted() -> None:
    """If the template asked for the original's value, somebody changed it after the launch."""
    row = described(twin(Tags=tag_list({"Name": "shop"})), volume(2, tags={"Backup": "never"}))
    assert fields(row, AS_READ) == []
    texts = [str(each) for each in differences(original(), row, AS_READ)]
    assert texts == [
        "tag Name: web became shop (changed after the launch)",
        "device /dev/xvda tag Backup: daily became never (changed after the launch)",
    ]


def test_missing_tag_is_a_loss_even_if_the_original_is_as_read() -> None:
    """The template asked for the tag and the replacement lacks it."""
    bare = described(twin(Tags=[]), volume(2, Tags=[]))
    assert fields(bare, AS_READ) == ["tag Name", "device /dev/xvda tag Backup"]


def test_smaller_volume_is_a_loss_even_if_the_original_is_as_read() -> None:
    """Only tags are accepted as changed after the launch."""
    assert fields(described(twin(), volume(2, Size=8)), AS_READ) == ["device /dev/xvda size"]


def identity_and_state(described: DescribedInstance) -> tuple[str, str]:
    """The two digests of an instance."""
    return identity_digest(described.identity), state_digest(described.state)


def whole(described: DescribedInstance) -> str:
    """The digest that an order's launch template has."""
    return instance_digest(described.identity, described.state)


def details(described: DescribedInstance) -> str:
    """The digest that a plan has of volumes and credit mode."""
    return details_digest(described.identity, described.state)


def test_digests_of_a_replacement_are_its_originals() -> None:
    """Id, type, zone, lifecycle and our tags do not enter a digest."""
    replacement, left = described(twin(), volume(2)), described(instance(), volume())
    assert whole(replacement) == whole(original())
    assert len(whole(original())) == 16
    assert identity_and_state(replacement) == identity_and_state(left)
    assert {len(each) for each in identity_and_state(left)} == {16}


ADDRESSED = instance()
ADDRESSED["NetworkInterfaces"][0]["Ipv6Addresses"] = [{"Ipv6Address": "2001:db8::1"}]


@pytest.mark.parametrize(
    ("row", "disk", "more", "changed"),
    [
        (instance(KeyName="other"), volume(), {}, "identity"),
        (instance(tags={"Name": "shop"}), volume(), {}, "identity"),
        (instance(EbsOptimized=False), volume(), {}, "identity"),
        (instance(), volume(), {"user_data_hash": "h2"}, "identity"),
        (instance(InstanceType="t3.large"), volume(), {"cpu_credits": "standard"}, "identity"),
        (instance(), volume(Size=31), {}, "state"),
        (instance(), volume(tags={"Backup": "never"}), {}, "state"),
        (instance(BlockDeviceMappings=[]), volume(), {}, "state"),
        (ADDRESSED, volume(), {}, "state"),
    ],
    ids=["key", "tag", "EBS optimization", "user data", "credits",
         "size", "volume tag", "no volume", "IPv6 address"],
)  # fmt: skip
def test_changed_property_changes_the_digest_of_identity_or_of_state(
    row: dict[str, Any], disk: dict[str, Any], more: dict[str, Any], changed: str
) -> None:
    """A changed instance is recognized, and which of the two changed: never both by one property."""
    before, now = described(instance(), volume()), described(row, disk, **more)
    assert whole(now) != whole(before)
    assert (now.identity == before.identity) is (changed == "state")
    assert (now.state == before.state) is (changed == "identity")
    digests = zip(identity_and_state(before), identity_and_state(now), strict=True)
    assert [was == new for was, new in digests] == [changed == "state", changed == "identity"]


@pytest.mark.parametrize(
    "change",
    [
        {"Size": 31},
        {"VolumeType": "gp2"},
        {"Iops": 5000},
        {"Throughput": 300},
        {"Tags": tag_list({"Backup": "never"})},
    ],
    ids=str,
)
def test_changed_volume_changes_the_details(change: dict[str, Any]) -> None:
    """DescribeVolumes shows that an instance must be read again."""
    assert details(described(instance(), volume(**change))) != details(original())
    assert details(described(instance(KeyName="other"), volume())) == details(original())


def test_changed_credit_mode_changes_the_details() -> None:
    """The mode counts only if the type has one."""
    small = instance(InstanceType="t3.large")
    one, other = (
        described(small, volume(), cpu_credits=mode) for mode in ("standard", "unlimited")
    )
    assert details(one) != details(other)


@given(st.data())
def test_differences_with_itself_are_none_and_in_reverse_the_mirror_image(
    data: st.DataObject,
) -> None:
    """The comparison is symmetrical: no loss depends on its direction."""

    def drawn() -> DescribedInstance:
        row = deepcopy(instance())
        row["Tags"] = tag_list(
            data.draw(st.dictionaries(st.sampled_from(["a", "b", "aws:c"]), st.text(max_size=2)))
        )
        row["KeyName"] = data.draw(st.sampled_from([None, "ops"]))
        disk = volume(Size=data.draw(st.integers(1, 3)), Iops=data.draw(st.integers(1, 3)))
        return described(row, disk)

    one, other = drawn(), drawn()
    here = Expected("m5.large", "us-east-1a", Lifecycle.ON_DEMAND)
    assert differences(one, one, here) == []
    forth, back = differences(one, other, here), differences(other, one, here)
    assert [(d.field, d.original, d.replacement) for d in forth] == [
        (d.field, d.replacement, d.original) for d in back
    ]
