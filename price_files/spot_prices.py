"""Read recorded spot prices of a file; the formats and spellings are those of the stack's import."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from price_files.files import opened
from spot_optimizer.market.cleaning import price_faults, price_limits
from spot_optimizer.market.price_file import FilePool, PriceFile, counted, read_price_file

__all__ = ["FilePool", "PriceFile", "counted", "read_prices_of", "too_high"]


def read_prices_of(path: Path) -> PriceFile:
    """Read a file of spot prices, parquet too. Raises UnreadableFile, whose text names the path."""
    with opened(path) as (file, name):
        return read_price_file(file, now_s=int(datetime.now(UTC).timestamp()), name=name)


def too_high(
    file: PriceFile, on_demand_usd_per_hour: Mapping[str, float]
) -> dict[str, NDArray[np.bool_]]:
    """Reason -> rows whose price cannot be one, by the on-demand price of their type; shape (N,)."""
    limits = price_limits([pool.instance_type for pool in file.pools], on_demand_usd_per_hour)
    return price_faults(file.usd_per_hour, limits[file.pool_index])
