"""Parse on-demand prices of the Price List API, and refuse prices that change too much."""

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
    """Why this product does not match; empty if it does."""
    if attributes.get("regionCode") != region:
        return f"regionCode {attributes.get('regionCode')}"
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
    positive = [(since, price) for since, price in dimensions if price > 0]
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
