"""A file of on-demand prices: the price that a Linux spot instance replaces, or one line that says why
not."""

import gzip
import io
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.market.file_text import UnreadableFile
from spot_optimizer.market.on_demand import parse_price_list
from spot_optimizer.market.on_demand_file import ANY_REGION, OnDemandFile, read_on_demand_file

BULK = (
    "SKU,TermType,Unit,PricePerUnit,Currency,Instance Type,Region Code,Operating System,Tenancy,"
    "CapacityStatus,Pre Installed S/W,MarketOption\n"
)
GOOD = "1,OnDemand,Hrs,0.0960000000,USD,m5.large,us-east-1,Linux,Shared,Used,NA,OnDemand\n"
OTHERS = [
    GOOD.replace("0.096", "0.188").replace("Linux", "Windows"),
    GOOD.replace("0.096", "0.060").replace("OnDemand,Hrs", "Reserved,Hrs"),
    GOOD.replace("0.096", "500.0").replace("OnDemand,Hrs", "Reserved,Quantity"),
    GOOD.replace("0.096", "0.1056").replace("Shared", "Dedicated"),
    GOOD.replace("0.096", "0.095").replace("Used", "UnusedCapacityReservation"),
    GOOD.replace("0.096", "0.090").replace("NA,", "SQL Std,"),
    GOOD.replace("0.096", "0.010").replace("NA,OnDemand", "NA,CapacityBlock"),
    GOOD.replace("0.096", "0.700").replace("USD", "CNY"),
    GOOD.replace("0.096", "0.050").replace("m5.large", ""),
]


def product(**attributes: Any) -> dict[str, Any]:
    """A product as GetProducts returns it, before it is made text."""
    fit = {
        "instanceType": "m5.large",
        "regionCode": "us-east-1",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    price = {"unit": "Hrs", "pricePerUnit": {"USD": "0.096"}}
    terms = {"OnDemand": {"A": {"priceDimensions": {"B": price}}}}
    return {"product": {"attributes": {**fit, **attributes}}, "terms": terms}


def read(body: str | bytes) -> OnDemandFile:
    """A file's prices."""
    return read_on_demand_file(io.BytesIO(body.encode() if isinstance(body, str) else body))


READ: Mapping[str, str | bytes] = {
    "plain": "instance_type,usd_per_hour\nm5.large,0.096\n",
    "dollar": "Instance Type,On-Demand Price\nm5.large,$0.096\n",
    "vantage": "Name,API Name,Linux On Demand cost\nM5 Large,m5.large,$0.096000 hourly\n",
    "archive": "InstanceType,Price,OnDemandPrice\nm5.large,0.03,0.096\n",
    "upper case": "instance,price\nM5.LARGE,0.096\n",
    "gzip": gzip.compress(b"instance,price\nm5.large,0.096\n"),
    "rows": '[{"InstanceType": "m5.large", "PricePerUnit": "0.096"}]',
    "lines": '{"Instance": "m5.large", "Price": 0.096}\n{"Instance": "m5.large", "Price": 0.096}\n',
    "by type": '{"m5.large": 0.096}',
    "by type as text": '{"m5.large": "0.096"}',
}


@pytest.mark.parametrize("kind", READ)
def test_on_demand_file_of_every_common_kind_gives_the_same_price(kind: str) -> None:
    """CSV and JSON, of people, archives and comparison sites."""
    found = read(READ[kind])
    assert (found.by_region, found.dropped) == ({ANY_REGION: {"m5.large": 0.096}}, {})


@pytest.mark.parametrize("preamble", ["", '"FormatVersion","v1.0"\n"Disclaimer","x"\n'])
def test_bulk_price_list_gives_the_price_of_linux_whatever_the_order(preamble: str) -> None:
    """Not that of a reservation, a dedicated host, Windows, a database, a capacity block, another
    currency."""
    rows = [GOOD, *OTHERS]
    for turn in range(len(rows)):
        found = read(preamble + BULK + "".join(rows[turn:] + rows[:turn]))
        assert found.by_region == {"us-east-1": {"m5.large": 0.096}}
        assert sum(found.dropped.values()) == len(OTHERS)


def test_output_of_get_products_is_read_as_the_stack_reads_it() -> None:
    """Its products are JSON within JSON."""
    products = [product(), product(operatingSystem="Windows"), product(regionCode="eu-west-1"), 7]
    body = json.dumps({"FormatVersion": "aws_v1", "PriceList": [json.dumps(p) for p in products]})
    found = read(body)
    assert found.by_region == {"us-east-1": {"m5.large": 0.096}, "eu-west-1": {"m5.large": 0.096}}
    assert found.dropped == {"product: operatingSystem Windows": 1, "product: unreadable": 1}


def test_lowest_of_several_prices_counts_in_any_order() -> None:
    """No saving is overstated."""
    for rows in itertools.permutations(["m5.large,0.2\n", "m5.large,0.1\n", "m5.large,0.1\n"]):
        found = read("instance,price\n" + "".join(rows))
        assert found.by_region == {ANY_REGION: {"m5.large": 0.1}}


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", '"cheap"', "null", "[1]", "{}"])
def test_entry_without_a_price_is_dropped_and_named(price: str) -> None:
    """The others are read."""
    found = read(f'{{"m5.large": 0.096, "m5a.large": {price}}}')
    assert found.by_region == {ANY_REGION: {"m5.large": 0.096}}
    assert found.dropped == {"no price above 0": 1}
    assert found.unpriced[0].startswith("'m5a.large' has ")


REFUSED: Mapping[str, tuple[str | bytes, str]] = {
    "nothing": ("{}", "no usable on-demand price$"),
    "no price": (
        '{"m5.large": 0}',
        "1 no price above 0, 'm5.large' has '0', allowed are USD per hour",
    ),
    "no price column": ("instance_type\nm5.large\n", "no column for the on-demand price"),
    "two price columns": ("instance,price,Price\nm5.large,1,2\n", "two columns for the price"),
    "no linux": (BULK + OTHERS[0], "1 Operating System 'Windows'"),
    "no product": ('{"PriceList": ["{}"]}', "1 product: unreadable"),
    "number": ("[1]", "must be rows, an object of prices by instance type, or the output of"),
    "parquet": (b"PAR1\x00", "is parquet"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_on_demand_file_without_a_price_is_refused_in_one_line(kind: str) -> None:
    """It says what was found and what is allowed."""
    body, message = REFUSED[kind]
    with pytest.raises(UnreadableFile, match=message) as refusal:
        read(body)
    assert "\n" not in str(refusal.value)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = (
    ("product",),
    ("terms",),
    ("product", "attributes"),
    ("product", "attributes", "instanceType"),
    ("product", "attributes", "regionCode"),
    ("product", "attributes", "marketoption"),
    ("terms", "OnDemand"),
    ("terms", "OnDemand", "A"),
    ("terms", "OnDemand", "A", "effectiveDate"),
    ("terms", "OnDemand", "A", "priceDimensions"),
    ("terms", "OnDemand", "A", "priceDimensions", "B", "pricePerUnit"),
)


@given(st.sampled_from(PLACES), ANY_JSON)
@settings(max_examples=60, deadline=None)
def test_no_product_whatever_stops_the_others(place: tuple[str, ...], value: object) -> None:
    """One bad entry of the Price List API costs its own price only."""
    bad = product(instanceType="bad.large")
    inner = bad
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    products = [json.dumps(bad), json.dumps(value), json.dumps(product())]
    prices, _ = parse_price_list(products, "us-east-1")
    assert prices["m5.large"] == 0.096
