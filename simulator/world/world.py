"""The world: the answers to AWS calls."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.limits import LIMITS, Limits
from simulator.permissions.demand import Demand
from simulator.world import (  # noqa: F401 - imported for the operations that they register
    advisor,
    classic_load_balancing,
    fleets,
    identities,
    instance_queries,
    load_balancing,
    price_list,
    spot_prices,
    spot_requests,
)
from simulator.world.advisor import SpotAdvisor
from simulator.world.authorization import demands_of, demands_of_overrides
from simulator.world.catalog import zones_of
from simulator.world.conditions import Conditions
from simulator.world.errors import AwsError, NotModelled
from simulator.world.metrics import Load
from simulator.world.model import (
    PriceHistory,
    Zone,
)
from simulator.world.operations import CHECKS_BEFORE_DRY_RUN, OPERATIONS, Params
from simulator.world.resources import Resources, furnish
from simulator.world.shapes import checked_reply
from simulator.world.state import WorldState
from simulator.world.users import UserActions


class World(UserActions, Resources, Conditions):
    """EC2, target groups, instance metrics, price list and Spot Advisor of one region.

    now: virtual time, timezone-aware. seed: all draws and ids follow from it. prices: the spot
    market; a pool without a price has no spot capacity. on_demand_usd_per_hour: what the price
    list shows and on-demand instances cost. advisor_buckets: Spot Advisor buckets (0 to 4) by
    type, drawn for all others. limits: its times and quotas.

    Nothing happens by timers: what is due happens at the next call or at `advance`.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        seed: int,
        account_id: str = DEFAULT_ACCOUNT_ID,
        region: str = "us-east-1",
        prices: PriceHistory,
        on_demand_usd_per_hour: Mapping[str, float],
        advisor_buckets: Mapping[str, int] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        zones = tuple(Zone(name, zone_id) for name, zone_id in zones_of(region))
        self._state = WorldState(
            now,
            seed=seed,
            account_id=account_id,
            region=region,
            zones=zones,
            prices=prices,
            on_demand_usd_per_hour=on_demand_usd_per_hour,
            limits=limits,
        )
        unknown = {pool.availability_zone for pool in prices.pools} - set(self.zones)
        if unknown:
            raise ValueError(
                f"prices: availability zones {sorted(unknown)} are not in {region}: {self.zones}"
            )
        self.advisor = SpotAdvisor(self._state, buckets=advisor_buckets)
        self.loads: dict[str, Load] = self._state.caches.setdefault("loads", {})
        furnish(self._state)

    def answers(self, service: str, operation: str) -> bool:
        """Whether this call is the world's to answer."""
        return service != "cloudwatch" or (service, operation) in OPERATIONS

    def handle(
        self, service: str, operation: str, params: Params, caller: object = None
    ) -> tuple[int, dict[str, Any]]:
        """Answer an AWS call: (HTTP status, parsed reply), an error as botocore parses it.

        params: as given to the client, validated by botocore. Raises NotModelled for what the
        world does not know, InvalidReply if it breaks AWS's own reply shapes.
        """
        state = self._state
        self.advance()
        handler = OPERATIONS.get((service, operation))
        if handler is None:
            raise NotModelled(f"{service}.{operation} is not modelled by the simulator")
        request_id = state.digest("request", state.count("request")).hex()
        try:
            if params.get("DryRun") and (service, operation) not in CHECKS_BEFORE_DRY_RUN:
                raise AwsError(
                    "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
                )
            reply = handler(state, params, caller)
        except AwsError as error:
            return error.status, error.reply(request_id)
        checked = checked_reply(service, operation, reply)
        checked["ResponseMetadata"] = {
            "RequestId": request_id,
            "HTTPStatusCode": 200,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        }
        return 200, checked

    def demands(self, operation: str, params: Params) -> tuple[Demand, ...]:
        """What a call of EC2 demands of IAM, as things are now."""
        return demands_of(self._state, operation, params)

    def override_demands(self, params: Params) -> Sequence[tuple[Params, tuple[Demand, ...]]]:
        """What each override of a CreateFleet demands besides, with its row of a reply."""
        return list(demands_of_overrides(self._state, params))

    def http(
        self, url: str, asked: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a GET with headers ``asked``: (status, headers, body); only the Spot Advisor is
        there."""
        if url != advisor.URL:
            return 404, {"Content-Type": "text/plain"}, b"not found"
        self.advance()
        return self.advisor.answer(asked)
