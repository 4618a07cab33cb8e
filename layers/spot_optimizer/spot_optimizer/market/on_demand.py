"""Parse on-demand prices of the Price List API, and refuse prices that change too much."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

REQUIRED_ATTRIBUTES: Mapping[str, str] = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""Attributes of the on-demand product that a Linux spot instance replaces. GetProducts takes the same
as filters (AWS Price List Query API, attributes of service AmazonEC2)."""

CHANGE_FRACTION_MAX = 0.5
"""A price that changed by more than this at once is doubted: the old price stays, an alert is sent."""


def parse_price_list(
    products: Iterable[str], region: str
) -> tuple[dict[str, float], dict[str, int]]:
    """Type -> on-demand USD per hour, from GetProducts strings, and reason -> products dropped.

    Local and wavelength zones have a ``regionCode`` of their own and are dropped. If two products of
    a type differ in price, the lower price counts, so that no saving is overstated.
    """
    prices: dict[str, float] = {}
    dropped: Counter[str] = Counter()
    for text in products:
        try:
            listed = read_product(text)
            if listed.region != region:
                raise Unfit(f"regionCode {listed.region}")
        except Unfit as reason:
            dropped[str(reason)] += 1
            continue
        if not add_lower(prices, listed.instance_type, listed.usd_per_hour):
            dropped["second price of a type"] += 1
    return prices, dict(dropped)


class Unfit(ValueError):
    """A product is not the on-demand price of a Linux instance; the text says why."""


class ListedPrice(NamedTuple):
    """On-demand price of a type in a region or local zone."""

    region: str
    instance_type: str
    usd_per_hour: float


def read_product(product: str | Mapping[str, Any]) -> ListedPrice:
    """The price of one product of the price list, as GetProducts returns it. Raises Unfit."""
    try:
        fields = json.loads(product) if isinstance(product, str) else product
        attributes = fields["product"]["attributes"]
        instance_type, region = attributes["instanceType"], attributes.get("regionCode")
        if not isinstance(instance_type, str):
            raise Unfit("unreadable")
        reason = _unfit(attributes)
        price = _usd_per_hour(fields["terms"]["OnDemand"]) if not reason else None
    except Unfit:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unfit("unreadable") from error
    if reason or price is None:
        raise Unfit(reason or "no price in USD per hour")
    return ListedPrice(str(region), instance_type, price)


def add_lower(prices: dict[str, float], instance_type: str, usd_per_hour: float) -> bool:
    """Add a price; of two different prices of a type the lower stays. False if there was another."""
    before = prices.setdefault(instance_type, usd_per_hour)
    prices[instance_type] = min(before, usd_per_hour)
    return before == usd_per_hour


def _unfit(attributes: Mapping[str, Any]) -> str:
    """Why this product does not match; empty if it does."""
    for name, allowed in REQUIRED_ATTRIBUTES.items():
        if attributes.get(name) != allowed:
            return f"{name} {attributes.get(name)}"
    if attributes.get("marketoption", "OnDemand") != "OnDemand":  # capacity blocks
        return f"marketoption {attributes['marketoption']}"
    return ""


def _usd_per_hour(terms: Mapping[str, Any]) -> float | None:
    """The price of the latest term; None if there is no price in USD per hour."""
    dimensions = [
        (term.get("effectiveDate", ""), float(dimension["pricePerUnit"].get("USD", 0)))
        for term in terms.values()
        for dimension in term["priceDimensions"].values()
        if dimension.get("unit") == "Hrs"
    ]
    positive = [(since, price) for since, price in dimensions if 0 < price < math.inf]
    return max(positive)[1] if positive else None


@dataclass(frozen=True, slots=True)
class DoubtedPrice:
    """A new on-demand price that differs too much from the old one."""

    instance_type: str
    old_usd_per_hour: float
    new_usd_per_hour: float


def settle_prices(
    new: Mapping[str, float], old: Mapping[str, float], accepted: Collection[str] = ()
) -> tuple[dict[str, float], tuple[DoubtedPrice, ...]]:
    """``new`` prices, with the old price kept where it changed too much, and the doubted prices.

    Prices of the types ``accepted`` are never doubted: a person has confirmed them.
    """
    settled = dict(new)
    doubted: list[DoubtedPrice] = []
    for name, price in sorted(new.items()):
        before = old.get(name)
        if before is None or name in accepted:
            continue
        if abs(price - before) > CHANGE_FRACTION_MAX * before:
            settled[name] = before
            doubted.append(DoubtedPrice(name, before, price))
    return settled, tuple(doubted)
