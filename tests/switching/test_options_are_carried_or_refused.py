"""No option of an instance is lost: over all shapes of botocore, each is carried or refused by its name.

A new botocore may bring options that nobody has judged yet; then the tests here fail and name them.
"""

import copy
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.irreproducible import unsupported_features
from spot_optimizer.switching.launch_template import CannotReproduce, template_data
from spot_optimizer.switching.option_parts import OF_INSTANCE, OF_LAUNCH_TEMPLATE_DATA
from tests.switching.described_instances import (
    CATALOG,
    STACK,
    instance,
    source,
    volume,
)

EC2 = botocore.session.get_session().get_service_model("ec2")
Path = tuple[str, ...]


def leaves(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    """Every plain value in a shape; of a list, its first element."""
    if shape.type_name == "list":
        yield from leaves(shape.member, path)  # type: ignore[attr-defined]
    elif shape.type_name == "structure":
        for name, member in shape.members.items():  # type: ignore[attr-defined]
            yield from leaves(member, (*path, name))
    else:
        yield path, shape


def changed_at(record: dict[str, Any], shape: Shape, path: Path) -> dict[str, Any]:
    """The record with another value, which says that the option is used, at a path of its shape."""
    changed = copy.deepcopy(record)
    where: Any = changed
    for number, name in enumerate(path):
        shape = shape.members[name]  # type: ignore[attr-defined]
        listed = shape.type_name == "list"
        inner = shape.member if listed else shape  # type: ignore[attr-defined]
        if number == len(path) - 1:
            value = _other(inner, where.get(name))
            where[name] = [value] if listed else value
            break
        shape = inner
        if listed:
            where[name] = list(where.get(name) or [{}])
            where = where[name][0]
        else:
            where = where.setdefault(name, {})
    return changed


def _other(shape: Shape, before: Any) -> Any:
    if shape.type_name == "boolean":
        return not before
    if shape.type_name in ("integer", "long", "float", "double"):
        return 7
    values = [value for value in getattr(shape, "enum", ()) if value != before]
    return min(values, key=_how_unused, default="other")


def _how_unused(value: str) -> int:
    """An option is rather on than off."""
    words = ({"enabled", "marketplace"}, {"none", "open", "disabling"}, {"default", "disabled"})
    found = [number for number, some in enumerate(words) if value in some]
    return 2 * found[0] if found else 1


def _volumes() -> list[dict[str, Any]]:
    return [volume()]


def _data(row: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    return template_data(read, row, _volumes(), stack=STACK, workload_id="web", interface_tags={})


INSTANCE_FACTS = frozenset(
    {
        # What the instance is and where, which its replacement has of its own; "x." is all of x.
        "AmiLaunchIndex",
        "BlockDeviceMappings.Ebs.AssociatedResource",
        "BlockDeviceMappings.Ebs.AttachTime",
        "BlockDeviceMappings.Ebs.Operator.",
        "BlockDeviceMappings.Ebs.Status",
        "BlockDeviceMappings.Ebs.VolumeOwnerId",
        "CapacityBlockId",
        "ClientToken",
        "IamInstanceProfile.Id",
        "InstanceId",
        "InstanceLifecycle",
        "InstanceType",
        "LaunchTime",
        "MetadataOptions.State",
        "NetworkInterfaces.Association.",
        "NetworkInterfaces.Attachment.AttachTime",
        "NetworkInterfaces.Attachment.AttachmentId",
        "NetworkInterfaces.Attachment.Status",
        "NetworkInterfaces.Groups.GroupName",
        "NetworkInterfaces.MacAddress",
        "NetworkInterfaces.NetworkInterfaceId",
        "NetworkInterfaces.Operator.",
        "NetworkInterfaces.OwnerId",
        "NetworkInterfaces.PrivateDnsName",
        "NetworkInterfaces.PrivateIpAddress",
        "NetworkInterfaces.PrivateIpAddresses.",
        "NetworkInterfaces.Status",
        "NetworkInterfaces.SubnetId",
        "NetworkInterfaces.VpcId",
        "Operator.",
        "Placement.Affinity",
        "Placement.AvailabilityZone",
        "Placement.AvailabilityZoneId",
        "Placement.HostResourceGroupArn",
        "Placement.PartitionNumber",
        "Placement.SpreadDomain",
        "PrivateDnsName",
        "PrivateIpAddress",
        "Ipv6Address",
        "PublicDnsName",
        "PublicIpAddress",
        "ProductCodes.ProductCodeId",
        "SecurityGroups.",
        "SpotInstanceRequestId",
        "State.",
        "StateReason.",
        "StateTransitionReason",
        "SubnetId",
        "UsageOperation",
        "UsageOperationUpdateTime",
        "VpcId",
        # The image has them, and a replacement is launched from the same image.
        "Architecture",
        "BootMode",
        "CurrentInstanceBootMode",
        "EnaSupport",
        "Hypervisor",
        "SriovNetSupport",
        "TpmSupport",
        "VirtualizationType",
        # A launch takes the interface's own, and on-demand launches the preference (launch_traits).
        "SourceDestCheck",
        "CapacityReservationSpecification.CapacityReservationPreference",
        # The threads of two cores and more are those of the type or refused; metric categories count
        # with detailed monitoring only; ENA Express over UDP needs ENA Express, which is refused.
        "CpuOptions.CoreCount",
        "CpuOptions.ThreadsPerCore",
        "Monitoring.MetricCategoryIds",
        "NetworkInterfaces.Attachment.EnaSrdSpecification.EnaSrdUdpSpecification.EnaSrdUdpEnabled",
    }
)
SOURCE_ELSEWHERE = frozenset(
    {
        # Read from DescribeInstances and DescribeVolumes, or refused there (INSTANCE_FACTS).
        "BlockDeviceMappings.",
        "CapacityReservationSpecification.",
        "CpuOptions.",
        "EbsOptimized",
        "EnclaveOptions.",
        "IamInstanceProfile.",
        "ImageId",
        "KeyName",
        "LicenseSpecifications.",
        "MaintenanceOptions.",
        "MetadataOptions.",
        "Monitoring.",
        "NetworkInterfaces.",
        "Placement.",
        "PrivateDnsNameOptions.",
        "SecurityGroupIds",
        "SecurityGroups",
        "TagSpecifications.",
        # Of the type or lifecycle (launch_traits), of a protection (protections), or chosen again.
        "CreditSpecification.",
        "DisableApiTermination",
        "InstanceInitiatedShutdownBehavior",
        "InstanceMarketOptions.",
        "InstanceRequirements.",
        "InstanceType",
        # Which service manages it, and whether it is hidden, if one does.
        "Operator.Principal",
        "Operator.HiddenByDefault",
    }
)
NOT_IN_THE_SOURCE = frozenset(
    {
        # Of the request itself, or reserved ("AdditionalInfo").
        "AdditionalInfo",
        "ClientToken",
        "DryRun",
        "LaunchTemplate",
        "MaxCount",
        "MinCount",
        # Of the interface, which the source has.
        "EnablePrimaryIpv6",
        "Ipv6AddressCount",
        "Ipv6Addresses",
        "PrivateIpAddress",
        "SubnetId",
        # Spelled otherwise there.
        "ElasticGpuSpecification",
        "RamdiskId",
    }
)


def _named_in(path: Path, table: frozenset[str]) -> bool:
    prefixes = {".".join(path[:n]) + "." for n in range(1, len(path))}
    return ".".join(path) in table or bool(prefixes & table)


_INSTANCE, _SOURCE = EC2.shape_for("Instance"), EC2.shape_for("ResponseLaunchTemplateData")


def _is_kept(row: dict[str, Any]) -> bool:
    """Whether an option is carried or refused."""
    if unsupported_features(row, CATALOG.types["m5.large"]):
        return True
    try:
        return _data(row, source()) != _data(instance(), source())
    except CannotReproduce:
        return True


def test_every_option_that_describe_instances_shows_is_carried_or_refused() -> None:
    """Of all values of the shape, only facts about the instance and its image change nothing."""
    assert not unsupported_features(instance(), CATALOG.types["m5.large"])
    lost = set()
    facts = set()
    for path, _ in leaves(_INSTANCE):
        kept = _is_kept(changed_at(instance(), _INSTANCE, path))
        if not kept and not _named_in(path, INSTANCE_FACTS):
            lost.add(".".join(path))
        if not kept:
            facts |= {".".join(path[: n + 1]) + "." * (n + 1 < len(path)) for n in range(len(path))}
    assert not lost
    assert not INSTANCE_FACTS - facts, "these are carried or refused"


def test_every_option_of_a_launch_template_is_carried_refused_or_read_elsewhere() -> None:
    lost = set()
    for path, _ in leaves(_SOURCE):
        read = changed_at(source(), _SOURCE, path)
        try:
            kept = _data(instance(), read) != _data(instance(), source())
        except CannotReproduce as error:
            assert path[0] in str(error)  # noqa: PT017 - most values raise nothing
            continue
        if not kept and not _named_in(path, SOURCE_ELSEWHERE):
            lost.add(".".join(path))
    assert not lost


def test_a_launch_takes_no_option_that_nobody_reads() -> None:
    """Every parameter of RunInstances is in GetLaunchTemplateData, or is none of an instance."""
    taken = EC2.operation_model("RunInstances").input_shape.members  # type: ignore[union-attr]
    assert taken.keys() - _SOURCE.members.keys() == NOT_IN_THE_SOURCE  # type: ignore[attr-defined]


def _structures(known: Any, path: Path = ()) -> Iterator[Path]:
    for name, parts in known.items():
        if parts is not None:
            yield (*path, name)
            yield from _structures(parts, (*path, name))


@pytest.mark.parametrize(
    ("known", "shape"),
    [(OF_LAUNCH_TEMPLATE_DATA, _SOURCE), (OF_INSTANCE, _INSTANCE)],
    ids=["source", "instance"],
)
def test_known_parts_are_parts_that_ec2_has(known: Any, shape: Shape) -> None:
    """A misspelled part would be refused under its right name, and never be set under the wrong one."""
    there = {path[:n] for path, _ in leaves(shape) for n in range(1, len(path) + 1)}
    for structure in _structures(known):
        parts: Any = known
        for name in structure:
            parts = parts[name]
        assert {(*structure, name) for name in parts} <= there


_VALUES = st.one_of(
    st.just(True),
    st.integers(1, 9),
    st.sampled_from(["enabled", "required", "vpc-1"]),
    st.just([{"Mode": "on"}]),
)
_UNUSED: st.SearchStrategy[Any] = st.sampled_from(
    [False, 0, "", "disabled", "default", None, [], {}, [{"Mode": "off"}]]
)


def _with_a_later_part(record: dict[str, Any], structure: Path, value: Any) -> dict[str, Any]:
    later = copy.deepcopy(record)
    where: Any = later
    for name in structure:
        if isinstance(where, list):
            where = where[0]
        where = where.setdefault(name, {})
    (where[0] if isinstance(where, list) else where)["Later"] = value
    return later


@given(st.sampled_from(sorted(_structures(OF_LAUNCH_TEMPLATE_DATA))), _VALUES, _UNUSED)
def test_a_later_part_of_an_option_is_refused_by_name_once_it_is_set(
    structure: Path, value: Any, unused: Any
) -> None:
    """EC2 may add it in the future; as long as it is not used, it refuses nothing."""
    name = ".".join((*structure, "Later"))
    with pytest.raises(CannotReproduce, match=name):
        _data(instance(), _with_a_later_part(source(), structure, value))
    _data(instance(), _with_a_later_part(source(), structure, unused))


@given(st.sampled_from(sorted(_structures(OF_INSTANCE))), _VALUES, _UNUSED)
def test_a_later_part_of_an_instances_option_is_refused_by_name(
    structure: Path, value: Any, unused: Any
) -> None:
    row = _with_a_later_part(instance(), structure, value)
    (reason,) = unsupported_features(row, CATALOG.types["m5.large"])
    assert ".".join((*structure, "Later")) in reason
    row = _with_a_later_part(instance(), structure, unused)
    assert not unsupported_features(row, CATALOG.types["m5.large"])


def test_interface_options_of_few_types_are_refused_by_name() -> None:
    """ENA queues and cards differ from type to type."""
    row = instance()
    row["NetworkInterfaces"][0]["Attachment"] |= {"EnaQueueCount": 16, "NetworkCardIndex": 1}
    row["BlockDeviceMappings"][0]["Ebs"]["EbsCardIndex"] = 1
    said = " ".join(unsupported_features(row, CATALOG.types["m5.large"]))
    for name in ("16 ENA queues", "network card 1", "EBS card 1"):
        assert name in said


def test_description_metric_categories_and_initialization_rate_are_carried() -> None:
    row = instance(Monitoring={"State": "enabled", "MetricCategoryIds": ["category"]})
    row["NetworkInterfaces"][0]["Description"] = "front"
    data = template_data(
        source(),
        row,
        [volume(VolumeInitializationRate=200)],
        stack=STACK,
        workload_id="web",
        interface_tags={},
    )
    assert data["Monitoring"] == {"Enabled": True, "MetricCategoryIds": ["category"]}
    assert data["NetworkInterfaces"][0]["Description"] == "front"
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeInitializationRate"] == 200
