"""EC2 has announced that it will stop or retire the instance of a workload: a planned switch leaves it.

While there is time the switch is like any other: maintenance windows, not-before and limits hold it.
URGENT_BEFORE the date it is urgent, because an end by EC2 costs a failover.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

URGENT_BEFORE = timedelta(hours=6)
"""As long as the longest back-off: enough for several attempts in several pools, and far less than the
two weeks that EC2 usually gives."""


@dataclass(frozen=True, slots=True)
class ScheduledStop:
    """One announced stop or retirement of the instance that the workload runs on."""

    at: datetime
    """The earliest time at which EC2 does it."""
    code: str
    """What EC2 calls it, such as ``instance-retirement``."""

    def __str__(self) -> str:
        return f"EC2 will end the instance at {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: {self.code}"

    def is_near(self, now: datetime) -> bool:
        """Whether the switch has become urgent; also true after the date."""
        return now >= self.at - URGENT_BEFORE
