"""Parse EC2's descriptions of instance types and the zones that offer them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from spot_optimizer.market.catalog import InstanceType

ARCHITECTURES = ("x86_64", "arm64")
"""Architectures that can run on spot. macOS (``arm64_mac``) runs on dedicated hosts only."""


def parse_instance_types(
    rows: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, InstanceType], dict[str, int]]:
    """Types by name from rows of DescribeInstanceTypes, and reason -> rows dropped.

    A row that lacks a required field is dropped and counted; the others are kept.
    """
    types: dict[str, InstanceType] = {}
    dropped: Counter[str] = Counter()
    for row in rows:
        try:
            architectures = row["ProcessorInfo"]["SupportedArchitectures"]
            architecture = next((a for a in ARCHITECTURES if a in architectures), None)
            if architecture is None:
                dropped[f"architecture {'/'.join(architectures)}"] += 1
                continue
            types[row["InstanceType"]] = _instance_type(row, architecture)
        except KeyError as missing:
            dropped[f"field {missing.args[0]} missing"] += 1
        except (TypeError, ValueError, AttributeError):
            dropped["a field has another type"] += 1
    return types, dict(dropped)


def _instance_type(row: Mapping[str, Any], architecture: str) -> InstanceType:
    gpus = row.get("GpuInfo", {}).get("Gpus", ())
    return InstanceType(
        name=row["InstanceType"],
        vcpu=row["VCpuInfo"]["DefaultVCpus"],
        memory_gib=row["MemoryInfo"]["SizeInMiB"] / 1024,
        architecture=architecture,
        burstable=row["BurstablePerformanceSupported"],
        bare_metal=row["BareMetal"],
        hypervisor=row.get("Hypervisor", ""),  # bare metal has none
        gpus=sum(gpu.get("Count", 0) for gpu in gpus),
        instance_store=row["InstanceStorageSupported"],
        spot="spot" in row["SupportedUsageClasses"],
        current_generation=row["CurrentGeneration"],
        accelerators=_accelerators(row),
        boot_modes=",".join(sorted(row.get("SupportedBootModes", ()))),
        ena=row.get("NetworkInfo", {}).get("EnaSupport", ""),
        virtualization=",".join(sorted(row.get("SupportedVirtualizationTypes", ()))),
        instance_store_gb=float(row.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)),
        network_gbps=_network_gbps(row),
        ebs_mbps=row.get("EbsInfo", {}).get("EbsOptimizedInfo", {}).get("BaselineThroughputInMBps"),
        nitro_enclaves=row.get("NitroEnclavesSupport", ""),
    )


def _network_gbps(row: Mapping[str, Any]) -> float | None:
    """Sum of the baselines of all network cards; None if a card has no baseline."""
    cards = row.get("NetworkInfo", {}).get("NetworkCards", ())
    baselines = [card.get("BaselineBandwidthInGbps") for card in cards]
    return sum(baselines) if baselines and None not in baselines else None


def _accelerators(row: Mapping[str, Any]) -> str:
    """All accelerators as text; types can replace each other only if these texts are equal.

    A type with part of a GPU has Count 0 and a GpuPartitionSize (measured: g6f.large, 0.125 of an
    L4). Inferentia is listed in both NeuronInfo and InferenceAcceleratorInfo; one is enough.
    """
    devices = [
        *row.get("GpuInfo", {}).get("Gpus", ()),
        *row.get("FpgaInfo", {}).get("Fpgas", ()),
        *row.get("MediaAcceleratorInfo", {}).get("Accelerators", ()),
        *(
            row.get("NeuronInfo", {}).get("NeuronDevices", ())
            or row.get("InferenceAcceleratorInfo", {}).get("Accelerators", ())
        ),
    ]
    return ", ".join(sorted(_device(device) for device in devices))


def _device(device: Mapping[str, Any]) -> str:
    count = device.get("Count") or device.get("GpuPartitionSize", 0)
    memory_mib = device.get("MemoryInfo", {}).get("SizeInMiB", 0)
    name = " ".join(filter(None, (device.get("Manufacturer"), device.get("Name"))))
    return f"{count:g} x {name} {memory_mib} MiB"


def parse_offerings(rows: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Type -> zone names, from rows of DescribeInstanceTypeOfferings by availability zone."""
    zones: dict[str, set[str]] = {}
    for row in rows:
        name, zone = row.get("InstanceType"), row.get("Location")
        if row.get("LocationType") == "availability-zone" and name and zone:
            zones.setdefault(name, set()).add(zone)
    return {name: frozenset(places) for name, places in zones.items()}
