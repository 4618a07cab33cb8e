"""Read recorded spot prices column by column.

Formats: Parquet, CSV (plain or gzip), and JSON as `aws ec2 describe-spot-price-history` prints it.
Columns are found by their common spellings; case, `_`, `-` and spaces make no difference. Other
columns are ignored:

| meaning | spellings | source |
|---|---|---|
| time | Timestamp, Time, DateTime, Date | AWS, SpotLake, Kaggle "AWS Spot Pricing Market" |
| instance type | InstanceType, instance_type, Instance | AWS and all archives |
| zone | AvailabilityZone, AZ, Zone, AvailabilityZoneId, AZ_ID | AWS, SpotLake |
| price | SpotPrice, spot_price, Price, usd_per_hour | AWS, SpotLake, Kaggle |
| product (optional) | ProductDescription, Product, OS, operating_system | AWS, Kaggle |
| on-demand price (optional) | on_demand_price, on_demand_usd_per_hour | SpotLake |

Kaggle's set has the zone in a column named `region`; it is used if no other column has a zone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from price_files.columns import (
    UNKNOWN_TIME_S,
    epoch_seconds,
    find_column,
    numbers,
    read_table,
    require_columns,
    text_codes,
)
from price_files.dropped_rows import DroppedRows
from price_files.zones import region_of_zone

_TIME = ("Timestamp", "Time", "DateTime", "Date")
_INSTANCE_TYPE = ("InstanceType", "Instance")
_ZONE = ("AvailabilityZone", "AZ", "Zone", "AvailabilityZoneId", "AZ_ID")
_SPOT_PRICE = ("SpotPrice", "Price", "usd_per_hour")
_PRODUCT = ("ProductDescription", "Product", "OS", "operating_system")
_REGION = ("Region",)
_ON_DEMAND_PRICE = ("OnDemandPrice", "on_demand_usd_per_hour")
_LINUX = ("linux/unix", "linux/unix (amazon vpc)", "linux")


@dataclass(frozen=True)
class PriceRows:
    """A file's rows in columns; text is an index into its distinct values, -1 if it is missing."""

    types: list[str]
    type_code: NDArray[np.int64]
    zones: list[str]
    zone_code: NDArray[np.int64]
    regions: list[str | None]  # of each zone
    time_s: NDArray[np.int64]
    spot_usd_per_hour: NDArray[np.float64]
    is_linux: NDArray[np.bool_] | None  # None without a product column
    on_demand_usd_per_hour: NDArray[np.float64] | None  # None without such a column


def read_rows(path: Path) -> PriceRows:
    """Read a file of spot prices. Raises UnreadableFile and OSError."""
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
        is_linux = holds([product.lower() for product in products], product_code, _LINUX)
    listed_column = find_column(table, _ON_DEMAND_PRICE)
    return PriceRows(
        types=types,
        type_code=type_code,
        zones=zones,
        zone_code=zone_code,
        regions=[region_of_zone(zone) for zone in zones],
        time_s=epoch_seconds(table, time_column),
        spot_usd_per_hour=numbers(table, price_column),
        is_linux=is_linux,
        on_demand_usd_per_hour=numbers(table, listed_column) if listed_column else None,
    )


def drop_unusable(rows: PriceRows, dropped: DroppedRows) -> None:
    """Drop rows of other products, and rows without a type, zone, time or positive price."""
    prices = rows.spot_usd_per_hour
    if rows.is_linux is not None:
        dropped.drop("other_product", ~rows.is_linux)
    named = {name for name in rows.types if name}
    dropped.drop("no_instance_type", ~holds(rows.types, rows.type_code, named))
    known = {region for region in rows.regions if region is not None}
    dropped.drop("unknown_zone", ~holds(rows.regions, rows.zone_code, known))
    dropped.drop("unreadable_time", rows.time_s == UNKNOWN_TIME_S)
    dropped.drop("unusable_price", ~(np.isfinite(prices) & (prices > 0)))


def holds(
    values: Sequence[str | None], code: NDArray[np.int64], accepted: Collection[str]
) -> NDArray[np.bool_]:
    """Per row: whether its value is accepted; a missing value (code -1, the last slot) is not."""
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
