"""Price histories and on-demand prices from files: recorded markets.

Spot prices come from Parquet, CSV (plain or gzip) or JSON as `aws ec2 describe-spot-price-history`
prints it. Columns are found by their common spellings, whatever the case; `_`, `-` and spaces do
not matter; further columns are ignored:

| meaning | spellings | source |
|---|---|---|
| time | Timestamp, Time, DateTime, Date | AWS, SpotLake, Kaggle "AWS Spot Pricing Market" |
| instance type | InstanceType, instance_type, Instance | AWS and all archives |
| zone | AvailabilityZone, AZ, Zone, AvailabilityZoneId, AZ_ID | AWS, SpotLake |
| price | SpotPrice, spot_price, Price, usd_per_hour | AWS, SpotLake, Kaggle |
| product (optional) | ProductDescription, Product, OS, operating_system | AWS, Kaggle |

Kaggle's set keeps the zone in a column named `region`; that is understood where no other column
holds a zone.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulator.market.columns import (
    UNKNOWN_TIME_S,
    UnreadableFile,
    epoch_seconds,
    find_column,
    numbers,
    read_table,
    require_columns,
    text_codes,
)
from simulator.market.dropped_rows import DroppedRows
from simulator.market.history import Pool, PriceHistory
from simulator.market.zones import is_zone_id, region_of_zone

_TIME = ("Timestamp", "Time", "DateTime", "Date")
_INSTANCE_TYPE = ("InstanceType", "Instance")
_ZONE = ("AvailabilityZone", "AZ", "Zone", "AvailabilityZoneId", "AZ_ID")
_SPOT_PRICE = ("SpotPrice", "Price", "usd_per_hour")
_PRODUCT = ("ProductDescription", "Product", "OS", "operating_system")
_REGION = ("Region",)
_ON_DEMAND_PRICE = (
    "usd_per_hour",
    "OnDemandPrice",
    "on_demand_usd_per_hour",
    "on_demand",
    "PricePerUnit",
    "Price",
)
_LINUX = ("linux/unix", "linux/unix (amazon vpc)", "linux")


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
    rows = _read_rows(path)
    dropped = DroppedRows(len(rows.time_s))
    _leave_out_unusable(rows, dropped)
    if not dropped.kept.any():
        raise UnreadableFile(f"path: {path} has no usable row; left out: {dropped.counts}")

    pool_code = rows.type_code * len(rows.zones) + rows.zone_code
    chosen, others = _choose_region(rows.regions, np.unique(pool_code[dropped.kept]), region)
    dropped.leave_out("other_region", ~_holds(rows.regions, rows.zone_code, {chosen}))
    used_zones = {rows.zones[code] for code in np.unique(rows.zone_code[dropped.kept])}

    used = np.flatnonzero(dropped.kept)
    if rows.time_s[used[0]] > rows.time_s[used[-1]]:
        used = used[::-1]
    present, pool_index = np.unique(pool_code[used], return_inverse=True)
    pools = [
        Pool(rows.types[code // len(rows.zones)], rows.zones[code % len(rows.zones)])
        for code in present.tolist()
    ]
    time_s, prices = rows.time_s[used], rows.price_usd_per_hour[used]
    dropped.count_repeats(pool_index, time_s, prices)
    return RecordedPrices(
        history=PriceHistory.from_rows(pools, pool_index, time_s, prices),
        region=chosen,
        other_regions=others,
        zones_are_ids=_zones_are_ids(used_zones),
        product_assumed=rows.is_linux is None,
        dropped_rows=dropped.counts,
    )


def read_on_demand(path: Path | str, region: str) -> dict[str, float]:
    """On-demand prices of a region, USD per hour by instance type.

    Reads Parquet, CSV or JSON: rows with an instance type, a price (usd_per_hour, on_demand_price,
    OndemandPrice, PricePerUnit, Price) and perhaps a region; or a JSON object of prices by type.
    Without a region column every row is taken. Of several prices for a type the last row wins;
    rows without a positive price are skipped.

    Raises:
        UnreadableFile: a format, a content or columns that cannot be read, or no usable row.
        ValueError: the file has a region column without `region`.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    by_type = _json_prices_by_type(path)
    if by_type is not None:
        return by_type
    table = read_table(path)
    type_column, price_column = require_columns(
        table, {"instance type": _INSTANCE_TYPE, "on-demand price": _ON_DEMAND_PRICE}, path
    )
    types, type_codes = text_codes(table, type_column)
    prices = numbers(table, price_column)
    usable = (type_codes >= 0) & np.isfinite(prices) & (prices > 0)
    region_column = find_column(table, _REGION)
    if region_column is not None:
        names, codes = text_codes(table, region_column)
        if region not in names:
            raise ValueError(f"region: {region} is not in {path}, which has {_listed(names)}")
        usable &= codes == names.index(region)
    if not usable.any():
        raise UnreadableFile(f"path: {path} has no on-demand price above 0 for {region}")
    pairs = zip(type_codes[usable].tolist(), prices[usable].tolist(), strict=True)
    return {types[code]: price for code, price in pairs}


