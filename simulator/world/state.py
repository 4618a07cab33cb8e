"""The state of the world, with its clock, its draws and its agenda."""

import hashlib
import heapq
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.limits import Limits, Span
from simulator.world.events import WorldEvent
from simulator.world.model import (
    Address,
    CapacityClosure,
    CheckFailure,
    Image,
    Instance,
    Interface,
    LaunchTemplate,
    PriceHistory,
    RouteTable,
    SecurityGroup,
    SpotRequest,
    Subnet,
    TargetGroup,
    Volume,
    Zone,
)


class WorldState:
    """Everything that exists, and the agenda of what is due.

    Draws are hashes of seed, purpose and key, so that a value never depends on how many other
    draws were made before it; ids come from one counter per kind.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        seed: int,
        account_id: str,
        region: str,
        zones: tuple[Zone, ...],
        prices: PriceHistory,
        on_demand_usd_per_hour: Mapping[str, float],
        limits: Limits,
    ) -> None:
        self._clock = clock
        self.seed = seed
        self.limits = limits
        self.account_id = account_id
        self.region = region
        self.zones = zones
        self.local_zones: list[Zone] = []
        self.prices = prices
        self.on_demand_usd_per_hour = on_demand_usd_per_hour
        # What the price list shows instead; None if it shows nothing.
        self.listed_usd_per_hour: dict[str, float | None] = {}
        self.pools = {(p.instance_type, p.availability_zone): p for p in prices.pools}
        self.instances: dict[str, Instance] = {}
        self.volumes: dict[str, Volume] = {}
        self.interfaces: dict[str, Interface] = {}
        self.addresses: dict[str, Address] = {}
        self.subnets: dict[str, Subnet] = {}
        self.route_tables: dict[str, RouteTable] = {}
        self.security_groups: dict[str, SecurityGroup] = {}
        self.images: dict[str, Image] = {}
        self.key_names: set[str] = set()
        # ARNs of customer managed keys with a grant for AWSServiceRoleForEC2Spot.
        self.keys_granted_to_spot: set[str | None] = set()
        self.disabled_keys: set[str | None] = set()
        self.snapshots: set[str] = set()
        """Ids of snapshots that belong to no image."""
        self.instance_profile_arns: set[str] = set()
        self.spot_requests: dict[str, SpotRequest] = {}
        self.launch_templates: dict[str, LaunchTemplate] = {}
        self.fleets: dict[str, dict[str, Any]] = {}
        self.target_groups: dict[str, TargetGroup] = {}
        self.classic_load_balancers: dict[str, tuple[str, ...]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.closures: list[CapacityClosure] = []
        self.check_failures: list[CheckFailure] = []
        self.quotas_vcpu: dict[tuple[str, str], int] = {}
        self.hidden_until: dict[tuple[str, str], datetime] = {}
        self.client_tokens: dict[tuple[str, str, str | None], tuple[str, Any]] = {}
        self.pages: OrderedDict[str, tuple[str, list[Any]]] = OrderedDict()
        self.vpc_id = ""
        self.main_route_table_id = ""
        self.caches: dict[str, Any] = {}
        self._subscribers: list[Callable[[WorldEvent], None]] = []
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._counts: dict[str, int] = {}
        self._moment: datetime | None = None

    def now(self) -> datetime:
        """Virtual time, UTC; while something due is done, the time at which it was due."""
        return self._moment or self._clock().astimezone(UTC)

    def count(self, kind: str) -> int:
        """The next number of a kind, from 1."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]

    def digest(self, *key: object) -> bytes:
        """Sixteen bytes that depend on the seed and the key only."""
        text = "\x1f".join(str(part) for part in (self.seed, *key))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def fraction(self, *key: object) -> float:
        """A draw in [0, 1)."""
        return int.from_bytes(self.digest(*key)[:7], "big") / 2**56

    def seconds(self, low: float, high: float, *key: object) -> timedelta:
        """A draw of a duration, uniform in [low, high) seconds, in whole milliseconds."""
        return timedelta(milliseconds=int(1000 * (low + (high - low) * self.fraction(*key))))

    def drawn(self, span: Span, *key: object) -> timedelta:
        """A draw of a duration within a span of the table of limits."""
        return self.seconds(span.low_s, span.high_s, *key)

    def new_id(self, prefix: str) -> str:
        """An id as EC2 makes them since 2016: prefix and 17 hexadecimal digits."""
        return f"{prefix}-0{self.digest('id', prefix, self.count(prefix)).hex()[:16]}"

    def at(self, when: datetime, action: Callable[[], None]) -> None:
        """Do `action` when the world settles at or after `when`."""
        heapq.heappush(self._agenda, (when, self.count("agenda"), action))

    def settle(self) -> None:
        """Do what is due, in the order of time."""
        before = self._moment
        try:
            while self._agenda and self._agenda[0][0] <= (before or self.now()):
                when, _, action = heapq.heappop(self._agenda)
                self._moment = when
                action()
                self._moment = before
        finally:
            self._moment = before

    def next_due(self) -> datetime | None:
        """When the next entry of the agenda is due."""
        return self._agenda[0][0] if self._agenda else None

    def subscribe(self, subscriber: Callable[[WorldEvent], None]) -> None:
        """Call `subscriber` with every later event."""
        self._subscribers.append(subscriber)

    def publish(self, event: WorldEvent) -> None:
        """Call all subscribers, in the order of their subscriptions."""
        for subscriber in self._subscribers:
            subscriber(event)

    def zone_id(self, name: str) -> str:
        """The zone id of a zone name of this region, a Local Zone's too."""
        zones = (*self.zones, *self.local_zones)
        return next(zone.zone_id for zone in zones if zone.name == name)

    def instance_of_interface(self, interface_id: str | None) -> str | None:
        """The instance to which an interface is attached, if any."""
        interface = self.interfaces.get(interface_id or "")
        return interface.instance_id if interface else None

    def instance_of_private_ip(self, address: str) -> str | None:
        """The instance that has a private address now, if any."""
        for interface in self.interfaces.values():
            if address in interface.private_ips:
                return interface.instance_id
        return None
