"""Read price files as markets: one per region and uninterrupted stretch of its recording."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from price_files.files import UnreadableFile
from price_files.on_demand import ANY_REGION, OnDemandByRegion
from price_files.spot_prices import PriceFile, read_prices_of
from simulator.market.on_demand import on_demand_prices
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool

FEED_GAP_S = 48 * 3_600
"""AWS restates every price within 24 h (measured: 32 h at most), so a region without a row for longer
was not recorded. What follows is a separate market, because nothing is known in between."""


@dataclass(frozen=True)
class Market:
    """Prices of one region without a gap in the recording."""

    region: str
    changes: PriceChanges
    on_demand_usd_per_hour: Mapping[str, float]
    start_s: int
    end_s: int
    """Time of the region's last row: prices are known until then."""


@dataclass(frozen=True)
class ReadMarkets:
    """Markets of price files, and the dropped rows."""

    markets: tuple[Market, ...]
    rows: int
    dropped: Mapping[str, int]
    """Reason -> dropped rows."""
    feed_gaps: int
    """Number of gaps of more than 48 h in the recording of a region."""


def read_markets(paths: Sequence[Path], on_demand: OnDemandByRegion | None = None) -> ReadMarkets:
    """The markets of all ``paths``; of rows with the same pool and time the later wins.

    On-demand prices come from a column of the files if there is one, else from ``on_demand``. Spot
    prices above ten times these, or else the bundled ones of us-east-1, are dropped.

    Raises UnreadableFile: a file cannot be opened or read, or has no usable row, or ``on_demand`` has
    none of the regions.
    """
    dropped: Counter[str] = Counter()
    total = 0
    by_region: dict[str, list[PriceRow]] = {}
    listed: dict[str, dict[str, float]] = {}
    for path in paths:
        file = read_prices_of(path)
        total += file.read
        dropped.update(file.dropped)
        for region, part in _by_region(file):
            by_region.setdefault(region, []).extend(part)
        for region, prices in file.on_demand_usd_per_hour.items():
            listed.setdefault(region, {}).update(prices)
    _refuse_other_regions(on_demand or {}, by_region)
    markets: list[Market] = []
    gaps = 0
    for region in sorted(by_region):
        prices_here = {**_of_region(on_demand or {}, region), **listed.get(region, {})}
        bundled = on_demand_prices({pool.instance_type for pool, _, _ in by_region[region]})
        stretches = _stretches(by_region[region])
        gaps += len(stretches) - 1
        for stretch in stretches:
            changes, cleaning = PriceChanges().merge(stretch, {**bundled, **prices_here})
            dropped.update(cleaning.dropped)
            dropped.update({"duplicate": cleaning.repeated, "conflict": cleaning.corrected})
            if changes.pools:
                times = [row[1] for row in stretch]
                markets.append(Market(region, changes, prices_here, min(times), max(times)))
    if not markets:
        counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise UnreadableFile(f"{', '.join(map(str, paths))}: no row is usable: {counts}")
    return ReadMarkets(
        tuple(markets), total, {reason: n for reason, n in dropped.items() if n}, gaps
    )


def _of_region(on_demand: OnDemandByRegion, region: str) -> Mapping[str, float]:
    return on_demand.get(region, on_demand.get(ANY_REGION, {}))


def _refuse_other_regions(on_demand: OnDemandByRegion, regions: Collection[str]) -> None:
    if on_demand and not any(_of_region(on_demand, region) for region in regions):
        there, wanted = ", ".join(sorted(on_demand)[:9]), ", ".join(sorted(regions)[:9])
        raise UnreadableFile(f"--on-demand: no on-demand price of {wanted}; there is {there}")


def _by_region(file: PriceFile) -> Iterator[tuple[str, list[PriceRow]]]:
    pools = [Pool(pool.instance_type, file.zone_of(pool)) for pool in file.pools]
    regions = sorted({pool.region for pool in file.pools})
    region_of = np.array([regions.index(pool.region) for pool in file.pools])[file.pool_index]
    for number, name in enumerate(regions):
        here = region_of == number
        index, time_s = file.pool_index[here].tolist(), file.time_s[here].tolist()
        prices = file.usd_per_hour[here].tolist()
        yield name, [(pools[i], t, p) for i, t, p in zip(index, time_s, prices, strict=True)]


def _stretches(rows: list[PriceRow]) -> list[list[PriceRow]]:
    """Rows between gaps of the recording, each in the order of the file."""
    times = np.array([row[1] for row in rows], dtype=np.int64)
    ordered = np.sort(times)
    begins = ordered[1:][np.diff(ordered) > FEED_GAP_S]
    part = np.searchsorted(begins, times, side="right")
    stretches: list[list[PriceRow]] = [[] for _ in range(len(begins) + 1)]
    for row, number in zip(rows, part.tolist(), strict=True):
        stretches[number].append(row)
    return stretches
