"""The Price List query API for EC2 compute, OnDemand terms.

Sources: API_pricing_GetProducts, and the shape of AmazonEC2 price list entries in "Reading the
service price list file". Beside the wanted product (Linux, Shared, Used) each type has the ones
that a careless filter catches too: reserved capacity at 0 and unused, dedicated tenancy, Windows.
"""

import json
from functools import cache
from typing import Any

import botocore.session

from simulator.world.catalog import instance_types, memory_gib, offerings, vcpus
from simulator.world.errors import AwsError, NotModelled
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import remember, remembered
from simulator.world.state import WorldState

_PAGE = 100
_WINDOWS_USD_PER_VCPU_HOUR = 0.046
_VARIANTS: tuple[dict[str, Any], ...] = (
    {"capacitystatus": "Used"},
    {"capacitystatus": "UnusedCapacityReservation"},
    {"capacitystatus": "AllocatedCapacityReservation"},
    {"capacitystatus": "Used", "tenancy": "Dedicated"},
    {"capacitystatus": "Used", "operatingSystem": "Windows"},
)


@operation("pricing", "GetProducts")
def get_products(state: WorldState, params: Params) -> Reply:
    """API_pricing_GetProducts: TERM_MATCH filters, pages of at most 100."""
    if params["ServiceCode"] != "AmazonEC2":
        raise NotModelled(f"GetProducts: ServiceCode {params['ServiceCode']!r}, only AmazonEC2")
    size = params.get("MaxResults", _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError("InvalidParameterException", f"MaxResults {size} must be 1 to {_PAGE}")
    if token := params.get("NextToken"):
        found: list[str] = remembered(state, "GetProducts", token)
    else:
        found = _matching(state, params.get("Filters", []))
    return {
        "FormatVersion": "aws_v1",
        "PriceList": found[:size],
        "NextToken": remember(state, "GetProducts", found[size:]),
    }


def _matching(state: WorldState, filters: list[Params]) -> list[str]:
    for item in filters:
        if item["Type"] != "TERM_MATCH":
            raise NotModelled(f"GetProducts: filter type {item['Type']!r}, only TERM_MATCH")
    if "price-list" not in state.caches:
        state.caches["price-list"] = _products(state)
    terms = [(item["Field"], item["Value"]) for item in filters]
    return [
        text
        for attributes, text in state.caches["price-list"]
        if all(attributes.get(field) == value for field, value in terms)
    ]


def _products(state: WorldState) -> list[tuple[dict[str, str], str]]:
    offered = offerings(state.region, "region")[state.region]
    products = []
    for name in sorted(offered & set(state.on_demand_usd_per_hour)):
        listed = state.listed_usd_per_hour.get(name, state.on_demand_usd_per_hour[name])
        if listed is None:
            continue
        for number, variant in enumerate(_VARIANTS):
            attributes = {**_attributes(state.region, name), **variant}
            price = _price(listed, name, number)
            sku = state.digest("sku", name, number).hex()[:16].upper()
            entry = json.dumps(_entry(sku, attributes, price))
            searchable = {**attributes, "ServiceCode": "AmazonEC2", "sku": sku}
            products.append(({**searchable, "productFamily": "Compute Instance"}, entry))
    return products


def _price(usd_per_hour: float, instance_type: str, variant: int) -> float:
    dedicated, windows = usd_per_hour * 1.06, _WINDOWS_USD_PER_VCPU_HOUR * vcpus(instance_type)
    return (usd_per_hour, usd_per_hour, 0.0, dedicated, usd_per_hour + windows)[variant]


def _attributes(region: str, instance_type: str) -> dict[str, str]:
    info = instance_types()[instance_type]
    return {
        "servicecode": "AmazonEC2",
        "servicename": "Amazon Elastic Compute Cloud",
        "location": location_name(region),
        "locationType": "AWS Region",
        "regionCode": region,
        "instanceType": instance_type,
        "currentGeneration": "Yes" if info["CurrentGeneration"] else "No",
        "vcpu": str(vcpus(instance_type)),
        "memory": f"{memory_gib(instance_type):g} GiB",
        "networkPerformance": info["NetworkInfo"]["NetworkPerformance"],
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "licenseModel": "No License required",
        "tenancy": "Shared",
        "marketoption": "OnDemand",
        "operation": "RunInstances",
        "usagetype": f"BoxUsage:{instance_type}",
        "availabilityzone": "NA",
    }


def _entry(sku: str, attributes: dict[str, str], usd_per_hour: float) -> dict[str, Any]:
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    system, kind = attributes["operatingSystem"], attributes["instanceType"]
    return {
        "product": {
            "productFamily": "Compute Instance",
            "attributes": attributes,
            "sku": sku,
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {
                        rate: {
                            "unit": "Hrs",
                            "endRange": "Inf",
                            "description": f"${usd_per_hour:.4f} per On Demand {system} {kind} "
                            "Instance Hour",
                            "appliesTo": [],
                            "rateCode": rate,
                            "beginRange": "0",
                            "pricePerUnit": {"USD": f"{usd_per_hour:.10f}"},
                        }
                    },
                    "sku": sku,
                    "effectiveDate": "2024-01-01T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF",
                    "termAttributes": {},
                }
            }
        },
        "version": "20240101000000",
        "publicationDate": "2024-01-01T00:00:00Z",
    }


@cache
def location_name(region: str) -> str:
    """The region's name as the price list spells it, such as US East (N. Virginia)."""
    data = botocore.session.get_session().get_data("endpoints")
    for partition in data["partitions"]:
        if region in partition["regions"]:
            name: str = partition["regions"][region]["description"]
            return name.replace("Europe (", "EU (")
    raise ValueError(f"region: {region!r} is not a region that botocore knows")
