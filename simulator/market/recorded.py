"""Price histories from files: recorded markets.

Spot prices are read by `price_files.spot_prices`, which lists the formats and spellings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from price_files.columns import UnreadableFile
from price_files.dropped_rows import DroppedRows
from price_files.spot_prices import drop_unusable, holds, read_rows
from price_files.zones import is_zone_id
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
        dropped_rows: rows left out, by reason: `other_product`, `other_region`, `no_instance_type`,
            `unknown_zone`, `unreadable_time`, `unusable_price` (not a number, zero, negative),
            `duplicate` (same pool, time and price) and `conflict` (same pool and time, another
            price; the newer row won). Reasons without a row are absent.
    """

    history: PriceHistory
    region: str
    other_regions: tuple[str, ...]
    zones_are_ids: bool
    product_assumed: bool
    dropped_rows: Mapping[str, int]


def read_prices(path: Path | str, *, region: str | None = None) -> RecordedPrices:
    """Read recorded spot prices of one region.

    Of rows that disagree on one pool and time the newer wins: the later in the file, or the
    earlier where the file runs from the newest to the oldest, as AWS answers. Times are taken as
    UTC unless they carry an offset.

    Args:
        region: which one to read; unless given, the one with the most pools.

    Raises:
        UnreadableFile: a format, a content or columns that cannot be read, or no usable row.
        ValueError: `region` is not in the file, or its zones are names and ids mixed.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    rows = read_rows(path)
    dropped = DroppedRows(len(rows.time_s))
    drop_unusable(rows, dropped)
    if not dropped.kept.any():
        raise UnreadableFile(f"path: {path} has no usable row; left out: {dropped.counts}")

    pool_code = rows.type_code * len(rows.zones) + rows.zone_code
    chosen, others = _choose_region(rows.regions, np.unique(pool_code[dropped.kept]), region)
    dropped.drop("other_region", ~holds(rows.regions, rows.zone_code, {chosen}))
    used_zones = {rows.zones[code] for code in np.unique(rows.zone_code[dropped.kept])}

    used = np.flatnonzero(dropped.kept)
    if rows.time_s[used[0]] > rows.time_s[used[-1]]:
        used = used[::-1]
    present, pool_index = np.unique(pool_code[used], return_inverse=True)
    pools = [
        Pool(rows.types[code // len(rows.zones)], rows.zones[code % len(rows.zones)])
        for code in present.tolist()
    ]
    time_s, prices = rows.time_s[used], rows.spot_usd_per_hour[used]
    dropped.count_repeats(pool_index, time_s, prices)
    return RecordedPrices(
        history=PriceHistory.from_rows(pools, pool_index, time_s, prices),
        region=chosen,
        other_regions=others,
        zones_are_ids=_zones_are_ids(used_zones),
        product_assumed=rows.is_linux is None,
        dropped_rows=dropped.counts,
    )


def _choose_region(
    regions: list[str | None], pool_codes: NDArray[np.int64], wanted: str | None
) -> tuple[str, tuple[str, ...]]:
    """The region to read and the others; `pool_codes` has one entry for each pool."""
    pools_of_region: dict[str, int] = {}
    for code in pool_codes.tolist():
        name = regions[code % len(regions)]
        assert name is not None, "rows without a known zone are left out before"
        pools_of_region[name] = pools_of_region.get(name, 0) + 1
    if wanted is not None and wanted not in pools_of_region:
        raise ValueError(
            f"region: {wanted} is not in the file, which has {_listed(pools_of_region)}"
        )
    chosen = wanted or max(sorted(pools_of_region), key=lambda name: pools_of_region[name])
    return chosen, tuple(sorted(pools_of_region.keys() - {chosen}))


def _zones_are_ids(zones: set[str]) -> bool:
    ids = {zone for zone in zones if is_zone_id(zone)}
    if ids and ids != zones:
        raise ValueError(
            f"availability zone: names and ids are mixed ({_listed(zones)}); use one kind, "
            "for an id is another zone name in every account"
        )
    return bool(ids)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
