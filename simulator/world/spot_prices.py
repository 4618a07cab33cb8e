"""DescribeSpotPriceHistory over a recorded or generated market.

Source: API_DescribeSpotPriceHistory: with a start time, "the API returns the prices that apply
within the time range that you specified, from the start time to the end time", which means also
the last change before it of every pool; at most 90 days; newest first. A token may be an empty
string, and a page may be empty.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from simulator.limits import LIMITS
from simulator.world.errors import AwsError
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, matcher, remember, remembered, utc
from simulator.world.state import WorldState

_PRODUCT = "Linux/UNIX"
_PRODUCTS = tuple(
    name + suffix
    for name in (_PRODUCT, "Red Hat Enterprise Linux", "SUSE Linux", "Windows")
    for suffix in ("", " (Amazon VPC)")
)
_KEPT = timedelta(seconds=LIMITS.spot_price_history_s)
_PAGE = 1000
_EMPTY_PAGE_SHARE = 0.05


class PriceTable:
    """All changes of a market, in time order, ready to be sliced.

    times_s: int64 epoch seconds of all changes, ascending. pool_of: index of the pool of each
    change. Rows are built when first asked for and then kept.
    """

    def __init__(self, state: WorldState) -> None:
        self._state = state
        self.pools = tuple(state.prices.pools)
        columns = [state.prices.changes(pool) for pool in self.pools]
        times = np.concatenate([c[0] for c in columns]) if columns else np.empty(0, np.int64)
        values = np.concatenate([c[1] for c in columns]) if columns else np.empty(0)
        owner = np.repeat(np.arange(len(columns)), [len(c[0]) for c in columns])
        order = np.lexsort((owner, times))
        self.times_s, self.pool_of, self._values = times[order], owner[order], values[order]
        self._rows: list[Row | None] = [None] * len(order)
        # Per pool: the times of its changes and where they stand in the common order.
        by_pool = np.argsort(self.pool_of, kind="stable")
        bounds = np.searchsorted(self.pool_of[by_pool], np.arange(len(columns) + 1))
        self._places = [by_pool[a:b].tolist() for a, b in pairwise(bounds)]
        self._times = [self.times_s[places].tolist() for places in self._places]

    def places(self, pools: np.ndarray, start_s: float, end_s: float) -> list[int]:
        """Changes of the pools (a mask) in (start, end] and the last one at or before start of
        each, newest first."""
        low = int(np.searchsorted(self.times_s, start_s, side="right"))
        high = int(np.searchsorted(self.times_s, end_s, side="right"))
        inside = np.flatnonzero(pools[self.pool_of[low:high]]) + low
        before = []
        for pool in np.flatnonzero(pools).tolist():
            number = bisect_right(self._times[pool], start_s)
            if number:
                before.append(self._places[pool][number - 1])
        before.sort(reverse=True)
        newest_first: list[int] = inside[::-1].tolist()
        return newest_first + before

    def row(self, place: int) -> Row:
        """A change as the reply carries it."""
        row = self._rows[place]
        if row is None:
            pool = self.pools[self.pool_of[place]]
            row = {
                "AvailabilityZone": pool.availability_zone,
                "AvailabilityZoneId": self._state.zone_id(pool.availability_zone),
                "InstanceType": pool.instance_type,
                "ProductDescription": _PRODUCT,
                "SpotPrice": f"{self._values[place]:.6f}",
                "Timestamp": datetime.fromtimestamp(int(self.times_s[place]), UTC),
            }
            self._rows[place] = row
        return row


@operation("ec2", "DescribeSpotPriceHistory")
def describe_spot_price_history(state: WorldState, params: Params) -> Reply:
    """API_DescribeSpotPriceHistory: pages of 1,000, an empty token at the end."""
    name = "DescribeSpotPriceHistory"
    token = params.get("NextToken")
    rows = remembered(state, name, token) if token else _matching(state, params)
    size = params.get("MaxResults", _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value between 1 and {_PAGE}.",
        )
    if token and state.fraction("empty-page", token) < _EMPTY_PAGE_SHARE:
        size = 0
    following = remember(state, name, rows[size:])
    return {"SpotPriceHistory": rows[:size], "NextToken": following or ""}


def _matching(state: WorldState, params: Params) -> list[Row]:
    products = params.get("ProductDescriptions", [])
    unknown = [name for name in products if name not in _PRODUCTS]
    if unknown:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({unknown[0]}) for parameter productDescription is invalid. "
            f"Valid values are {', '.join(_PRODUCTS)}.",
        )
    if products and _PRODUCT not in products:
        return []
    now = state.now()
    start = max(utc(params.get("StartTime", now - _KEPT)), now - _KEPT)
    end = min(utc(params.get("EndTime", now)), now)
    if start > now:
        start = now
    if utc(params.get("EndTime", now)) < utc(params.get("StartTime", now - _KEPT)):
        raise AwsError("InvalidParameterValue", "EndTime must not be before StartTime")
    table = _table(state)
    places = table.places(_mask(state, table, params), start.timestamp(), end.timestamp())
    rows = [table.row(place) for place in places]
    paths = {
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "instance-type": "InstanceType",
        "product-description": "ProductDescription",
        "spot-price": "SpotPrice",
        "timestamp": "Timestamp",
    }
    return filtered(rows, params, paths)


def _table(state: WorldState) -> PriceTable:
    # Kept with the very history it was made of, so that another one is never answered from it.
    kept = state.caches.get("spot-prices")
    if kept is None or kept[0] is not state.prices:
        kept = (state.prices, PriceTable(state))
        state.caches["spot-prices"] = kept
    table: PriceTable = kept[1]
    return table


def _mask(state: WorldState, table: PriceTable, params: Params) -> np.ndarray[Any, Any]:
    wanted = [set(params.get("InstanceTypes", []))]
    zone = params.get("AvailabilityZone")
    of_type, of_zone = _filter_values(params, "instance-type", "availability-zone")
    key = (frozenset(wanted[0]), zone, of_type, of_zone)
    masks = state.caches.setdefault("spot-price-masks", {})
    if key not in masks:
        types, zones = matcher(of_type or ("*",)), matcher(of_zone or ("*",))
        masks[key] = np.array(
            [
                (not wanted[0] or pool.instance_type in wanted[0])
                and zone in (None, pool.availability_zone)
                and types(pool.instance_type)
                and zones(pool.availability_zone)
                for pool in table.pools
            ],
            dtype=bool,
        )
    mask: np.ndarray[Any, Any] = masks[key]
    return mask


def _filter_values(params: Params, *names: str) -> list[tuple[str, ...]]:
    found = {item.get("Name"): tuple(item.get("Values", ())) for item in params.get("Filters", ())}
    return [found.get(name, ()) for name in names]
