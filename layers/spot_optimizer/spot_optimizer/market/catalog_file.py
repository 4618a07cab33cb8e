"""Build the catalog from AWS's answers; write it to a file and read it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.market.instance_types import parse_instance_types, parse_offerings
from spot_optimizer.market.on_demand import DoubtedPrice, parse_price_list, settle_prices

_KIND, _VERSION = "catalog", 1
_BESIDE_TYPES = ("nitro_enclaves",)
"""Fields of types that are stored beside them, as type -> value: version 0.1.0 refuses a type with a
field that it does not know, and ignores what is beside."""


@dataclass(frozen=True, slots=True)
class CatalogBuilt:
    """A new catalog, and what was left out of it."""

    catalog: Catalog
    types_dropped: Mapping[str, int]
    """Reason -> rows of DescribeInstanceTypes."""
    products_dropped: Mapping[str, int]
    """Reason -> products of the price list."""
    doubted: tuple[DoubtedPrice, ...]
    """New prices that changed too much; the old prices stay."""
    unlisted: tuple[str, ...]
    """Types that EC2 still has but the price list no longer prices; the old prices stay."""


def build_catalog(
    *,
    type_rows: Iterable[Mapping[str, Any]],
    offering_rows: Iterable[Mapping[str, Any]],
    products: Iterable[str],
    region: str,
    previous: Catalog | None,
    accepted_prices: Collection[str] = (),
) -> CatalogBuilt:
    """Build the catalog of ``region`` from DescribeInstanceTypes, DescribeInstanceTypeOfferings and
    the price list. Prices of ``previous`` replace missing prices, and new prices that changed too much
    unless their type is in ``accepted_prices``."""
    types, types_dropped = parse_instance_types(type_rows)
    prices, products_dropped = parse_price_list(products, region)
    old_prices = previous.on_demand_usd_per_hour if previous else {}
    settled, doubted = settle_prices(prices, old_prices, accepted_prices)
    unlisted = {n: price for n, price in old_prices.items() if n in types and n not in prices}
    return CatalogBuilt(
        catalog=Catalog(types, {**settled, **unlisted}, parse_offerings(offering_rows)),
        types_dropped=types_dropped,
        products_dropped=products_dropped,
        doubted=doubted,
        unlisted=tuple(sorted(unlisted)),
    )


def catalog_to_bytes(catalog: Catalog) -> bytes:
    """Gzipped JSON; equal catalogs give equal bytes."""
    rows = [asdict(catalog.types[name]) for name in sorted(catalog.types)]
    beside = {field: {row["name"]: row.pop(field) for row in rows} for field in _BESIDE_TYPES}
    return pack_json(
        _KIND,
        _VERSION,
        {
            "types": rows,
            **beside,
            "on_demand_usd_per_hour": dict(catalog.on_demand_usd_per_hour),
            "zones": {name: sorted(zones) for name, zones in catalog.zones.items()},
        },
    )


def catalog_from_bytes(data: bytes) -> Catalog:
    """Read what ``catalog_to_bytes`` wrote. Raises DamagedState."""
    body = unpack_json(data, _KIND, _VERSION)
    try:
        types = [InstanceType(**row) for row in body["types"]]
        for field in _BESIDE_TYPES:
            values = body.get(field, {})
            types = [
                replace(t, **{field: values[t.name]}) if t.name in values else t for t in types
            ]
        zones = {name: frozenset(places) for name, places in body["zones"].items()}
        return Catalog({t.name: t for t in types}, dict(body["on_demand_usd_per_hour"]), zones)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedState(f"{_KIND}: a field is missing or has a wrong type ({error})") from error
