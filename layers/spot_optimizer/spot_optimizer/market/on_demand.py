"""On-demand prices out of the Price List API."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REQUIRED_ATTRIBUTES: Mapping[str, str] = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""Attributes of the product that a Linux spot instance replaces; the same serve as filters of
GetProducts (AWS Price List Query API, attributes of service AmazonEC2)."""

CHANGE_FRACTION_MAX = 0.5
"""A price that moved further than this at once is doubted (spec section 2)."""


def parse_price_list(
    products: Iterable[str], region: str
) -> tuple[dict[str, float], dict[str, int]]:
    """Type -> on-demand USD per hour, from GetProducts strings, and reason -> products dropped.

    Local and wavelength zones have a ``regionCode`` of their own and are dropped. Where two
    products of a type differ, the lower price counts: no saving is claimed that is not there.
    """
    prices: dict[str, float] = {}
    dropped: Counter[str] = Counter()
    for text in products:
        try:
            product = json.loads(text)
            attributes = product["product"]["attributes"]
            instance_type = attributes["instanceType"]
            reason = _unfit(attributes, region)
            price = _usd_per_hour(product["terms"]["OnDemand"]) if not reason else None
        except (ValueError, KeyError, TypeError, AttributeError):
            dropped["unreadable"] += 1
            continue
        if reason or price is None:
            dropped[reason or "no price in USD per hour"] += 1
            continue
        if prices.get(instance_type, price) != price:
            dropped["second price of a type"] += 1
        prices[instance_type] = min(price, prices.get(instance_type, price))
    return prices, dict(dropped)


def _unfit(attributes: Mapping[str, Any], region: str) -> str:
    """Why this product is not what we look for; empty when it is."""
    if attributes.get("regionCode") != region:
        return f"regionCode {attributes.get('regionCode')}"
    for name, allowed in REQUIRED_ATTRIBUTES.items():
        if attributes.get(name) != allowed:
            return f"{name} {attributes.get(name)}"
    if attributes.get("marketoption", "OnDemand") != "OnDemand":  # capacity blocks
        return f"marketoption {attributes['marketoption']}"
    return ""


def _usd_per_hour(terms: Mapping[str, Any]) -> float | None:
    """The price of the term that took effect last, or None without one in USD per hour."""
    dimensions = [
        (term.get("effectiveDate", ""), float(dimension["pricePerUnit"].get("USD", 0)))
        for term in terms.values()
        for dimension in term["priceDimensions"].values()
        if dimension.get("unit") == "Hrs"
    ]
    positive = [(since, price) for since, price in dimensions if price > 0]
    return max(positive)[1] if positive else None


@dataclass(frozen=True, slots=True)
class DoubtedPrice:
    """A new on-demand price that is too far from the old one to be believed."""

    instance_type: str
    old_usd_per_hour: float
    new_usd_per_hour: float


def settle_prices(
    new: Mapping[str, float], old: Mapping[str, float], accepted: Collection[str] = ()
) -> tuple[dict[str, float], tuple[DoubtedPrice, ...]]:
    """``new``, with the old price kept where it moved by more than 50 %, and those doubted.

    Prices of the types ``accepted`` are believed: a person has looked at them.
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
