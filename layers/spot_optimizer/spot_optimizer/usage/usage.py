"""A workload's usage as a decision sees it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """A workload's usage in vCPU and GiB, which remains valid after a change of type.

    ``recent_*`` are the last twelve five-minute means, oldest first, without the first 15 minutes after
    a launch. Memory is None if nothing reports it: unknown, not 0.
    """

    as_of: datetime
    cpu_p95_vcpu: float
    memory_p95_gib: float | None
    hours: float
    """Hours of data that the 7-day p95 figures are computed from."""
    recent_cpu_vcpu: tuple[float, ...] = ()
    recent_memory_gib: tuple[float, ...] = ()
    network_used_gbps: float | None = None
    """Highest hourly mean of seven days in the busier direction, gigabits per second; None if it was not
    read."""
    ebs_used_mbps: float | None = None
    """Highest hourly mean of seven days to and from EBS, megabytes per second; None if it was not
    read."""
