"""Read a user's file of on-demand prices: CSV or JSON, plain or gzipped.

- rows with an instance type, a price and optionally a region;
- a JSON object of prices by type;
- AWS's bulk price list as CSV, and what ``aws pricing get-products`` prints: only the prices that a Linux
  spot instance replaces count (on-demand, shared tenancy, no software, capacity in use).

Column names differ in case, ``_``, ``-`` and spaces as in ``price_file``.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from spot_optimizer.market.file_records import Records, Rows
from spot_optimizer.market.file_text import UnreadableFile, open_text, shown
from spot_optimizer.market.file_values import PRICES, read_usd
from spot_optimizer.market.on_demand import REQUIRED_ATTRIBUTES, Unfit, add_lower, read_product

ANY_REGION = "*"
"""The region of all prices in a file without a region column."""

OnDemandByRegion = Mapping[str, Mapping[str, float]]
"""Region -> instance type -> USD per hour."""

_MEANINGS: Mapping[str, tuple[str, ...]] = {
    # "API Name" and "Linux On Demand cost": instances.vantage.sh
    "instance type": ("InstanceType", "Instance", "API Name"),
    "on-demand price": (
        "OnDemandPrice",
        "on_demand_usd_per_hour",
        "on_demand",
        "PricePerUnit",
        "Linux On Demand cost",
    ),
    "price": ("usd_per_hour", "Price"),
    "region code": ("Region Code",),
    "region": ("Region",),
    # Columns of AWS's bulk price list (AWS Billing user guide, "Reading the service price list file").
    "term": ("TermType",),
    "unit": ("Unit",),
    "currency": ("Currency",),
    "operatingSystem": ("Operating System", "OS"),
    "tenancy": ("Tenancy",),
    "preInstalledSw": ("Pre Installed S/W", "PreInstalledSw"),
    "capacitystatus": ("CapacityStatus",),
    "market option": ("MarketOption",),
}
_REQUIRED = (("instance type",), ("on-demand price", "price"))
_ALLOWED = {
    "term": ("ondemand",),
    "unit": ("hrs",),
    "currency": ("usd",),
    "market option": ("ondemand",),
    **{name: (value.casefold(),) for name, value in REQUIRED_ATTRIBUTES.items()},
    "operatingSystem": ("linux", "linux/unix"),
}
_TYPE_NAME = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_NAMED = 5


@dataclass(frozen=True, slots=True)
class OnDemandFile:
    """On-demand prices of a file."""

    by_region: OnDemandByRegion
    """Under ``ANY_REGION`` if the file has no region column."""
    dropped: Mapping[str, int]
    """Reason -> rows, products or entries."""
    unpriced: tuple[str, ...]
    """Entries without a usable price, with what they have instead; the first five."""


def read_on_demand_file(file: BinaryIO, *, name: str = "") -> OnDemandFile:
    """Read the prices of a file. If a type has several, the lowest counts, so that no saving is
    overstated. Raises UnreadableFile if there is none."""
    return _Reader().read(file, name)


class _Reader:
    """Collects prices, and counts what is none."""

    def __init__(self) -> None:
        self._dropped: Counter[str] = Counter()
        self._unpriced: list[str] = []
        self._by_region: dict[str, dict[str, float]] = {}

    def read(self, file: BinaryIO, name: str) -> OnDemandFile:
        records = Records(open_text(file, name), _MEANINGS, _REQUIRED, self._rows_of)
        found: list[dict[str, str]] = []
        for texts in records:
            record = dict(zip(_MEANINGS, (text.strip() for text in texts), strict=True))
            if (reason := self._unfit(record, records.columns)) is None:
                found.append(record)
            else:
                self._dropped[reason] += 1
        price = "on-demand price" if "on-demand price" in records.columns else "price"
        region = "region code" if "region code" in records.columns else "region"
        for record in found:
            self._add(record, price, record[region] if region in records.columns else ANY_REGION)
        if not self._by_region:
            raise UnreadableFile(f"the file has no usable on-demand price{self._why()}")
        return OnDemandFile(self._by_region, dict(self._dropped), tuple(self._unpriced))

    def _add(self, record: Mapping[str, str], price: str, region: str) -> None:
        usd, name = read_usd(record[price]), record["instance type"].lower()
        if not 0 < usd < math.inf:
            self._dropped["no price above 0"] += 1
            if len(self._unpriced) < _NAMED:
                self._unpriced.append(f"{shown(name)} has {shown(record[price])}")
        elif not region:
            self._dropped["no region"] += 1
        elif not add_lower(self._by_region.setdefault(region.lower(), {}), name, usd):
            self._dropped["second price of a type"] += 1

    def _unfit(self, record: Mapping[str, str], columns: Mapping[str, str]) -> str | None:
        for meaning, allowed in _ALLOWED.items():
            if meaning in columns and record[meaning].casefold() not in allowed:
                return f"{columns[meaning]} {shown(record[meaning])}"
        if not _TYPE_NAME.fullmatch(record["instance type"].lower()):
            return "not an instance type"
        return None

    def _why(self) -> str:
        counts = [f"{count} {reason}" for reason, count in self._dropped.most_common(_NAMED)]
        unpriced = [*self._unpriced, f"allowed are {PRICES}"] if self._unpriced else []
        return f": {', '.join([*counts, *unpriced])}" if counts else ""

    def _rows_of(self, document: Any) -> Rows:
        """Rows of a JSON document: a list of rows, a row, prices by type, or GetProducts' answer."""
        if isinstance(document, dict) and isinstance(document.get("PriceList"), list):
            return self._products(document["PriceList"])
        if isinstance(document, dict) and all(_TYPE_NAME.fullmatch(name) for name in document):
            return [{"InstanceType": n, "OnDemandPrice": usd} for n, usd in document.items()]
        rows = document if isinstance(document, list) else [document]
        if not all(isinstance(row, dict) for row in rows):
            raise UnreadableFile(
                "the JSON must be rows, an object of prices by instance type, or the output of"
                " `aws pricing get-products`"
            )
        return rows

    def _products(self, products: list[Any]) -> Rows:
        for product in products:
            try:
                listed = read_product(product)
            except Unfit as reason:
                self._dropped[f"product: {reason}"] += 1
                continue
            yield {
                "InstanceType": listed.instance_type,
                "Region": listed.region,
                "OnDemandPrice": str(listed.usd_per_hour),
            }
