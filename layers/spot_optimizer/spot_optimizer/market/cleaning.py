"""Which of the received prices are usable: positive numbers up to ten times the on-demand price."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.vocabulary import Pool

PriceRow = tuple[Pool, int, float]
"""Pool, time of the change in epoch seconds, USD per hour (NaN where the text was no number)."""

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
    pool_list: list[int] = []
    time_list: list[int] = []
    price_list: list[float] = []
    for pool, time_s, price in rows:
        pool_list.append(index.setdefault(pool, len(index)))
        time_list.append(time_s)
        price_list.append(price)
    pools = tuple(index)
    pool_index = np.array(pool_list, dtype=np.int32)
    price_usd = np.array(price_list, dtype=np.float64)
    limit = np.array(
        [
            PRICE_TO_ON_DEMAND_MAX * on_demand_usd_per_hour.get(p.instance_type, np.inf)
            for p in pools
        ]
    )
    is_number = np.isfinite(price_usd)
    not_positive = is_number & (price_usd <= 0)
    too_high = is_number & (price_usd > limit[pool_index]) if pools else ~is_number
    dropped = {
        "not a number": int((~is_number).sum()),
        "zero or negative": int(not_positive.sum()),
        f"above {PRICE_TO_ON_DEMAND_MAX:g} x on-demand": int(too_high.sum()),
    }
    kept = is_number & ~not_positive & ~too_high
    return CleanRows(
        pools=pools,
        pool_index=pool_index[kept],
        time_s=np.array(time_list, dtype=np.int64)[kept],
        price=price_usd[kept],
        received=len(price_list),
        dropped={reason: count for reason, count in dropped.items() if count},
    )
