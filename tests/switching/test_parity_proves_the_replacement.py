"""A replacement that lost something is told from one that did not."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.parity import (
    Expected,
    InstanceFacts,
    details_digest,
    differences,
    identity_digest,
    instance_facts,
)
from spot_optimizer.vocabulary import Lifecycle
from tests.switching.machines import device, instance, tag_list, volume

EXPECTED = Expected("c6i.xlarge", "us-east-1b", Lifecycle.SPOT, cpu_credits="standard")


def facts(machine: dict[str, Any], *volumes: dict[str, Any], **changes: Any) -> InstanceFacts:
    """The facts of a machine with known user data."""
    return instance_facts(machine, volumes, **{"user_data_hash": "h1", **changes})


def original() -> InstanceFacts:
    """The machine that is left."""
    return facts(instance(), volume(), shutdown_behavior="stop", termination_protection=False)


def twin(**changes: Any) -> dict[str, Any]:
    """A faithful replacement in the expected place."""
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


def fields(replacement: InstanceFacts, expected: Expected = EXPECTED) -> list[str]:
    """Names of the unexplained differences from the original."""
    found = differences(original(), replacement, expected)
    return [each.field for each in found if not each.explanation]


def test_a_faithful_replacement_has_no_difference() -> None:
    """Its ids, addresses, AWS's tags and ours do not count; a spot's shutdown is explained."""
    assert fields(facts(twin(), volume(2), shutdown_behavior="terminate")) == []


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
        ({"EbsOptimized": False}, "EBS optimisation"),
        ({"Tags": []}, "tag Name"),
        ({"Tags": tag_list({"Name": "shop"})}, "tag Name"),
        ({"BlockDeviceMappings": []}, "device /dev/xvda"),
    ],
)
def test_each_loss_of_the_machine_is_named(change: dict[str, Any], field: str) -> None:
    """One changed fact is one difference, with its name."""
    assert fields(facts(twin(**change), volume(2))) == [field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Groups": [{"GroupId": "sg-1"}]}, "security groups"),
        ({"SourceDestCheck": False}, "source/destination check"),
        ({"Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}]}, "IPv6 addresses"),
        ({"ConnectionTrackingConfiguration": {"UdpTimeout": 30}}, "connection tracking"),
    ],
)
def test_each_loss_of_the_interface_is_named(change: dict[str, Any], field: str) -> None:
    """The network face of the machine is part of it."""
    machine = twin()
    machine["NetworkInterfaces"][0] |= change
    assert fields(facts(machine, volume(2))) == [field]


def test_a_metadata_endpoint_that_is_off_is_alike_whatever_it_would_ask_for() -> None:
    """Its tokens and hops were not asked for; one that answers is a difference."""
    options = {**instance()["MetadataOptions"], "HttpEndpoint": "disabled"}
    was = facts(instance(MetadataOptions=options), volume())
    off = twin(MetadataOptions={**options, "HttpTokens": "optional", "HttpPutResponseHopLimit": 1})
    assert differences(was, facts(off, volume(2)), EXPECTED) == []
    (difference,) = differences(was, facts(twin(), volume(2)), EXPECTED)
    assert difference.field == "metadata options"


def test_a_public_address_must_not_appear_or_vanish() -> None:
    """A private machine stays private, a public one reachable."""
    machine = twin(PublicIpAddress=None)
    del machine["NetworkInterfaces"][0]["Association"]
    assert fields(facts(machine, volume(2))) == ["public address"]


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
def test_each_loss_of_a_volume_is_named(change: dict[str, Any], field: str) -> None:
    """A slower, smaller or differently locked disk is no replacement."""
    assert fields(facts(twin(), {**volume(2), **change})) == [f"device /dev/xvda {field}"]


def test_a_volume_that_would_outlive_its_machine_differs() -> None:
    """Or volumes would pile up with every switch."""
    machine = twin(BlockDeviceMappings=[device("/dev/xvda", volume(2)["VolumeId"], delete=False)])
    assert fields(facts(machine, volume(2))) == ["device /dev/xvda deleted on termination"]


def test_lost_encryption_differs_and_new_encryption_is_explained() -> None:
    """The account may encrypt by default now; the reverse is a loss."""
    open_disk = volume(2, Encrypted=False, KmsKeyId=None)
    assert "device /dev/xvda encrypted" in fields(facts(twin(), open_disk))
    was = facts(instance(), volume(1, Encrypted=False, KmsKeyId=None))
    assert differences(was, facts(twin(), volume(2)), EXPECTED) == []


def test_user_data_is_compared_by_hash_only() -> None:
    """A difference shows hashes, never the text."""
    (difference,) = differences(original(), facts(twin(), volume(2), user_data_hash="h2"), EXPECTED)
    assert difference.field == "user data"
    assert (difference.original, difference.replacement) == ("h1", "h2")


def test_a_type_that_is_always_ebs_optimised_is_explained() -> None:
    """More than was asked for is no loss."""
    was = facts(instance(EbsOptimized=False), volume())
    for now in (True, False):
        assert differences(was, facts(twin(EbsOptimized=now), volume(2)), EXPECTED) == []


@pytest.mark.parametrize(
    ("instance_type", "cpu_credits", "found"),
    [
        ("t3.large", "unlimited", ["CPU credits"]),
        ("t3.large", "standard", []),
        ("m5.large", None, []),
    ],
)
def test_the_credit_mode_returns_with_the_burstable_type(
    instance_type: str, cpu_credits: str | None, found: list[str]
) -> None:
    """A T type gets the mode that the workload has always had, and only a T type has one."""
    expected = Expected(instance_type, "us-east-1b", Lifecycle.SPOT, cpu_credits="standard")
    machine = facts(twin(InstanceType=instance_type), volume(2), cpu_credits=cpu_credits)
    assert fields(machine, expected) == found


def test_shutdown_and_protection_count_between_on_demand_machines() -> None:
    """Where both can have them, they must be alike."""
    on_demand = Expected("c6i.xlarge", "us-east-1b", Lifecycle.ON_DEMAND)
    replacement = facts(
        twin(InstanceLifecycle=None),
        volume(2),
        shutdown_behavior="terminate",
        termination_protection=True,
    )
    assert fields(replacement, on_demand) == ["shutdown behaviour", "termination protection"]


def test_what_is_still_coming_up_is_pending_not_different() -> None:
    """An attaching volume, an unseen one and unapplied metadata options ask for another look."""
    machine = twin(MetadataOptions={**instance()["MetadataOptions"], "State": "pending"})
    machine["BlockDeviceMappings"][0]["Ebs"]["Status"] = "attaching"
    machine["BlockDeviceMappings"].append(device("/dev/sdf", "vol-unseen"))
    pending = facts(machine, volume(2)).pending
    assert pending == ("device /dev/xvda", "device /dev/sdf", "metadata options")
    assert facts(twin(), volume(2)).pending == ()


AS_READ = replace(EXPECTED, original_as_read=True)


def tagged_by_tools() -> InstanceFacts:
    """A replacement on which a tool has written within seconds, its volume too."""
    written = {"Owner": "ann", "CreatedAt": "today"}
    machine = twin(Tags=tag_list({"Name": "web", **written}))
    return facts(machine, volume(2, tags={"Backup": "daily", **written}))


@pytest.mark.parametrize("expected", [EXPECTED, AS_READ])
def test_tags_that_tools_add_are_told_and_undo_nothing(expected: Expected) -> None:
    """More tags than the original's are no loss, on machine and volumes, and stand in the findings."""
    found = differences(original(), tagged_by_tools(), expected)
    assert [str(each) for each in found] == [
        "tag CreatedAt: None became today (more than the original bears)",
        "tag Owner: None became ann (more than the original bears)",
        "device /dev/xvda tag CreatedAt: None became today (more than the original bears)",
        "device /dev/xvda tag Owner: None became ann (more than the original bears)",
    ]


