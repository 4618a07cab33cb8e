"""The catalog is built from the answers of three APIs: instance types, offerings, on-demand prices."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from spot_optimizer.codec import DamagedState, pack_json, unpack_json
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import (
    CatalogBuilt,
    build_catalog,
    catalog_from_bytes,
    catalog_to_bytes,
)
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.market.on_demand import settle_prices

REGION = "us-east-1"


def type_row(
    name: str,
    *,
    vcpu: int = 2,
    memory_mib: int = 8192,
    architectures: Sequence[str] = ("x86_64",),
    **more: Any,
) -> dict[str, Any]:
    """A row of DescribeInstanceTypes with the fields that are read."""
    return {
        "InstanceType": name,
        "VCpuInfo": {"DefaultVCpus": vcpu},
        "MemoryInfo": {"SizeInMiB": memory_mib},
        "ProcessorInfo": {"SupportedArchitectures": list(architectures)},
        "BurstablePerformanceSupported": False,
        "BareMetal": False,
        "Hypervisor": "nitro",
        "InstanceStorageSupported": False,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "CurrentGeneration": True,
        **more,
    }


def product(
    name: str, price: str = "0.096", *, unit: str = "Hrs", currency: str = "USD", **attributes: str
) -> str:
    """A product as GetProducts returns it: a JSON string."""
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "sku": "SKU",
                "attributes": {
                    "instanceType": name,
                    "regionCode": REGION,
                    "operatingSystem": "Linux",
                    "tenancy": "Shared",
                    "preInstalledSw": "NA",
                    "capacitystatus": "Used",
                    "marketoption": "OnDemand",
                    **attributes,
                },
            },
            "terms": {
                "OnDemand": {
                    "SKU.JRTCKXETXF": {
                        "effectiveDate": "2024-01-01T00:00:00Z",
                        "priceDimensions": {
                            "SKU.JRTCKXETXF.6YS6EN2CT7": {
                                "unit": unit,
                                "pricePerUnit": {currency: price},
                            }
                        },
                    }
                }
            },
        }
    )


def built(
    *,
    types: Iterable[Mapping[str, Any]] = (),
    offerings: Iterable[Mapping[str, Any]] = (),
    products: Iterable[str] = (),
    previous: Catalog | None = None,
) -> CatalogBuilt:
    """A catalog from these answers."""
    return build_catalog(
        type_rows=types,
        offering_rows=offerings,
        products=products,
        region=REGION,
        previous=previous,
    )


def test_type_follows_its_row() -> None:
    """Memory in GiB, and the 64-bit architecture if a type also runs 32-bit images."""
    row = type_row("t2.micro", vcpu=1, memory_mib=512, architectures=("i386", "x86_64"))
    found = built(types=[{**row, "BurstablePerformanceSupported": True, "Hypervisor": "xen"}])
    micro = found.catalog.types["t2.micro"]
    assert (micro.vcpu, micro.memory_gib, micro.architecture) == (1, 0.5, "x86_64")
    assert (micro.burstable, micro.hypervisor, micro.spot, micro.accelerators) == (
        True,
        "xen",
        True,
        "",
    )


def test_bare_metal_has_no_hypervisor() -> None:
    """EC2 omits the field for bare metal."""
    row = type_row("m5.metal", BareMetal=True)
    del row["Hypervisor"]
    assert built(types=[row]).catalog.types["m5.metal"].hypervisor == ""


def test_unusable_types_are_counted_and_stop_no_other() -> None:
    """A Mac and a row with a missing field are dropped; the type between them is kept."""
    broken = type_row("m5.xlarge")
    del broken["MemoryInfo"]
    mac = type_row("mac2.metal", architectures=("arm64_mac",))
    found = built(types=[mac, type_row("m5.large"), broken])
    assert set(found.catalog.types) == {"m5.large"}
    assert found.types_dropped == {"architecture arm64_mac": 1, "field MemoryInfo missing": 1}


GPU = {"Count": 1, "Manufacturer": "NVIDIA", "Name": "T4", "MemoryInfo": {"SizeInMiB": 16384}}
PART_OF_GPU = {
    "Count": 0,
    "GpuPartitionSize": 0.125,
    "Manufacturer": "NVIDIA",
    "Name": "L4",
    "MemoryInfo": {"SizeInMiB": 2861},
}
CHIP = {"Count": 1, "Name": "Inferentia", "MemoryInfo": {"SizeInMiB": 8192}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"GpuInfo": {"Gpus": [GPU]}}, "1 x NVIDIA T4 16384 MiB"),
        ({"GpuInfo": {"Gpus": [PART_OF_GPU]}}, "0.125 x NVIDIA L4 2861 MiB"),
        (
            {
                "NeuronInfo": {"NeuronDevices": [CHIP]},
                "InferenceAcceleratorInfo": {"Accelerators": [CHIP]},
            },
            "1 x Inferentia 8192 MiB",
        ),
    ],
)
def test_type_with_an_accelerator_is_not_replaced_by_one_without(
    more: dict[str, Any], words: str
) -> None:
    """An inference chip or part of a GPU does not count as a GPU, and must not be lost all the same."""
    types = built(types=[type_row("plain.large"), type_row("fast.large", **more)]).catalog.types
    assert types["fast.large"].accelerators == words
    assert incompatibility(types["plain.large"], types["fast.large"])
    assert not incompatibility(types["fast.large"], types["fast.large"])


def test_offerings_are_zones_by_type() -> None:
    """Only offerings by availability zone tell where a type can be launched."""
    rows = [
        {"InstanceType": "m5.large", "LocationType": "availability-zone", "Location": "us-east-1a"},
        {"InstanceType": "m5.large", "LocationType": "availability-zone", "Location": "us-east-1b"},
        {"InstanceType": "c5.large", "LocationType": "region", "Location": "us-east-1"},
    ]
    zones = built(offerings=rows).catalog.zones
    assert zones == {"m5.large": frozenset({"us-east-1a", "us-east-1b"})}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (product("m5.large", regionCode="us-east-1-bos-1"), "regionCode us-east-1-bos-1"),
        (product("m5.large", operatingSystem="Windows"), "operatingSystem Windows"),
        (product("m5.large", tenancy="Dedicated"), "tenancy Dedicated"),
        (product("m5.large", preInstalledSw="SQL Std"), "preInstalledSw SQL Std"),
        (
            product("m5.large", capacitystatus="UnusedCapacityReservation"),
            "capacitystatus UnusedCapacityReservation",
        ),
        (product("m5.large", marketoption="CapacityBlock"), "marketoption CapacityBlock"),
        (product("m5.large", price="0.0"), "no price in USD per hour"),
        (product("m5.large", currency="CNY"), "no price in USD per hour"),
        (product("m5.large", unit="Quantity"), "no price in USD per hour"),
        (product("m5.large", price="soon"), "unreadable"),
        ("{", "unreadable"),
        ("[]", "unreadable"),
        ("{}", "unreadable"),
    ],
)
def test_other_products_are_not_on_demand_prices(text: str, reason: str) -> None:
    """Windows, dedicated, reserved or unreadable products are dropped and counted, and the good one
    stays."""
    found = built(products=[text, product("c5.large", "0.085")])
    assert found.catalog.on_demand_usd_per_hour == {"c5.large": 0.085}
    assert found.products_dropped == {reason: 1}


def test_latest_term_counts() -> None:
    """A price list may have the old term beside the new one."""
    text = json.loads(product("m5.large", "0.096"))
    old = json.loads(product("m5.large", "0.090"))["terms"]["OnDemand"]["SKU.JRTCKXETXF"]
    text["terms"]["OnDemand"]["SKU.OLD"] = {**old, "effectiveDate": "2020-01-01T00:00:00Z"}
    found = built(products=[json.dumps(text)])
    assert found.catalog.on_demand_usd_per_hour == {"m5.large": 0.096}


def test_lower_of_two_prices_of_a_type_counts() -> None:
    """No saving is overstated."""
    for texts in (("0.10", "0.09"), ("0.09", "0.10")):
        found = built(products=[product("m5.large", text) for text in texts])
        assert found.catalog.on_demand_usd_per_hour == {"m5.large": 0.09}
        assert found.products_dropped == {"second price of a type": 1}


def test_price_that_changes_too_much_is_doubted_and_the_old_one_kept() -> None:
    """More than 50 % at once counts as an error until someone accepts it."""
    settled, doubted = settle_prices(
        {"a.large": 0.151, "b.large": 0.15, "c.large": 0.049, "new.large": 9.0},
        {"a.large": 0.1, "b.large": 0.1, "c.large": 0.1},
    )
    assert settled == {"a.large": 0.1, "b.large": 0.15, "c.large": 0.1, "new.large": 9.0}
    assert [d.instance_type for d in doubted] == ["a.large", "c.large"]


def test_new_catalog_keeps_previous_prices_instead_of_doubted_ones() -> None:
    """Building a catalog always checks the prices."""
    before = Catalog({}, {"m5.large": 0.01}, {})
    found = built(products=[product("m5.large", "0.096")], previous=before)
    assert found.catalog.on_demand_usd_per_hour == {"m5.large": 0.01}
    assert found.doubted[0].new_usd_per_hour == 0.096


def test_stored_catalog_round_trips() -> None:
    """Equal catalogs give equal bytes."""
    offering = {
        "InstanceType": "m5.large",
        "LocationType": "availability-zone",
        "Location": "us-east-1a",
    }
    catalog = built(
        types=[type_row("m5.large"), type_row("g4dn.xlarge", GpuInfo={"Gpus": [GPU]})],
        offerings=[offering],
        products=[product("m5.large")],
    ).catalog
    stored = catalog_to_bytes(catalog)
    assert catalog_from_bytes(stored) == catalog
    assert catalog_to_bytes(catalog_from_bytes(stored)) == stored


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not gzipped JSON"),
        (pack_json("catalog", 2, {}), "stored form is 'catalog/2', allowed is 'catalog/1'"),
        (pack_json("usage-book", 1, {}), "stored form is 'usage-book/1'"),
        (pack_json("catalog", 1, {}), "missing or has a wrong type"),
        (pack_json("catalog", 1, {"types": [{"color": 1}]}), "missing or has a wrong type"),
    ],
)
def test_unreadable_catalog_is_refused_with_the_reason(data: bytes, words: str) -> None:
    """It is damaged, of another version, or of another kind."""
    with pytest.raises(DamagedState, match=words):
        catalog_from_bytes(data)


def test_support_for_enclaves_is_stored_where_older_versions_ignore_it() -> None:
    """Version 0.1.0 builds each type from the fields of its row and refuses one that it does not
    know; what it stored has none, and says nothing about enclaves."""
    rows = [type_row("m5.large", NitroEnclavesSupport="unsupported"), type_row("m5.xlarge")]
    built = build_catalog(
        type_rows=rows, offering_rows=(), products=(), region=REGION, previous=None
    ).catalog
    stored = catalog_to_bytes(built)
    assert catalog_from_bytes(stored) == built
    assert built.types["m5.large"].nitro_enclaves == "unsupported"
    body = unpack_json(stored, "catalog", 1)
    assert not [row for row in body["types"] if "nitro_enclaves" in row]
    older = {key: value for key, value in body.items() if key not in ("form", "nitro_enclaves")}
    types = catalog_from_bytes(pack_json("catalog", 1, older)).types
    assert {t.nitro_enclaves for t in types.values()} == {""}
