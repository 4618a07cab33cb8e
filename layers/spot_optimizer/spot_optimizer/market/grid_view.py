"""Grid view: a price every five minutes, each with its method and confidence.

Filled prices are never stored. Every view is computed from reported and imported prices, so a price
that is collected later replaces the filled one, and filling twice equals filling once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.coverage import Span, clipped
from spot_optimizer.market.filling import NEIGHBORS, fill_gap
from spot_optimizer.market.gap_methods import CONFIDENCE, LONG_BUCKETS_MAX, Method, method_for
from spot_optimizer.market.gaps import BUCKET_S, Gap, find_gaps
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.prices import Floats, Times
from spot_optimizer.vocabulary import Pool

LOOK_AROUND_S = (LONG_BUCKETS_MAX + NEIGHBORS) * BUCKET_S
"""How far before and after a span prices are needed to fill gaps that cross its edges."""


@dataclass(frozen=True, eq=False)
class PriceGrid:
    """P pools at T times; ``price`` (P, T) is NaN exactly where ``method`` (P, T) is NONE."""

    pools: tuple[Pool, ...]
    time_s: Times
    """Shape (T,): starts of buckets, epoch seconds."""
    price: Floats
    method: NDArray[np.int8]
    """Values of ``Method``."""

    @property
    def confidence(self) -> Floats:
        """Shape (P, T): 0 to 1; NaN without a price."""
        by_method = np.array([CONFIDENCE.get(method, np.nan) for method in Method])
        return by_method[self.method]


def grid_view(reported: PriceBook, imported: PriceBook, within: Span) -> PriceGrid:
    """Prices of every bucket that starts ``within``: reported, else imported, else filled.

    The books should reach ``LOOK_AROUND_S`` beyond the span. A pool has no price before its first
    change, nor before the first or after the last collection.
    """
    wide = (within[0] - LOOK_AROUND_S, within[1] + LOOK_AROUND_S)
    time_s = np.arange(-(-wide[0] // BUCKET_S) * BUCKET_S, wide[1], BUCKET_S, dtype=np.int64)
    pools = tuple(sorted({*reported.changes.pools, *imported.changes.pools}))
    known, method = _known(
        pools, time_s, ((reported, Method.REPORTED), (imported, Method.IMPORTED))
    )
    price = known.copy()
    type_number = {name: n for n, name in enumerate(sorted({p.instance_type for p in pools}))}
    peer_group = [type_number[pool.instance_type] for pool in pools]
    row_of = {pool: row for row, pool in enumerate(pools)}
    for gap in find_gaps((reported.coverage, imported.coverage), pools, within):
        if method_for(gap.buckets) is Method.NONE:
            continue
        rows = np.array([row_of[pool] for pool in gap.pools], dtype=np.int64)
        first = int((gap.start_s - time_s[0]) // BUCKET_S)
        filled = fill_gap(known, rows, first, gap.buckets, peer_group)
        here = np.ix_(rows, np.arange(first, first + gap.buckets))
        price[here] = filled
        method[here] = np.where(np.isfinite(filled), method_for(gap.buckets), Method.NONE)
    inside = (time_s >= within[0]) & (time_s < within[1])
    return PriceGrid(pools, time_s[inside], price[:, inside], method[:, inside])


def _known(
    pools: tuple[Pool, ...], time_s: Times, sources: Sequence[tuple[PriceBook, Method]]
) -> tuple[Floats, NDArray[np.int8]]:
    """Known prices, each of the first source that has one, and the method of that source."""
    price = np.full((len(pools), len(time_s)), np.nan)
    method = np.zeros(price.shape, dtype=np.int8)
    for book, source in sources:
        rows = {pool: row for row, pool in enumerate(book.changes.pools)}
        values = book.changes.prices_at(time_s)
        for row, pool in enumerate(pools):
            if pool not in rows:
                continue
            value = values[rows[pool]]
            is_new = _is_covered(book, pool, time_s) & np.isfinite(value) & (method[row] == 0)
            price[row, is_new] = value[is_new]
            method[row, is_new] = source
    return price, method


def _is_covered(book: PriceBook, pool: Pool, time_s: Times) -> NDArray[np.bool_]:
    covered = np.zeros(len(time_s), dtype=bool)
    window = (int(time_s[0]), int(time_s[-1]) + 1) if len(time_s) else (0, 0)
    for start_s, end_s in clipped(book.coverage.of_pool(pool), window):
        low, high = np.searchsorted(time_s, (start_s, end_s))
        covered[low:high] = True
    return covered


def count_methods(grid: PriceGrid, gaps: Sequence[Gap]) -> dict[str, int]:
    """Method -> number of buckets of ``gaps`` that the grid fills with it."""
    counts = np.zeros(len(Method), dtype=np.int64)
    row_of = {pool: row for row, pool in enumerate(grid.pools)}
    for gap in gaps:
        columns = (grid.time_s >= gap.start_s) & (grid.time_s < gap.end_s)
        rows = np.array([row_of[pool] for pool in gap.pools if pool in row_of], dtype=np.int64)
        counts += np.bincount(
            grid.method[np.ix_(rows, np.flatnonzero(columns))].ravel(), minlength=len(Method)
        )
    return {m.name.lower(): int(n) for m, n in zip(Method, counts, strict=True) if n}
