"""The last good copy of the Spot Advisor, and what to ask so that it is sent only when it changed."""

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
    """Buckets as AWS last showed them."""

    buckets: Mapping[str, int]
    """Instance type -> 0 to 4."""
    checked_at: datetime
    """When AWS last sent it, or said that it had not changed."""
    etag: str = ""
    last_modified: str = ""
    """As AWS's answer had them; empty where it had none."""

    def age_hours(self, now: datetime) -> float:
        return (now - self.checked_at).total_seconds() / 3600

    def to_bytes(self) -> bytes:
        """Gzipped JSON, the same bytes for the same copy."""
        body = {
            "buckets": dict(self.buckets),
            "checked_at": self.checked_at.isoformat(),
            "etag": self.etag,
            "last_modified": self.last_modified,
        }
        return pack_json(_KIND, _VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> "AdvisorCopy":
        """What ``to_bytes`` wrote. Raises DamagedState."""
        body = unpack_json(data, _KIND, _VERSION)
        try:
            checked_at = datetime.fromisoformat(body["checked_at"])
            return cls(body["buckets"], checked_at, body["etag"], body["last_modified"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedState(f"{_KIND}: a field is missing or no time ({error})") from error
