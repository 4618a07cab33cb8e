"""Read on-demand prices of a file; the formats are those of ``on_demand_file``, and parquet."""

from pathlib import Path

from price_files.files import UnreadableFile, opened
from spot_optimizer.market.on_demand_file import (
    ANY_REGION,
    OnDemandByRegion,
    OnDemandFile,
    read_on_demand_file,
)

__all__ = ["ANY_REGION", "OnDemandByRegion", "OnDemandFile", "of_region", "read_on_demand_of"]


def read_on_demand_of(path: Path) -> OnDemandFile:
    """Read a file of on-demand prices. Raises UnreadableFile, whose text names the path."""
    with opened(path) as (file, name):
        return read_on_demand_file(file, name=name)


def of_region(file: OnDemandFile, region: str, path: Path) -> dict[str, float]:
    """USD per hour by type. Raises UnreadableFile if the file has regions, but not this one."""
    prices = file.by_region.get(ANY_REGION, file.by_region.get(region))
    if prices is None:
        there = ", ".join(sorted(file.by_region)[:9])
        raise UnreadableFile(f"{path}: no on-demand price of region {region}; there is {there}")
    return dict(prices)
