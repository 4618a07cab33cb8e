"""What drivers and scenarios see of the world."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np

from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.world.events import WorldEvent
from simulator.world.model import (
    Instance,
)
from simulator.world.state import WorldState

_INSTANCE_ROLE = "arn:aws:iam::{}:role/workload"
INSTANCE_ROLE_ARN = _INSTANCE_ROLE.format(DEFAULT_ACCOUNT_ID)
"""The role in the instance profile of every instance that a user launches, in the default account."""


class WorldView:
    """Instances, tags, events and bills, past the API."""

    _state: WorldState

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the availability zones."""
        return tuple(zone.name for zone in self._state.zones)

    def subnets_in(self, availability_zone: str) -> tuple[str, ...]:
        """Ids of a zone's subnets, the default one first, then in the order in which they were added."""
        return tuple(
            subnet.subnet_id
            for subnet in self._state.subnets.values()
            if subnet.availability_zone == availability_zone
        )

    @property
    def instance_role_arn(self) -> str:
        """The role in the instance profile of every instance that a user launches."""
        return _INSTANCE_ROLE.format(self._state.account_id)

    @property
    def instances(self) -> Mapping[str, Instance]:
        """All instances ever launched, terminated ones too."""
        self.advance()
        return MappingProxyType(self._state.instances)

    def state_of(self, instance_id: str) -> str:
        """The state of an instance now."""
        return self.instances[instance_id].state_at(self._state.now())

    def tags_of(self, resource_id: str) -> Mapping[str, str]:
        """The tags of a resource now."""
        return MappingProxyType(dict(self._state.tags.get(resource_id, {})))

    def reseed(self, seed: int) -> None:
        """Make all later draws and ids from another seed."""
        self._state.seed = seed

    def advance(self) -> None:
        """Do, and publish, what is due."""
        self._state.settle()

    def next_due(self) -> datetime | None:
        """When something is due next; None when nothing is."""
        return self._state.next_due()

    def subscribe(self, subscriber: Callable[[WorldEvent], None]) -> None:
        """Call `subscriber` with every later event."""
        self._state.subscribe(subscriber)

    def bill(self, instance_id: str, start: datetime, end: datetime) -> float:
        """USD that an instance cost in [start, end], for the time it was running.

        Spot: the integral of its pool's price (before the first known price, that price);
        on-demand: the list price. Storage and traffic are not counted.
        """
        instance = self.instances[instance_id]
        spans = instance.running_between(start, min(end, self._state.now()))
        if instance.lifecycle == "on-demand":
            prices = self._state.on_demand_usd_per_hour
            if instance.instance_type not in prices:
                raise ValueError(f"{instance.instance_type} has no on-demand price")
            hours = sum((high - low).total_seconds() for low, high in spans) / 3600
            return hours * prices[instance.instance_type]
        pool = self._state.pools.get((instance.instance_type, instance.availability_zone))
        if pool is None:
            raise ValueError(
                f"{instance.instance_type}/{instance.availability_zone} has no spot price"
            )
        times, values = self._state.prices.changes(pool)
        return sum(
            _integral(times, values, low.timestamp(), high.timestamp()) for low, high in spans
        )


def _integral(times_s: Any, usd_per_hour: Any, low_s: float, high_s: float) -> float:
    first = max(int(np.searchsorted(times_s, low_s, side="right")) - 1, 0)
    last = int(np.searchsorted(times_s, high_s, side="left"))
    edges = np.concatenate(([low_s], times_s[first + 1 : last], [high_s])).astype(float)
    prices = usd_per_hour[first : first + len(edges) - 1]
    return float(np.dot(np.diff(edges), prices) / 3600)