def test_a_tag_that_was_changed_after_the_launch_is_told_and_undoes_nothing() -> None:
    """Where the template asked for the original's value, another one is somebody's own doing."""
    machine = facts(twin(Tags=tag_list({"Name": "shop"})), volume(2, tags={"Backup": "never"}))
    assert fields(machine, AS_READ) == []
    told = [str(each) for each in differences(original(), machine, AS_READ)]
    assert told == [
        "tag Name: web became shop (changed after the launch)",
        "device /dev/xvda tag Backup: daily became never (changed after the launch)",
    ]


def test_a_missing_tag_undoes_whatever_was_read() -> None:
    """What the template asked for and the replacement lacks is a loss."""
    bare = facts(twin(Tags=[]), volume(2, Tags=[]))
    assert fields(bare, AS_READ) == ["tag Name", "device /dev/xvda tag Backup"]


def test_nothing_but_tags_is_excused_by_what_was_read() -> None:
    """A disk that is smaller than the template asked for stays a loss."""
    assert fields(facts(twin(), volume(2, Size=8)), AS_READ) == ["device /dev/xvda size"]


def test_a_machine_has_one_digest_wherever_and_whatever_it_runs_on() -> None:
    """Id, type, zone, lifecycle and our own tags are not in it: a faithful replacement has the same."""
    assert identity_digest(facts(twin(), volume(2))) == identity_digest(original())
    assert len(identity_digest(original())) == 16


