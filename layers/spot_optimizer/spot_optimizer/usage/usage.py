"""A workload's usage as a decision sees it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What a workload uses, in vCPU and GiB, so that it survives a change of type.

    ``recent_*`` are the last twelve five-minute means, oldest first, the first 15 minutes after a
    launch already left out. Memory is None where nothing reports it: unknown, never 0.
    """

    as_of: datetime
    cpu_p95_vcpu: float
    memory_p95_gib: float | None
    hours: float
    """Hours of data behind the 7-day p95 figures."""
    recent_cpu_vcpu: tuple[float, ...] = ()
    recent_memory_gib: tuple[float, ...] = ()
    network_used_gbps: float | None = None
    """Highest hourly mean of seven days, gigabits a second, in the busier direction; None where it
    was not read."""
    ebs_used_mbps: float | None = None
    """Highest hourly mean of seven days, megabytes a second to and from EBS; None where it was not
    read."""
