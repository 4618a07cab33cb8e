"""The stored copy of the Spot Advisor, with the headers for conditional requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)

_KIND, _VERSION = "spot-advisor", 1


@dataclass(frozen=True)
class AdvisorCopy:
    """The last good copy of the Spot Advisor's buckets."""

    buckets: Mapping[str, int]
    """Instance type -> 0 to 4."""
    checked_at: datetime
    """When AWS last sent it or confirmed that it has not changed."""
    etag: str = ""
    last_modified: str = ""
    """Headers of AWS's answer; empty if it had none."""

    def age_hours(self, now: datetime) -> float:
        return (now - self.checked_at).total_seconds() / 3600

    def to_bytes(self) -> bytes:
        """Gzipped JSON; equal copies give equal bytes."""
        body = {
            "buckets": dict(self.buckets),
            "checked_at": self.checked_at.isoformat(),
            "etag": self.etag,
            "last_modified": self.last_modified,
        }
        return pack_json(_KIND, _VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> "AdvisorCopy":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        body = unpack_json(data, _KIND, _VERSION)
        try:
            checked_at = datetime.fromisoformat(body["checked_at"])
            return cls(body["buckets"], checked_at, body["etag"], body["last_modified"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedState(f"{_KIND}: a field is missing or not a time ({error})") from error
