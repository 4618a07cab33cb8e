"""Price histories from files: recorded markets.

Spot prices are read by `price_files.spot_prices`, as the stack's import reads them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from price_files.files import UnreadableFile
from price_files.spot_prices import FilePool, counted, read_prices_of, too_high
from simulator.market.history import Pool, PriceHistory


@dataclass(frozen=True)
class RecordedPrices:
    """A market read from a file, and what of the file it leaves out.

    Attributes:
        history: the price changes of one region's Linux pools.
        region: the region that was read.
        other_regions: further regions in the file, left out.
        zones_are_ids: zones are ids (use1-az4), which differ from an account's zone names.
        product_assumed: the file has no product column, so all rows were taken as Linux.
        dropped_rows: rows left out, by reason; reasons without a row are absent. `duplicate` (same
            pool, time and price) and `conflict` (same pool and time, another price; the newer row won)
            are counted too.
        samples: a value that was left out, by reason.
    """

    history: PriceHistory
    region: str
    other_regions: tuple[str, ...]
    zones_are_ids: bool
    product_assumed: bool
    dropped_rows: Mapping[str, int]
    samples: Mapping[str, str]


def read_prices(
    path: Path | str,
    *,
    region: str | None = None,
    on_demand_of: Callable[[str], Mapping[str, float]] | None = None,
) -> RecordedPrices:
    """Read recorded spot prices of one region.

    Of rows that disagree on one pool and time the newer wins: the later in the file, or the
    earlier where the file runs from the newest to the oldest, as AWS answers.

    Args:
        region: which one to read; unless given, the one with the most pools.
        on_demand_of: on-demand prices of a region; spot prices far above them are left out.

    Raises:
        UnreadableFile: the file cannot be opened or read, has no usable row, or not `region`.
    """
    path = Path(path)
    file = read_prices_of(path)
    chosen, others = _choose_region(file.pools, region, path)
    dropped = dict(file.dropped)
    elsewhere = np.array([pool.region != chosen for pool in file.pools])[file.pool_index]
    faults = {"zone is in another region": elsewhere}
    if on_demand_of is not None:
        faults |= too_high(file, on_demand_of(chosen))
    kept = np.ones(len(elsewhere), dtype=bool)
    for reason, rows in faults.items():
        _count(dropped, reason, int((kept & rows).sum()))
        kept &= ~rows
    if not kept.any():
        raise UnreadableFile(f"{path}: no row is usable: {counted(dropped, file.samples)}")
    of_file = [Pool(pool.instance_type, file.zone_of(pool)) for pool in file.pools]
    pools = sorted(set(of_file))
    place = {pool: number for number, pool in enumerate(pools)}
    number = np.array([place[pool] for pool in of_file])
    pool_index = number[file.pool_index[kept]]
    time_s, prices = file.time_s[kept], file.usd_per_hour[kept]
    _count_repeats(dropped, pool_index, time_s, prices)
    return RecordedPrices(
        history=PriceHistory.from_rows(pools, pool_index, time_s, prices),
        region=chosen,
        other_regions=others,
        zones_are_ids=file.zones_are_ids,
        product_assumed=file.product_assumed,
        dropped_rows=dropped,
        samples=file.samples,
    )


def _choose_region(
    pools: Iterable[FilePool], wanted: str | None, path: Path
) -> tuple[str, tuple[str, ...]]:
    """The region to read and the others."""
    pools_of_region: dict[str, int] = {}
    for pool in pools:
        pools_of_region[pool.region] = pools_of_region.get(pool.region, 0) + 1
    if wanted is not None and wanted not in pools_of_region:
        there = ", ".join(sorted(pools_of_region))
        raise UnreadableFile(f"{path}: no row of region {wanted}; there is {there}")
    chosen = wanted or max(sorted(pools_of_region), key=lambda name: pools_of_region[name])
    return chosen, tuple(sorted(pools_of_region.keys() - {chosen}))


def _count_repeats(
    dropped: dict[str, int],
    pool: NDArray[np.int64],
    time_s: NDArray[np.int64],
    prices: NDArray[np.float64],
) -> None:
    """Count the rows that a newer row of the same pool and time replaces."""
    order = np.lexsort((time_s, pool))
    pool, time_s, prices = pool[order], time_s[order], prices[order]
    repeated = (pool[1:] == pool[:-1]) & (time_s[1:] == time_s[:-1])
    agrees = prices[1:] == prices[:-1]
    _count(dropped, "duplicate", int((repeated & agrees).sum()))
    _count(dropped, "conflict", int((repeated & ~agrees).sum()))


def _count(dropped: dict[str, int], reason: str, rows: int) -> None:
    if rows:
        dropped[reason] = rows
