"""Read price files as markets: one per region and uninterrupted stretch of its recording."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from price_files.columns import UnreadableFile
from price_files.dropped_rows import DroppedRows
from price_files.on_demand import ANY_REGION, OnDemandByRegion
from price_files.spot_prices import PriceRows, drop_unusable, read_rows
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges, Times
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

    On-demand prices come from a column of the files if there is one, else from ``on_demand``.

    Raises:
        UnreadableFile: the format or columns cannot be read, or there is no usable row.
        OSError: a file cannot be opened.
    """
    dropped: Counter[str] = Counter()
    total = 0
    by_region: dict[str, list[PriceRow]] = {}
    listed: dict[str, dict[str, float]] = {}
    for path in paths:
        rows = read_rows(path)
        total += len(rows.time_s)
        account = DroppedRows(len(rows.time_s))
        drop_unusable(rows, account)
        if not account.kept.any():
            raise UnreadableFile(f"path: {path} has no usable row; dropped: {account.counts}")
        dropped.update(account.counts)
        for region, part in _by_region(rows, account.kept):
            by_region.setdefault(region, []).extend(part)
        for region, prices in _listed(rows).items():
            listed.setdefault(region, {}).update(prices)
    markets: list[Market] = []
    gaps = 0
    for region in sorted(by_region):
        prices_here = {**_of_region(on_demand or {}, region), **listed.get(region, {})}
        stretches = _stretches(by_region[region])
        gaps += len(stretches) - 1
        for stretch in stretches:
            changes, cleaning = PriceChanges().merge(stretch, prices_here)
            dropped.update(cleaning.dropped)
            dropped.update({"duplicate": cleaning.repeated, "conflict": cleaning.corrected})
            if changes.pools:
                times = [row[1] for row in stretch]
                markets.append(Market(region, changes, prices_here, min(times), max(times)))
    return ReadMarkets(
        tuple(markets), total, {reason: n for reason, n in dropped.items() if n}, gaps
    )


def _of_region(on_demand: OnDemandByRegion, region: str) -> Mapping[str, float]:
    return on_demand.get(region, on_demand.get(ANY_REGION, {}))


def _by_region(rows: PriceRows, kept: NDArray[np.bool_]) -> Iterator[tuple[str, list[PriceRow]]]:
    used = np.flatnonzero(kept)
    if rows.time_s[used[0]] > rows.time_s[used[-1]]:
        used = used[::-1]  # AWS returns the newest first; the newer of two rows must win
    region_names = sorted({region for region in rows.regions if region is not None})
    region_of = np.array([region_names.index(r) if r else -1 for r in rows.regions])
    for number, name in enumerate(region_names):
        here = used[region_of[rows.zone_code[used]] == number]
        if len(here):
            yield name, _price_rows(rows, here)


def _price_rows(rows: PriceRows, here: Times) -> list[PriceRow]:
    code = rows.type_code[here] * len(rows.zones) + rows.zone_code[here]
    pools = {
        c: Pool(rows.types[c // len(rows.zones)], rows.zones[c % len(rows.zones)])
        for c in np.unique(code).tolist()
    }
    return [
        (pools[c], time_s, price)
        for c, time_s, price in zip(
            code.tolist(),
            rows.time_s[here].tolist(),
            rows.spot_usd_per_hour[here].tolist(),
            strict=True,
        )
    ]


def _listed(rows: PriceRows) -> dict[str, dict[str, float]]:
    """On-demand prices from a column of the file, by region and type."""
    if rows.on_demand_usd_per_hour is None:
        return {}
    listed: dict[str, dict[str, float]] = {}
    usable = np.isfinite(rows.on_demand_usd_per_hour) & (rows.on_demand_usd_per_hour > 0)
    usable &= (rows.type_code >= 0) & (rows.zone_code >= 0)
    code = rows.type_code * len(rows.zones) + rows.zone_code
    present, first = np.unique(code[usable], return_index=True)
    prices = rows.on_demand_usd_per_hour[usable][first]
    for c, price in zip(present.tolist(), prices.tolist(), strict=True):
        region = rows.regions[c % len(rows.zones)]
        if region is not None:
            listed.setdefault(region, {})[rows.types[c // len(rows.zones)]] = price
    return listed


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
