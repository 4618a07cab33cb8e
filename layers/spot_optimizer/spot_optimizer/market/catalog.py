"""The instance types of a region and their on-demand prices."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class InstanceType:
    """What the choice among types needs to know of one of them (DescribeInstanceTypes)."""

    name: str
    vcpu: int
    memory_gib: float
    architecture: str
    """``x86_64`` or ``arm64``; the image must have the same."""
    burstable: bool
    bare_metal: bool
    hypervisor: str
    """``nitro`` or ``xen``: a Xen image may lack the ENA and NVMe drivers that Nitro needs."""
    gpus: int
    instance_store: bool
    spot: bool
    """Whether it can be bought as spot at all (SupportedUsageClasses)."""
    current_generation: bool
    accelerators: str = ""
    """GPUs, FPGAs, inference and media chips, such as ``1 x NVIDIA T4 16384 MiB``; empty for none. A
    fraction of a GPU is listed here, and counts as 0 in ``gpus``."""
    boot_modes: str = ""
    """Supported boot modes, such as ``legacy-bios,uefi``; empty if unknown."""
    ena: str = ""
    """Enhanced networking: ``required``, ``supported`` or ``unsupported``; empty if unknown."""
    virtualization: str = ""
    """Supported virtualization types, such as ``hvm,paravirtual``; empty if unknown."""
    instance_store_gb: float = 0.0
    network_gbps: float | None = None
    """Baseline bandwidth of all network cards, without bursts. None if unknown."""
    ebs_mbps: float | None = None
    """Baseline EBS throughput in megabytes per second. None if unknown."""
    nitro_enclaves: str = ""
    """Nitro Enclaves: ``supported`` or ``unsupported``; empty if unknown."""

    @property
    def family(self) -> str:
        """``m5`` of ``m5.large``."""
        return self.name.partition(".")[0]

    @property
    def generation(self) -> int:
        """5 of ``m5.large``; higher is newer."""
        digits = re.search(r"\d+", self.family)
        return int(digits.group()) if digits else 0


@dataclass(frozen=True)
class Catalog:
    """Types by name, their on-demand USD per hour (Linux, shared tenancy), and where offered.

    A type without an on-demand price has no discount, so it is never a candidate.
    """

    types: Mapping[str, InstanceType]
    on_demand_usd_per_hour: Mapping[str, float]
    zones: Mapping[str, frozenset[str]]
    """Type name -> availability zones that offer it (DescribeInstanceTypeOfferings)."""

    def matching(self, glob: str) -> frozenset[str]:
        """Names of the types that a glob such as ``m5*`` matches. Cached: workloads share globs."""
        if glob not in self._matches:
            self._matches[glob] = frozenset(fnmatch.filter(self.types, glob))
        return self._matches[glob]

    @cached_property
    def _matches(self) -> dict[str, frozenset[str]]:
        return {}

    def next_size_up(self, name: str) -> InstanceType | None:
        """The smallest type of the same family with more vCPU, or None for the largest."""
        home = self.types[name]
        larger = [t for t in self._families[home.family] if t.vcpu > home.vcpu]
        return min(larger, key=lambda t: (t.vcpu, t.memory_gib), default=None)

    @cached_property
    def _families(self) -> Mapping[str, list[InstanceType]]:
        families: dict[str, list[InstanceType]] = {}
        for instance_type in self.types.values():
            if not instance_type.bare_metal:
                families.setdefault(instance_type.family, []).append(instance_type)
        return families
