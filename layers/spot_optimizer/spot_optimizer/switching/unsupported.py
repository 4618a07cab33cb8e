"""What a machine may have that a replacement could not be given yet, or ever.

Nothing of a machine may be silently lost, so an instance with any of it is refused, in words that
say what, and what would make it fit.
"""

from collections.abc import Iterator

from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.switching.instance_record import (
    Record,
    primary_interface,
)
from spot_optimizer.switching.zones import is_wavelength_zone


def limits(instance: Record, instance_type: InstanceType | None) -> list[str]:
    """Every reason why the machine could not be reproduced; empty if there is none.

    ``instance_type`` is the catalogue's entry of its type, None where it has none.
    """
    return [
        *_product(instance),
        *_placement(instance),
        *_options(instance, instance_type),
        *_network(instance),
    ]


def _product(instance: Record) -> Iterator[str]:
    details = instance.get("PlatformDetails", "Linux/UNIX")
    if instance.get("Platform") == "windows" or details != "Linux/UNIX":
        product = "Windows" if instance.get("Platform") == "windows" else details
        yield f"its product is {product}; only Linux/UNIX is supported yet"
    for code in instance.get("ProductCodes") or ():
        if code.get("ProductCodeType") == "marketplace":
            yield (
                f"its image is an AWS Marketplace product ({code.get('ProductCodeId')}), whose"
                " fees our prices do not show"
            )
    if instance.get("RootDeviceType") == "instance-store":
        yield "its root is an instance store, which no snapshot can keep; an EBS root is needed"
    lifecycle = instance.get("InstanceLifecycle")
    if lifecycle not in (None, "", "spot"):
        yield f"its lifecycle is {lifecycle}; only spot and on-demand are supported"


def _placement(instance: Record) -> Iterator[str]:
    placement = instance.get("Placement") or {}
    if placement.get("Tenancy") == "host" or placement.get("HostId"):
        yield "it runs on a dedicated host, where there is no spot"
    if placement.get("GroupName") or placement.get("GroupId"):
        group = placement.get("GroupName") or placement.get("GroupId")
        yield f"it is in the placement group {group}, which is not supported yet"
    if instance.get("OutpostArn"):
        yield "it runs on an Outpost, where there is no spot"
    if is_wavelength_zone(placement.get("AvailabilityZone", "")):
        yield (
            f"it runs in the Wavelength Zone {placement['AvailabilityZone']}, whose carrier address a"
            " replacement could not be given"
        )
    specification = instance.get("CapacityReservationSpecification") or {}
    if instance.get("CapacityReservationId") or specification.get("CapacityReservationTarget"):
        reservation = instance.get("CapacityReservationId", "named by its launch")
        yield f"it uses the capacity reservation {reservation}, which moving it would leave unused"


def _options(instance: Record, instance_type: InstanceType | None) -> Iterator[str]:
    if (instance.get("HibernationOptions") or {}).get("Configured"):
        yield "it is configured to hibernate, which one-time spot instances cannot"
    cpu = instance.get("CpuOptions") or {}
    threads = cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 0)
    if instance_type and threads and threads < instance_type.vcpu:
        yield (
            f"its CPU options give {threads} of {instance_type.vcpu} vCPU; options other than the"
            " type's own are not supported yet"
        )
    for name in ("AmdSevSnp", "NestedVirtualization"):
        if cpu.get(name) == "enabled":
            yield f"its CPU option {name} is enabled, which few types support"
    if (instance.get("MaintenanceOptions") or {}).get("RebootMigration") == "disabled":
        yield "its reboot migration is disabled, which a launch cannot ask for"
    bandwidth = (instance.get("NetworkPerformanceOptions") or {}).get("BandwidthWeighting")
    if bandwidth not in (None, "default"):
        yield f"its bandwidth weighting is {bandwidth}, which few types support"
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
        yield f"it has {len(interfaces)} network interfaces; one is supported yet"
    primary = primary_interface(instance)
    addresses = primary.get("PrivateIpAddresses") or ()
    if len(addresses) > 1:
        yield f"it has {len(addresses)} private addresses; one is supported yet"
    if primary.get("Ipv4Prefixes") or primary.get("Ipv6Prefixes"):
        yield "its interface has address prefixes, which is not supported yet"
    if primary.get("InterfaceType", "interface") != "interface":
        yield f"its interface is of type {primary['InterfaceType']}; 'interface' is supported"
    attachment = primary.get("Attachment") or {}
    if attachment.get("DeleteOnTermination") is False:
        yield "its network interface outlives it, so its address would stay behind unused"
    if (attachment.get("EnaSrdSpecification") or {}).get("EnaSrdEnabled"):
        yield "it uses ENA Express, which few types support"
    if primary.get("SourceDestCheck", instance.get("SourceDestCheck", True)) is False:
        yield "its source/destination check is off, which a launch cannot ask for"
