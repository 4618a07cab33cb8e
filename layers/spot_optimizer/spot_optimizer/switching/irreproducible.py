"""Features of an instance that a replacement cannot be given.

A switch must not lose anything silently, so an instance with such a feature is refused; the text names
the feature and, if there is one, the cure.
"""

from collections.abc import Iterator

from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.switching.instance_record import (
    Record,
    primary_interface,
)
from spot_optimizer.switching.option_parts import OF_INSTANCE, OF_INTERFACE, unknown_parts
from spot_optimizer.switching.zones import is_wavelength_zone


def unsupported_features(instance: Record, instance_type: InstanceType | None) -> list[str]:
    """Every reason why the instance cannot be reproduced.

    ``instance_type`` is the catalog's entry for its type, None if it has none.
    """
    return [
        *_product(instance),
        *_placement(instance),
        *_options(instance, instance_type),
        *_network(instance),
    ]


def unsupported_type(name: str, instance_type: InstanceType | None) -> str:
    """Why an instance of a type is not managed, whatever its options; empty if it may be.

    The catalog has only types that are sold as spot and are no bare metal. Mac instances run on
    dedicated hosts only (EC2 user guide, "Amazon EC2 Mac instances").
    """
    family, _, size = name.partition(".")
    if family.startswith("mac"):
        return f"its type {name} runs macOS on a dedicated host, which has no spot capacity"
    if size.startswith("metal") or (instance_type and instance_type.bare_metal):
        return f"its type {name} is bare metal, which is not supported: only virtual types are"
    if instance_type is None:
        return f"its type {name} is not in the region's catalog of types that are sold as spot"
    return "" if instance_type.spot else f"its type {name} is not sold as spot"


def _product(instance: Record) -> Iterator[str]:
    details = instance.get("PlatformDetails", "Linux/UNIX")
    # botocore spells the value "Windows", EC2 "windows".
    is_windows = instance.get("Platform", "").lower() == "windows"
    if is_windows or details != "Linux/UNIX":
        product = "Windows" if is_windows else details
        yield f"its product is {product}; only Linux/UNIX is supported"
    for code in instance.get("ProductCodes") or ():
        if code.get("ProductCodeType") == "marketplace":
            yield (
                f"its image is an AWS Marketplace product ({code.get('ProductCodeId')}), whose fees"
                " are not in our prices"
            )
    if instance.get("RootDeviceType") == "instance-store":
        yield "use an image with an EBS root volume: its root is an instance store, without snapshots"
    lifecycle = instance.get("InstanceLifecycle")
    if lifecycle not in (None, "", "spot"):
        yield f"its lifecycle is {lifecycle}; only spot and on-demand are supported"


def _placement(instance: Record) -> Iterator[str]:
    placement = instance.get("Placement") or {}
    if placement.get("Tenancy") == "host" or placement.get("HostId"):
        yield "it runs on a dedicated host, which has no spot capacity"
    if placement.get("GroupName") or placement.get("GroupId"):
        group = placement.get("GroupName") or placement.get("GroupId")
        yield f"it is in the placement group {group}, which is not supported"
    if instance.get("OutpostArn"):
        yield "it runs on an Outpost, which has no spot capacity"
    if is_wavelength_zone(placement.get("AvailabilityZone", "")):
        yield (
            f"it runs in the Wavelength Zone {placement['AvailabilityZone']}: a replacement cannot be"
            " given its carrier address"
        )
    specification = instance.get("CapacityReservationSpecification") or {}
    if instance.get("CapacityReservationId") or specification.get("CapacityReservationTarget"):
        reservation = instance.get("CapacityReservationId", "named by its launch")
        yield f"it uses the capacity reservation {reservation}, which a switch would leave unused"


def _options(instance: Record, instance_type: InstanceType | None) -> Iterator[str]:
    if (instance.get("HibernationOptions") or {}).get("Configured"):
        yield "it is configured to hibernate, which a one-time spot instance cannot do"
    cpu = instance.get("CpuOptions") or {}
    threads = cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 0)
    if instance_type and threads and threads < instance_type.vcpu:
        yield (
            f"its CPU options give {threads} of {instance_type.vcpu} vCPU; only the type's default CPU"
            " options are supported"
        )
    for name in ("AmdSevSnp", "NestedVirtualization"):
        if cpu.get(name) == "enabled":
            yield f"its CPU option {name} is enabled, which few types support"
    if (instance.get("MaintenanceOptions") or {}).get("RebootMigration") == "disabled":
        yield "enable its reboot migration: a launch cannot disable it"
    bandwidth = (instance.get("NetworkPerformanceOptions") or {}).get("BandwidthWeighting")
    if bandwidth not in (None, "default"):
        yield f"its bandwidth weighting is {bandwidth}, which few types support"
    for name in unknown_parts(instance, OF_INSTANCE):
        yield f"{name} is set, which a replacement cannot be given"
    for name in (
        "KernelId",
        "RamdiskId",
        "ElasticGpuAssociations",
        "ElasticInferenceAcceleratorAssociations",
        "SecondaryInterfaces",
    ):
        if instance.get(name):
            yield f"it has {name}, which is not supported"


def _network(instance: Record) -> Iterator[str]:
    interfaces = instance.get("NetworkInterfaces") or ()
    if len(interfaces) > 1:
        yield f"it has {len(interfaces)} network interfaces; only one is supported"
    primary = primary_interface(instance)
    addresses = primary.get("PrivateIpAddresses") or ()
    if len(addresses) > 1:
        yield f"it has {len(addresses)} private addresses; only one is supported"
    if primary.get("Ipv4Prefixes") or primary.get("Ipv6Prefixes"):
        yield "its network interface has address prefixes, which are not supported"
    if primary.get("InterfaceType", "interface") != "interface":
        kind = primary["InterfaceType"]
        yield f"its network interface is of type {kind}; only 'interface' is supported"
    attachment = primary.get("Attachment") or {}
    if attachment.get("DeleteOnTermination") is False:
        yield (
            "let its network interface be deleted on termination: it outlives the instance, and a"
            " switch would leave it and its address behind"
        )
    if attachment.get("EnaQueueCount"):
        # EC2 shows it only if it was asked for (reported in cilium's pull request 48246).
        yield (
            f"it asks for {attachment['EnaQueueCount']} ENA queues (EnaQueueCount), which few types"
            " support"
        )
    if attachment.get("NetworkCardIndex"):
        card = attachment["NetworkCardIndex"]
        yield f"its network interface is on network card {card}, which few types have"
    for name in unknown_parts(primary, OF_INTERFACE, "NetworkInterfaces."):
        yield f"{name} is set, which a replacement cannot be given"
    for mapping in instance.get("BlockDeviceMappings") or ():
        card = (mapping.get("Ebs") or {}).get("EbsCardIndex")
        if card:
            yield f"its volume at {mapping['DeviceName']} is on EBS card {card}, which few types have"
    if (attachment.get("EnaSrdSpecification") or {}).get("EnaSrdEnabled"):
        yield "it uses ENA Express, which few types support"
    if primary.get("SourceDestCheck", instance.get("SourceDestCheck", True)) is False:
        yield "turn its source/destination check on: a launch cannot turn it off"
