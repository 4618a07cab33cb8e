"""Read on-demand prices from files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from price_files.columns import (
    UnreadableFile,
    find_column,
    numbers,
    read_table,
    require_columns,
    text_codes,
)

_INSTANCE_TYPE = ("InstanceType", "Instance")
ANY_REGION = "*"
"""The region of all prices in a file without a region column."""

OnDemandByRegion = Mapping[str, Mapping[str, float]]
"""Region -> instance type -> USD per hour."""

_REGION = ("Region",)
_ON_DEMAND_PRICE = (
    "usd_per_hour",
    "OnDemandPrice",
    "on_demand_usd_per_hour",
    "on_demand",
    "PricePerUnit",
    "Price",
)


def read_on_demand(path: Path | str, region: str) -> dict[str, float]:
    """On-demand prices of a region, USD per hour by instance type.

    Reads Parquet, CSV or JSON: rows with an instance type, a price (usd_per_hour, on_demand_price,
    OndemandPrice, PricePerUnit, Price) and optionally a region; or a JSON object of prices by type.
    Without a region column all rows are used. Of several prices for a type the last row wins; rows
    without a positive price are skipped.

    Raises:
        UnreadableFile: the format, content or columns cannot be read, or there is no usable row.
        ValueError: the file has a region column, but not `region`.
        OSError: the file cannot be opened.
    """
    by_region = read_on_demand_by_region(path)
    if ANY_REGION in by_region:
        return dict(by_region[ANY_REGION])
    if region not in by_region:
        raise ValueError(f"region: {region} is not in {path}, which has {_listed(by_region)}")
    return dict(by_region[region])


def read_on_demand_by_region(path: Path | str) -> OnDemandByRegion:
    """The same for every region of the file; ``ANY_REGION`` if it has no region column."""
    path = Path(path)
    by_type = _json_prices_by_type(path)
    if by_type is not None:
        return {ANY_REGION: by_type}
    table = read_table(path)
    type_column, price_column = require_columns(
        table, {"instance type": _INSTANCE_TYPE, "on-demand price": _ON_DEMAND_PRICE}, path
    )
    types, type_codes = text_codes(table, type_column)
    prices = numbers(table, price_column)
    usable = (type_codes >= 0) & np.isfinite(prices) & (prices > 0)
    region_column = find_column(table, _REGION)
    names, codes = [ANY_REGION], np.zeros(len(prices), dtype=np.int64)
    if region_column is not None:
        names, codes = text_codes(table, region_column)
        usable &= codes >= 0
    if not usable.any():
        raise UnreadableFile(f"path: {path} has no on-demand price above 0")
    by_region: dict[str, dict[str, float]] = {}
    for region, type_, price in zip(
        codes[usable].tolist(), type_codes[usable].tolist(), prices[usable].tolist(), strict=True
    ):
        by_region.setdefault(names[region], {})[types[type_]] = price
    return by_region


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
