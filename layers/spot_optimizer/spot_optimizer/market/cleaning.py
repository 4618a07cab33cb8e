"""Which of the received prices are usable: positive numbers up to ten times the on-demand price."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.vocabulary import Pool

PriceRow = tuple[Pool, int, float]
"""Pool, time of the change in epoch seconds, USD per hour (NaN where the text was no number)."""

NOT_A_NUMBER = "not a number"
"""Why a price is unusable."""

PRICE_TO_ON_DEMAND_MAX = 10.0
"""A spot price above this many times the on-demand price is an error in the data."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What one merge did with its rows: ``received`` is the sum of all the others."""

    received: int = 0
    changes: int = 0
    """New rows that changed the price or started a pool's series."""
    restated: int = 0
    """New times with an unchanged price: AWS restates prices every 24 h."""
    repeated: int = 0
    """Rows that were already known, such as the last change before StartTime."""
    corrected: int = 0
    """A different price for a known pool and time: the newest received wins."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> rows without a usable price."""


@dataclass(frozen=True, slots=True)
class CleanRows:
    """Usable rows as columns of shape (N,), in the order received, over ``pools``."""

    pools: tuple[Pool, ...]
    pool_index: NDArray[np.int32]
    time_s: NDArray[np.int64]
    price: NDArray[np.float64]
    received: int
    dropped: Mapping[str, int]


def clean(rows: Iterable[PriceRow], on_demand_usd_per_hour: Mapping[str, float]) -> CleanRows:
    """Drop rows whose price is NaN, zero, negative or above ``PRICE_TO_ON_DEMAND_MAX`` x on-demand.

    Types without an on-demand price have no upper limit.
    """
    index: dict[Pool, int] = {}
    pool_list, time_list, price_list = array("i"), array("q"), array("d")
    for pool, time_s, price in rows:
        pool_list.append(index.setdefault(pool, len(index)))
        time_list.append(time_s)
        price_list.append(price)
    pool_index = np.array(pool_list, dtype=np.int32)
    price_usd = np.array(price_list, dtype=np.float64)
    limit = price_limits([pool.instance_type for pool in index], on_demand_usd_per_hour)
    kept = np.ones(len(price_usd), dtype=bool)
    dropped: dict[str, int] = {}
    for reason, faulty in price_faults(price_usd, limit[pool_index]).items():
        kept &= ~faulty
        dropped[reason] = int(faulty.sum())
    return CleanRows(
        pools=tuple(index),
        pool_index=pool_index[kept],
        time_s=np.array(time_list, dtype=np.int64)[kept],
        price=price_usd[kept],
        received=len(price_list),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def price_limits(
    types: Iterable[str], on_demand_usd_per_hour: Mapping[str, float]
) -> NDArray[np.float64]:
    """Of each type the highest plausible spot price."""
    return np.array(
        [PRICE_TO_ON_DEMAND_MAX * on_demand_usd_per_hour.get(name, np.inf) for name in types],
        dtype=np.float64,
    )


def price_faults(
    usd_per_hour: NDArray[np.float64], limit: NDArray[np.float64]
) -> dict[str, NDArray[np.bool_]]:
    """Why a price is unusable -> the rows, all of shape (N,); no row has two reasons."""
    is_number = np.isfinite(usd_per_hour)
    return {
        NOT_A_NUMBER: ~is_number,
        "zero or negative": is_number & (usd_per_hour <= 0),
        f"above {PRICE_TO_ON_DEMAND_MAX:g} x on-demand": is_number & (usd_per_hour > limit),
    }