@pytest.mark.parametrize(
    ("machine", "disk", "more"),
    [
        (instance(KeyName="other"), volume(), {}),
        (instance(tags={"Name": "shop"}), volume(), {}),
        (instance(EbsOptimized=False), volume(), {}),
        (instance(), volume(Size=31), {}),
        (instance(), volume(tags={"Backup": "never"}), {}),
        (instance(), volume(), {"user_data_hash": "h2"}),
        (instance(InstanceType="t3.large"), volume(), {"cpu_credits": "standard"}),
    ],
    ids=["key", "tag", "EBS optimisation", "size", "volume tag", "user data", "credits"],
)
def test_the_digest_changes_with_all_that_is_compared(
    machine: dict[str, Any], disk: dict[str, Any], more: dict[str, Any]
) -> None:
    """A machine that was changed after it had been read is found out."""
    assert identity_digest(facts(machine, disk, **more)) != identity_digest(original())


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
def test_changes_of_a_volume_are_seen_without_reading_the_machine(change: dict[str, Any]) -> None:
    """What DescribeVolumes tells is enough to know that a machine is to be read again."""
    assert details_digest(facts(instance(), volume(**change))) != details_digest(original())
    assert details_digest(facts(instance(KeyName="other"), volume())) == details_digest(original())


def test_a_changed_credit_mode_is_seen_without_reading_the_machine() -> None:
    """The mode counts only where the type has one."""
    small = instance(InstanceType="t3.large")
    one, other = (facts(small, volume(), cpu_credits=mode) for mode in ("standard", "unlimited"))
    assert details_digest(one) != details_digest(other)


@given(st.data())
def test_differences_are_none_with_oneself_and_mirror_each_other(data: st.DataObject) -> None:
    """Comparing is symmetrical in the facts: no loss hides by the direction of the look."""

    def drawn() -> InstanceFacts:
        machine = deepcopy(instance())
        machine["Tags"] = tag_list(
            data.draw(st.dictionaries(st.sampled_from(["a", "b", "aws:c"]), st.text(max_size=2)))
        )
        machine["KeyName"] = data.draw(st.sampled_from([None, "ops"]))
        disk = volume(Size=data.draw(st.integers(1, 3)), Iops=data.draw(st.integers(1, 3)))
        return facts(machine, disk)

    one, other = drawn(), drawn()
    here = Expected("m5.large", "us-east-1a", Lifecycle.ON_DEMAND)
    assert differences(one, one, here) == []
    forth, back = differences(one, other, here), differences(other, one, here)
    assert [(d.field, d.original, d.replacement) for d in forth] == [
        (d.field, d.replacement, d.original) for d in back
    ]