@dataclass(frozen=True)
class _Rows:
    """A file's rows in columns; text is a code into its distinct values, -1 where it is missing."""

    types: list[str]
    type_code: NDArray[np.int64]
    zones: list[str]
    zone_code: NDArray[np.int64]
    regions: list[str | None]  # of each zone
    time_s: NDArray[np.int64]
    price_usd_per_hour: NDArray[np.float64]
    is_linux: NDArray[np.bool_] | None  # None without a product column


def _read_rows(path: Path) -> _Rows:
    table = read_table(path, "SpotPriceHistory")
    found_zone = _zone_column(table)
    time_column, type_column, price_column, zone_column = require_columns(
        table,
        {
            "time": _TIME,
            "instance type": _INSTANCE_TYPE,
            "price": _SPOT_PRICE,
            "availability zone": _ZONE if found_zone is None else (found_zone,),
        },
        path,
    )
    types, type_code = text_codes(table, type_column)
    zones, zone_code = text_codes(table, zone_column)
    product_column = find_column(table, _PRODUCT)
    is_linux = None
    if product_column is not None:
        products, product_code = text_codes(table, product_column)
        is_linux = _holds([product.lower() for product in products], product_code, _LINUX)
    return _Rows(
        types=types,
        type_code=type_code,
        zones=zones,
        zone_code=zone_code,
        regions=[region_of_zone(zone) for zone in zones],
        time_s=epoch_seconds(table, time_column),
        price_usd_per_hour=numbers(table, price_column),
        is_linux=is_linux,
    )


def _leave_out_unusable(rows: _Rows, dropped: DroppedRows) -> None:
    prices = rows.price_usd_per_hour
    if rows.is_linux is not None:
        dropped.leave_out("other_product", ~rows.is_linux)
    named = {name for name in rows.types if name}
    dropped.leave_out("no_instance_type", ~_holds(rows.types, rows.type_code, named))
    known = {region for region in rows.regions if region is not None}
    dropped.leave_out("unknown_zone", ~_holds(rows.regions, rows.zone_code, known))
    dropped.leave_out("unreadable_time", rows.time_s == UNKNOWN_TIME_S)
    dropped.leave_out("unusable_price", ~(np.isfinite(prices) & (prices > 0)))


def _holds(
    values: Sequence[str | None], code: NDArray[np.int64], accepted: Collection[str]
) -> NDArray[np.bool_]:
    """Per row, whether its value is accepted; a missing one (code -1, the last slot) is not."""
    return np.array([value in accepted for value in values] + [False])[code]


def _zone_column(table: pa.Table) -> str | None:
    column = find_column(table, _ZONE)
    if column is not None:
        return column
    region_column = find_column(table, _REGION)
    if region_column is None:
        return None
    values, _ = text_codes(table, region_column)
    return region_column if any(region_of_zone(value) for value in values) else None


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


def _json_prices_by_type(path: Path) -> dict[str, float] | None:
    """The prices of a JSON object {instance type: USD per hour}; None for any other content."""
    if not path.name.lower().endswith(".json"):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"path: {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        return None
    wrong = {k: v for k, v in content.items() if not isinstance(v, int | float) or not v > 0}
    if wrong or not content:
        name, value = next(iter(wrong.items()), ("nothing", "nothing"))
        raise UnreadableFile(f"path: {path} gives {name} the price {value}; it must be above 0")
    return {name: float(value) for name, value in content.items()}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
