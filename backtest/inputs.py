"""From files, or from an account, to the markets and requirements of a backtest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backtest.hazards import bucket_of_share, rate_of_share, rates_of_advisor
from backtest.period import Period, period_of
from backtest.requirements import Requirement
from backtest.runs import Market
from models.markets import Market as PriceMarket
from models.markets import read_markets
from price_files.on_demand import OnDemandByRegion
from simulator.market.on_demand import on_demand_prices
from simulator.world.catalog import instance_types
from spot_optimizer.market.advisor import AdvisorFileChanged, parse_advisor
from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.market.instance_types import parse_instance_types
from spot_optimizer.market.prices import Floats
from spot_optimizer.settings import Settings


@dataclass(frozen=True)
class Hazard:
    """Source of interruption rates: one monthly share for all pools, or the Spot Advisor."""

    share: float | None = None
    advisor: bytes | None = None
    """The Spot Advisor file; None with no share: every pool counts as one without an entry."""

    def of(self, period: Period) -> tuple[Floats, Mapping[str, int]]:
        """Interruptions per hour of each pool (P,), and the buckets that the engines see.

        Raises ValueError where the Spot Advisor file has no such region, or another shape."""
        if self.share is not None:
            bucket = bucket_of_share(self.share)
            return (
                np.full(len(period.pools), rate_of_share(self.share)),
                {pool.instance_type: bucket for pool in period.pools},
            )
        buckets: Mapping[str, int] = {}
        if self.advisor is not None:
            try:
                buckets = parse_advisor(self.advisor, period.region).buckets
            except AdvisorFileChanged as error:
                raise ValueError(f"Spot Advisor: {error}") from error
        return rates_of_advisor(period.pools, buckets), buckets


@dataclass(frozen=True)
class Wanted:
    """What workloads are asked about."""

    homes: tuple[str, ...]
    """Instance types; empty: drawn from the files."""
    sample: int
    """How many to draw."""
    globs: tuple[str, ...] | None
    """Types that they may use; None: their own type in every zone."""


def file_markets(
    paths: Sequence[Path], on_demand: OnDemandByRegion, region: str | None
) -> tuple[list[PriceMarket], dict[str, int]]:
    """The longest unbroken recording of each region, and reason -> number of ignored rows.

    Regions without any on-demand price get the bundled ones of us-east-1. Raises
    UnreadableFile, OSError, and ValueError for a region that is not there.
    """
    read = read_markets(paths, on_demand)
    longest: dict[str, PriceMarket] = {}
    for market in read.markets:
        best = longest.get(market.region)
        if best is None or market.end_s - market.start_s > best.end_s - best.start_s:
            longest[market.region] = market
    if region is not None:
        if region not in longest:
            raise ValueError(
                f"--region {region}: the files have none of it; allowed are"
                f" {', '.join(sorted(longest))}"
            )
        longest = {region: longest[region]}
    built_in = on_demand_prices(instance_types())
    markets = [
        m
        if m.on_demand_usd_per_hour
        else PriceMarket(m.region, m.changes, built_in, m.start_s, m.end_s)
        for m in longest.values()
    ]
    return markets, dict(read.dropped)


def known_types() -> Mapping[str, InstanceType]:
    """The bundled instance types, as EC2 describes them."""
    types, _ = parse_instance_types(instance_types().values())
    return types


def markets_of(
    markets: Sequence[PriceMarket],
    types: Mapping[str, InstanceType],
    wanted: Wanted,
    settings: Settings,
    hazard: Hazard,
    *,
    days: float | None,
    until_s: int | None,
    seed: int,
) -> list[Market]:
    """Each region with the requirements that it has prices for. Raises ValueError where none has."""
    homes = (
        _drawn(markets, types, wanted, seed) if wanted.sample else _asked(markets, types, wanted)
    )
    made: list[Market] = []
    for market in markets:
        here = homes.get(market.region, ())
        if here:
            period = period_of(market, types, here, days=days, until_s=until_s)
            rate, buckets = hazard.of(period)
            requirements = tuple(
                Requirement(
                    f"{home} in {market.region}" if len(markets) > 1 else home,
                    home,
                    (home,) if wanted.globs is None else wanted.globs,
                    settings,
                )
                for home in here
            )
            made.append(Market(period, requirements, rate, buckets))
    return made


def _asked(
    markets: Sequence[PriceMarket], types: Mapping[str, InstanceType], wanted: Wanted
) -> dict[str, tuple[str, ...]]:
    """Region -> the asked types that can be run there."""
    for home in wanted.homes:
        if home not in types:
            raise ValueError(f"--instance-type {home}: EC2 has no such type, or not as spot")
    by_region = {m.region: {p.instance_type for p in m.changes.pools} for m in markets}
    found: dict[str, tuple[str, ...]] = {}
    for market in markets:
        there = by_region[market.region]
        homes = tuple(
            home
            for home in wanted.homes
            if (home in there or wanted.globs is not None) and home in market.on_demand_usd_per_hour
        )
        if homes:
            found[market.region] = homes
    for home in wanted.homes:
        if not any(home in homes for homes in found.values()):
            raise ValueError(_why_not(home, markets, by_region))
    return found


def _why_not(
    home: str, markets: Sequence[PriceMarket], by_region: Mapping[str, Collection[str]]
) -> str:
    there = sorted({name for names in by_region.values() for name in names})
    if home not in there:
        some = ", ".join(there[:8])
        return (
            f"--instance-type {home}: no such type in the prices; allowed are the {len(there)} there,"
            f" such as {some}, or --flexible with a type that others fit"
        )
    regions = ", ".join(m.region for m in markets)
    return f"--instance-type {home}: no on-demand price of it in {regions}; give one by --on-demand"


def _drawn(
    markets: Sequence[PriceMarket], types: Mapping[str, InstanceType], wanted: Wanted, seed: int
) -> dict[str, tuple[str, ...]]:
    """``wanted.sample`` types drawn from those of all regions with a catalog entry, an on-demand
    price, and prices since the beginning."""
    every = sorted(
        {
            (market.region, pool.instance_type)
            for market in markets
            for pool in market.changes.pools
            if pool.instance_type in types
            and pool.instance_type in market.on_demand_usd_per_hour
            and not types[pool.instance_type].bare_metal
            and types[pool.instance_type].spot
        }
    )
    if not every:
        raise ValueError("--sample: the prices have no type with a known on-demand price")
    rng = np.random.default_rng(seed)
    count = min(wanted.sample, len(every))
    chosen = sorted(rng.choice(len(every), size=count, replace=False).tolist())
    homes: dict[str, tuple[str, ...]] = {}
    for number in chosen:
        region, name = every[number]
        homes[region] = (*homes.get(region, ()), name)
    return homes
