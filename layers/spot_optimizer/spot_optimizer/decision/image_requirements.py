"""What the image of a workload demands of an instance type."""

from dataclasses import dataclass

from spot_optimizer.market.catalog import InstanceType


@dataclass(frozen=True, slots=True)
class Image:
    """Facts of the image that DescribeInstances repeats; empty or None where it says nothing.

    Sources: EC2 user guide, "Instance launch behavior with EC2 boot modes", "Enhanced networking
    with ENA" and "Virtualization types". The driver for NVMe is proven by running on Nitro, which
    market/compatibility.py checks.
    """

    boot_mode: str = ""
    """``legacy-bios`` or ``uefi``: what it must be booted with; ``uefi-preferred`` takes either."""
    ena: bool | None = None
    """Whether the driver for enhanced networking is registered."""
    virtualization: str = ""

    def incompatibility(self, candidate: InstanceType) -> str:
        """What keeps the image from booting on ``candidate``, empty if nothing is known to."""
        modes, kinds = candidate.boot_modes, candidate.virtualization
        if modes and self.boot_mode in ("legacy-bios", "uefi") and self.boot_mode not in modes:
            return f"boot mode {self.boot_mode}, the type boots {modes}"
        if candidate.ena == "required" and self.ena is False:
            return "the type needs ENA, for which the image is not registered"
        if kinds and self.virtualization and self.virtualization not in kinds.split(","):
            return f"{self.virtualization} image, the type runs {kinds}"
        return ""
