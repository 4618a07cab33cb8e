"""Turn imported rows into a price book, and infer which times they cover."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.cleaning import Cleaning, PriceRow, clean
from spot_optimizer.market.coverage import Coverage, Span, joined
from spot_optimizer.market.gaps import BUCKET_S
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.price_file import PriceFile
from spot_optimizer.market.zones import region_of_zone
from spot_optimizer.vocabulary import Pool, RowsAre

HOLDS_S = 25 * 3600
"""A row covers this long at most. AWS restates every price within 24 hours (measured), not always on
time; a longer silence means that rows are missing."""

_ELSEWHERE = "zone is not in this region"
_ID_UNKNOWN = "zone id is not in this region, or not known yet"


def pools_of_account(
    file: PriceFile, region: str, zone_names: Mapping[str, str]
) -> tuple[list[Pool | None], dict[str, int]]:
    """Of each pool of a file the pool of this account, None if it has none; and reason -> such rows.

    ``zone_names`` maps zone ids to this account's names. An id wins over a name, which differs between
    accounts.
    """
    places: list[Pool | None] = []
    reasons: list[str] = []
    for pool in file.pools:
        zone = zone_names.get(pool.zone_id) or pool.zone
        if zone and region_of_zone(zone) == region:
            places.append(Pool(pool.instance_type, zone))
            reasons.append("")
        else:
            places.append(None)
            reasons.append(_ELSEWHERE if pool.zone else _ID_UNKNOWN)
    dropped: dict[str, int] = {}
    counts = np.bincount(file.pool_index, minlength=len(reasons)).tolist()
    for reason, count in zip(reasons, counts, strict=True):
        if reason:
            dropped[reason] = dropped.get(reason, 0) + count
    return places, dropped


def rows_of_account(file: PriceFile, places: Sequence[Pool | None]) -> Iterator[PriceRow]:
    """The rows of the pools that this account has."""
    for number, time_s, price in zip(
        file.pool_index.tolist(), file.time_s.tolist(), file.usd_per_hour.tolist(), strict=True
    ):
        place = places[number]
        if place is not None:
            yield place, time_s, price


def book_of_rows(
    rows: Iterable[PriceRow], rows_are: RowsAre, on_demand_usd_per_hour: Mapping[str, float]
) -> tuple[PriceBook, Cleaning]:
    """Imported rows as a book with their coverage, and counts of what happened to the rows.

    A change covers the time until the pool's next row, or until the file's last row, but 25 hours at
    most. A sample covers its 5-minute bucket and is moved to its start.
    """
    everything = list(rows)
    if rows_are is RowsAre.SAMPLES:
        everything = [
            (pool, time_s // BUCKET_S * BUCKET_S, price) for pool, time_s, price in everything
        ]
    good = clean(everything, on_demand_usd_per_hour)
    order = np.lexsort((good.time_s, good.pool_index))
    pool_index, time_s = good.pool_index[order], good.time_s[order]
    last_s = int(time_s.max(initial=0))
    edges = np.searchsorted(pool_index, np.arange(len(good.pools) + 1)).tolist()
    coverage = Coverage(
        {
            str(pool): _covered(np.unique(time_s[first:end]), rows_are, last_s)
            for pool, (first, end) in zip(good.pools, pairwise(edges), strict=True)
            if first < end
        }
    )
    return PriceBook().received(everything, coverage, {}, on_demand_usd_per_hour)


def _covered(time_s: NDArray[np.int64], rows_are: RowsAre, last_s: int) -> tuple[Span, ...]:
    if rows_are is RowsAre.SAMPLES:
        end_s = time_s + BUCKET_S
    else:
        end_s = np.minimum(np.append(time_s[1:], last_s + 1), time_s + HOLDS_S)
    breaks = np.flatnonzero(time_s[1:] > end_s[:-1])
    starts = time_s[np.append(0, breaks + 1)].tolist()
    ends = end_s[np.append(breaks, len(time_s) - 1)].tolist()
    return joined(zip(starts, ends, strict=True))
