"""The parts of EC2's structures of options that this version knows, each carried, refused or of no use.

EC2 keeps adding options. One that is set and not named here is refused by its name: a switch would lose
it. Only structures in which EC2 describes options are listed; elsewhere a new part may be a mere fact
about the instance, and must refuse none.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from spot_optimizer.switching.instance_record import (
    CONNECTION_TRACKING,
    METADATA_OPTIONS,
    PRIVATE_DNS_NAME_OPTIONS,
    Record,
)

Parts = Mapping[str, "Parts | None"]
"""Name of a part -> its own parts; None if it is known with all that is in it."""


def _known(*names: str, **structures: Parts) -> Parts:
    return {**dict.fromkeys(names), **structures}


_PLACEMENT = _known(
    "Affinity",
    "AvailabilityZone",
    "AvailabilityZoneId",
    "GroupId",
    "GroupName",
    "HostId",
    "HostResourceGroupArn",
    "PartitionNumber",
    "SpreadDomain",  # "Reserved for future use"
    "Tenancy",
)
_CPU = _known("CoreCount", "ThreadsPerCore", "AmdSevSnp", "NestedVirtualization")
_RESERVATION = _known("CapacityReservationPreference", "CapacityReservationTarget")
_METADATA = _known("State", *METADATA_OPTIONS)
_TAGS = _known("ResourceType", "Tags")

OF_LAUNCH_TEMPLATE_DATA: Parts = _known(
    "InstanceRequirements",
    BlockDeviceMappings=_known(
        "DeviceName",
        "NoDevice",
        "VirtualName",
        Ebs=_known(
            "DeleteOnTermination",
            "Encrypted",
            "Iops",
            "KmsKeyId",
            "SnapshotId",
            "Throughput",
            "VolumeInitializationRate",
            "VolumeSize",
            "VolumeType",
        ),
    ),
    CapacityReservationSpecification=_RESERVATION,
    CpuOptions=_CPU,
    CreditSpecification=_known("CpuCredits"),
    EnclaveOptions=_known("Enabled"),
    IamInstanceProfile=_known("Arn", "Name"),
    InstanceMarketOptions=_known(
        "MarketType",
        SpotOptions=_known(
            "BlockDurationMinutes",
            "InstanceInterruptionBehavior",
            "MaxPrice",  # "not recommended": it makes interruptions more frequent
            "SpotInstanceType",
            "ValidUntil",
        ),
    ),
    LicenseSpecifications=_known("LicenseConfigurationArn"),
    MaintenanceOptions=_known("AutoRecovery"),
    MetadataOptions=_METADATA,
    Monitoring=_known("Enabled", "MetricCategoryIds"),
    NetworkInterfaces=_known(
        "AssociateCarrierIpAddress",
        "AssociatePublicIpAddress",
        "DeleteOnTermination",
        "Description",
        "DeviceIndex",
        "EnaSrdSpecification",
        "Groups",
        "InterfaceType",
        "Ipv4PrefixCount",
        "Ipv4Prefixes",
        "Ipv6AddressCount",
        "Ipv6Addresses",
        "Ipv6PrefixCount",
        "Ipv6Prefixes",
        "NetworkInterfaceId",
        "PrimaryIpv6",
        "PrivateIpAddress",
        "PrivateIpAddresses",
        "SecondaryPrivateIpAddressCount",
        "SubnetId",
        ConnectionTrackingSpecification=_known(*CONNECTION_TRACKING),
    ),
    Placement=_PLACEMENT,
    PrivateDnsNameOptions=_known(*PRIVATE_DNS_NAME_OPTIONS),
    TagSpecifications=_TAGS,
)
"""Of GetLaunchTemplateData's structures. What is known here is read from DescribeInstances, which shows
whether it is used; the rest of the data is judged in ``launch_template``."""

OF_INSTANCE: Parts = _known(
    CapacityReservationSpecification=_RESERVATION,
    CpuOptions=_CPU,
    EnclaveOptions=_known("Enabled"),
    HibernationOptions=_known("Configured"),
    MaintenanceOptions=_known("AutoRecovery", "RebootMigration"),
    MetadataOptions=_METADATA,
    Monitoring=_known("MetricCategoryIds", "State"),
    NetworkPerformanceOptions=_known("BandwidthWeighting"),
    Placement=_PLACEMENT,
    PrivateDnsNameOptions=_known(*PRIVATE_DNS_NAME_OPTIONS),
)
"""Of an instance in DescribeInstances."""

OF_INTERFACE: Parts = _known(ConnectionTrackingConfiguration=_known(*CONNECTION_TRACKING))
"""Of its network interfaces there."""

_UNUSED_VALUES = frozenset({"", "default", "disabled", "no-preference", "none", "off"})
"""Values that say that an option is not used (EC2 API reference, ``ResponseLaunchTemplateData`` and
the structures in it)."""


def set_parts(name: str, value: object) -> Iterator[str]:
    """Dotted names of the parts of a value that are set: not false, zero, empty or a word for unused."""
    if isinstance(value, Mapping):
        for part, inner in value.items():
            yield from set_parts(f"{name}.{part}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from set_parts(name, inner)
    elif isinstance(value, str):
        if value.lower() not in _UNUSED_VALUES:
            yield name
    elif value:
        yield name


def unknown_parts(record: Record, known: Parts, within: str = "") -> Iterator[str]:
    """Dotted names of what is set in the structures of ``known`` and is not known in them."""
    for name, parts in known.items():
        if parts is not None and name in record:
            yield from _unknown_in(f"{within}{name}", record[name], parts)


def _unknown_in(name: str, value: Any, known: Parts) -> Iterator[str]:
    for each in value if isinstance(value, list | tuple) else (value,):
        if not isinstance(each, Mapping):
            continue
        others: Set[str] = each.keys() - known.keys()
        for part in sorted(others):
            yield from set_parts(f"{name}.{part}", each[part])
        yield from unknown_parts(each, known, f"{name}.")
