"""What the image of a workload, and what it was launched to do, require of an instance type."""

from dataclasses import dataclass

from spot_optimizer.market.catalog import InstanceType


@dataclass(frozen=True, slots=True)
class Image:
    """Attributes of the image as DescribeInstances reports them; empty or None if it reports none.

    Sources: EC2 user guide, "Instance launch behavior with EC2 boot modes", "Enhanced networking with
    ENA" and "Virtualization types". An image that runs on Nitro has an NVMe driver; that is checked in
    market/compatibility.py.
    """

    boot_mode: str = ""
    """``legacy-bios`` or ``uefi`` if the image needs that mode; ``uefi-preferred`` boots in either."""
    ena: bool | None = None
    """Whether the image is registered for enhanced networking (ENA)."""
    virtualization: str = ""
    enclave: bool = False
    """Whether the instance is enabled for Nitro Enclaves: EC2 refuses the launch of a type that cannot
    run one (DescribeInstanceTypes, ``NitroEnclavesSupport``). A type of which this is unknown may."""

    def incompatibility(self, candidate: InstanceType) -> str:
        """Why the image cannot boot on ``candidate``; empty if no reason is known."""
        modes, kinds = candidate.boot_modes, candidate.virtualization
        if modes and self.boot_mode in ("legacy-bios", "uefi") and self.boot_mode not in modes:
            return f"boot mode {self.boot_mode}, the type boots {modes}"
        if candidate.ena == "required" and self.ena is False:
            return "the type needs ENA, for which the image is not registered"
        if kinds and self.virtualization and self.virtualization not in kinds.split(","):
            return f"{self.virtualization} image, the type runs {kinds}"
        if self.enclave and candidate.nitro_enclaves == "unsupported":
            return "the type cannot run a Nitro Enclave"
        return ""
