"""The Spot Advisor file as AWS serves it, from buckets that are drawn or set.

Source: https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json (shape; five ranges).
The default shares of the buckets are milder than what AWS shows for us-east-1, where close to a
half is in the worst one: a demo needs somewhere to go.
"""

import json
from collections.abc import Mapping
from hashlib import md5

from simulator.world.catalog import instance_types, memory_gib, offerings, vcpus
from simulator.world.state import WorldState

URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
DEFAULT_SHARES = (0.30, 0.22, 0.15, 0.10, 0.23)

_RANGES = [
    {"index": 0, "label": "<5%", "dots": 0, "max": 5},
    {"index": 1, "label": "5-10%", "dots": 1, "max": 11},
    {"index": 2, "label": "10-15%", "dots": 2, "max": 16},
    {"index": 3, "label": "15-20%", "dots": 3, "max": 22},
    {"index": 4, "label": ">20%", "dots": 4, "max": 100},
]


class SpotAdvisor:
    """Interruption buckets of the region's types, 0 (<5 %) to 4 (>20 %) a month."""

    def __init__(
        self,
        state: WorldState,
        *,
        shares: tuple[float, ...] = DEFAULT_SHARES,
        buckets: Mapping[str, int] | None = None,
    ) -> None:
        if len(shares) != len(_RANGES) or abs(sum(shares) - 1) > 1e-9 or min(shares) < 0:
            raise ValueError(f"shares: {shares!r} must be five fractions that sum to 1")
        self._state = state
        self._shares = shares
        self._set: dict[str, int] = {}
        for instance_type, bucket in (buckets or {}).items():
            self.set(instance_type, bucket)

    def set(self, instance_type: str, bucket: int) -> None:
        """From now on the file shows this bucket for a type."""
        if instance_type not in instance_types():
            raise ValueError(f"instance_type: {instance_type!r} is not an instance type")
        if bucket not in range(len(_RANGES)):
            raise ValueError(f"bucket: {bucket!r} must be 0 to 4")
        self._set[instance_type] = bucket

    def bucket(self, instance_type: str) -> int:
        """The bucket of a type."""
        if instance_type in self._set:
            return self._set[instance_type]
        draw = self._state.fraction("advisor", self._state.region, instance_type)
        for number, share in enumerate(self._shares):
            draw -= share
            if draw < 0:
                return number
        return len(self._shares) - 1

    def answer(self, asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """S3's answer to a GET: the file, or 304 without it if the ETag still matches (S3 API
        reference, GetObject, If-None-Match)."""
        body = self.document()
        headers = {"Content-Type": "application/json", "ETag": f'"{md5(body).hexdigest()}"'}
        if asked.get("If-None-Match") == headers["ETag"]:
            return 304, headers, b""
        return 200, headers, body

    def document(self) -> bytes:
        """The file, with the savings that current prices give."""
        types = self._types()
        linux = {name: {"r": self.bucket(name), "s": self._saving(name)} for name in types}
        data = {
            "instance_types": {
                name: {"cores": vcpus(name), "emr": False, "ram_gb": memory_gib(name)}
                for name in types
            },
            "ranges": _RANGES,
            "global_rate": "<10%",
            "spot_advisor": {self._state.region: {"Linux": linux, "Windows": linux}},
        }
        return json.dumps(data).encode()

    def _types(self) -> list[str]:
        offered = offerings(self._state.region, "region")[self._state.region]
        return sorted(
            name for name in offered if "spot" in instance_types()[name]["SupportedUsageClasses"]
        )

    def _saving(self, instance_type: str) -> int:
        """Percent below on-demand, mean over zones; 70 where the market has no price."""
        full = self._state.on_demand_usd_per_hour.get(instance_type)
        prices = [
            price
            for zone in self._state.zones
            if (pool := self._state.pools.get((instance_type, zone.name))) is not None
            and (price := self._state.prices.price_at(pool, self._state.now())) is not None
        ]
        if not full or not prices:
            return 70
        return max(0, round(100 * (1 - sum(prices) / len(prices) / full)))
