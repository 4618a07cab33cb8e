"""The instance types of a region and their on-demand prices."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One instance type, as far as choosing among types needs it (DescribeInstanceTypes)."""

    name: str
    vcpu: int
    memory_gib: float
    architecture: str
    """``x86_64`` or ``arm64``: what images must match."""
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
    """What it carries beside the CPU, such as ``1 x NVIDIA T4 16384 MiB``: GPUs, FPGAs, inference
    and media chips; empty for none. Part of a GPU counts as none in ``gpus``, but stands here."""
    boot_modes: str = ""
    """Those that it supports, such as ``legacy-bios,uefi``; empty where unknown."""
    ena: str = ""
    """Enhanced networking: ``required``, ``supported`` or ``unsupported``; empty where unknown."""
    virtualization: str = ""
    """Types of images that it boots, such as ``hvm,paravirtual``; empty where unknown."""
    instance_store_gb: float = 0.0
    network_gbps: float | None = None
    """Baseline bandwidth of all network cards; bursts beyond it end. None where unknown."""
    ebs_mbps: float | None = None
    """Baseline throughput to EBS in megabytes a second. None where unknown."""

    @property
    def family(self) -> str:
        """``m5`` of ``m5.large``."""
        return self.name.partition(".")[0]

    @property
    def generation(self) -> int:
        """5 of ``m5.large``: the higher, the newer."""
        digits = re.search(r"\d+", self.family)
        return int(digits.group()) if digits else 0


@dataclass(frozen=True)
class Catalog:
    """Types by name, their on-demand USD per hour (Linux, shared tenancy), and where offered.

    A type without an on-demand price has no discount and so can be no candidate.
    """

    types: Mapping[str, InstanceType]
    on_demand_usd_per_hour: Mapping[str, float]
    zones: Mapping[str, frozenset[str]]
    """Type name -> availability zones that offer it (DescribeInstanceTypeOfferings)."""

    def matching(self, glob: str) -> frozenset[str]:
        """Names of the types that a glob such as ``m5*`` matches; remembered, for many workloads
        have the same few."""
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


OVERSIZE_FACTOR_MAX = 4.0
"""A type whose on-demand price is beyond this many times the home type's is not watched: spot
prices are seldom below a quarter of on-demand, so it could not cost less than the home type's own
pools."""


def fits_machine(candidate: InstanceType, home: InstanceType, *, may_burst: bool = False) -> bool:
    """Whether an instance of ``home``'s image can run on ``candidate`` at all.

    Same architecture, GPUs and other accelerators, no bare metal; burstable only in place of
    burstable (a fixed machine must not lose its CPU when credits run out) or where ``may_burst``;
    Nitro only in place of Nitro (the image's ENA and NVMe drivers are proven there); an instance
    store only in place of one that is no larger, for data that comes to lie on it would be lost by
    the next switch.
    """
    return (
        candidate.architecture == home.architecture
        and candidate.spot
        and not candidate.bare_metal
        and candidate.gpus == home.gpus
        and candidate.accelerators == home.accelerators
        and (home.burstable or may_burst or not candidate.burstable)
        and candidate.hypervisor == home.hypervisor
        and candidate.instance_store == home.instance_store
        and candidate.instance_store_gb >= home.instance_store_gb
    )


def types_that_matter(catalog: Catalog, homes: Iterable[str]) -> frozenset[str]:
    """The types whose spot prices are worth collecting for workloads with these home types."""
    matter: set[str] = set()
    for home_name in set(homes):
        home = catalog.types.get(home_name)
        home_price = catalog.on_demand_usd_per_hour.get(home_name)
        if home is None or home_price is None:
            continue
        matter.update(
            name
            for name, price in catalog.on_demand_usd_per_hour.items()
            if price <= OVERSIZE_FACTOR_MAX * home_price
            and name in catalog.types
            # Whether a workload may burst is on its tags; the few burstable types cost little more.
            and fits_machine(catalog.types[name], home, may_burst=True)
        )
    return frozenset(matter)
