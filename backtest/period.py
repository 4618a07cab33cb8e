"""The stretch of a recorded market that is replayed, hour by hour."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from backtest.billing import hourly_means
from models.markets import Market
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.market.compatibility import types_to_collect
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.vocabulary import Pool

HOUR_S = 3_600
DAY_HOURS = 24
WARM_UP_DAYS = 8
"""Left out at the beginning unless days are given: volatility looks back a week."""
_CADENCE_HOURS = 7 * DAY_HOURS


@dataclass(frozen=True, eq=False)
class Period:
    """T hours of P pools. Hour t begins at ``start_s + t * HOUR_S``; USD per hour, NaN if unknown."""

    region: str
    market: Market
    """Only the pools of the types that matter, and everything that was recorded of them."""
    catalog: Catalog
    start_s: int
    price: Floats
    """Shape (T, P): in force when each hour begins."""
    next_price: Floats
    """Shape (T, P): in force when it ends. Nobody but a perfect forecast and the optimum knows it."""
    billed: Floats
    """Shape (T, P): the cost of each hour for an instance that runs throughout."""
    hours_between_changes: Floats
    """Shape (T, P): mean over the week before each hour, a week for a pool that did not change."""

    @property
    def hours(self) -> int:
        """T."""
        return len(self.price)

    @property
    def changes(self) -> PriceChanges:
        """The recorded changes, those after the period too."""
        return self.market.changes

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The P pools, in the order of the columns."""
        return self.market.changes.pools

    def at_s(self, hour: int) -> int:
        """Epoch seconds at which an hour begins."""
        return self.start_s + hour * HOUR_S


def period_of(
    market: Market,
    types: Mapping[str, InstanceType],
    homes: Collection[str],
    *,
    days: float | None,
    until_s: int | None,
) -> Period:
    """The last ``days`` of a market up to ``until_s``; by default all but the first eight.

    Only pools that matter to one of the home types are kept, as the deployed product collects no
    others. Raises ValueError where the prices do not reach that far, or none of them matters.
    """
    prices = {n: usd for n, usd in market.on_demand_usd_per_hour.items() if n in types and usd > 0}
    there = {pool.instance_type for pool in market.changes.pools}
    zones: dict[str, frozenset[str]] = {}
    for pool in market.changes.pools:
        zones[pool.instance_type] = zones.get(pool.instance_type, frozenset()) | {
            pool.availability_zone
        }
    known = {name: t for name, t in types.items() if name in there or name in homes}
    catalog = Catalog(known, prices, zones)
    matter = types_to_collect(catalog, homes)
    changes = market.changes.restrict(matter)
    if not changes.pools:
        raise ValueError(
            f"{market.region}: no pool fits {', '.join(sorted(homes))}; "
            f"the file has {len(there)} types, with a known on-demand price {len(there & set(prices))}"
        )
    start_s, hours = _span(market, days, until_s)
    times_s = start_s + HOUR_S * np.arange(hours + 1, dtype=np.int64)
    every = changes.prices_at(times_s).T
    rows = changes.rows_at(times_s[:-1])
    before = np.maximum(
        changes.rows_at(times_s[:-1] - _CADENCE_HOURS * HOUR_S), changes.first_row[:-1, None]
    )
    return Period(
        region=market.region,
        market=Market(
            market.region, changes, market.on_demand_usd_per_hour, market.start_s, market.end_s
        ),
        catalog=catalog,
        start_s=start_s,
        price=every[:-1],
        next_price=every[1:],
        billed=hourly_means(changes, start_s, hours),
        hours_between_changes=(_CADENCE_HOURS / np.maximum(rows - before, 1)).T,
    )


def _span(market: Market, days: float | None, until_s: int | None) -> tuple[int, int]:
    first_s = -(-market.start_s // HOUR_S) * HOUR_S
    end_s = min(market.end_s, until_s or market.end_s) // HOUR_S * HOUR_S
    there = (end_s - first_s) / (DAY_HOURS * HOUR_S)
    until = "" if until_s is None else " up to that day"
    covered = f"the prices of {market.region} cover {max(there, 0):.1f} days{until}"
    if there < 1:
        raise ValueError(f"{covered}; at least 1 is needed")
    wanted = days
    if wanted is None:
        wanted = there - WARM_UP_DAYS if there > WARM_UP_DAYS + 1 else there
    if not 1 <= wanted <= there:
        raise ValueError(
            f"--days {wanted:g}: {covered}; allowed are 1 to {math.floor(100 * there) / 100:g}"
        )
    hours = int(wanted * DAY_HOURS)
    return end_s - hours * HOUR_S, hours
