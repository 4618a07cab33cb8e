"""The built-in on-demand prices are AWS's."""

from pathlib import Path

import pytest

from price_files.on_demand import of_region, read_on_demand_of
from simulator.market.on_demand import LARGE_USD_PER_HOUR, on_demand_prices


def test_sizes_scale_from_the_large_size() -> None:
    """Every size costs its share of a large one, and the deviating ones what AWS asks."""
    assert on_demand_prices(
        ["m5.large", "m5.xlarge", "m5.24xlarge", "c7g.medium", "t3.nano", "t2.small", "c4.large"]
    ) == {
        "m5.large": 0.096,
        "m5.xlarge": 0.192,
        "m5.24xlarge": 4.608,
        "c7g.medium": 0.03625,
        "t3.nano": 0.0052,
        "t2.small": 0.023,
        "c4.large": 0.1,
    }


def test_types_without_a_known_price_are_absent() -> None:
    """Unknown families, bare metal and malformed names are left out, not guessed."""
    assert on_demand_prices(["zz9.large", "m5.metal", "m5", "m5.huge", ""]) == {}


def test_every_price_is_within_half_a_percent_of_the_public_list(recorded_data: Path) -> None:
    """Each type of the public list whose family is known costs what the list says."""
    path = recorded_data / "ondemand" / "us-east-1_2026-07.csv"
    listed = of_region(read_on_demand_of(path), "us-east-1", path)
    ours = on_demand_prices(listed)
    assert len(ours) > 500
    assert {name.split(".")[0] for name in ours} == set(LARGE_USD_PER_HOUR)
    for name, price in ours.items():
        assert price == pytest.approx(listed[name], rel=0.005), name
