"""Gaps and archive of a whole region: `.venv/bin/python benchmarks/market_data.py`."""

import os
import platform
import resource
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TypeVar

import numpy as np

from simulator.markets import builtin_market
from spot_optimizer.market.coverage import Coverage, Span
from spot_optimizer.market.gaps import find_gaps
from spot_optimizer.market.grid_view import LOOK_AROUND_S, count_methods, grid_view
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.vocabulary import Pool

DAY_S = 86_400
DAYS = 30

Result = TypeVar("Result")


def main() -> None:
    prices = builtin_market(1, None, 24 * DAYS).prices
    end_s = int(prices.end.timestamp())
    rows = [
        (Pool(*pool), int(time_s), float(price))
        for pool in prices.pools
        for time_s, price in zip(*prices.changes(pool), strict=True)
        if time_s >= end_s - DAYS * DAY_S
    ]
    types = {pool.instance_type for pool in prices.pools}
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(f"{len(prices.pools)} pools, {len(types)} types, {len(rows)} changes in {DAYS} days")
    month = _timed("take a month in", lambda: _book(rows, types, (end_s - DAYS * DAY_S, end_s)))
    body = _timed("write it", month.to_bytes)
    print(f"  {len(body) / 1e6:.1f} MB")
    _timed("read it", lambda: PriceBook.from_bytes(body))
    week = month.between((end_s - 8 * DAY_S, end_s))
    _timed("put eight days into it", lambda: month.union(week))
    for buckets in (2, 6, 48):
        holed = _with_hole(week, end_s - DAY_S // 2, buckets)
        span = (end_s - DAY_S, end_s)
        gaps = _timed(
            f"find {buckets} missed buckets of every pool",
            partial(find_gaps, [holed.coverage], holed.changes.pools, span),
        )
        wide = holed.between((span[0] - LOOK_AROUND_S, span[1]))
        grid = _timed(
            "  and see 24 hours of the region with them filled",
            partial(grid_view, wide, PriceBook(), span),
        )
        print(f"  {count_methods(grid, gaps)}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mb:.0f} MB")


def _book(rows: list[tuple[Pool, int, float]], types: set[str], span: Span) -> PriceBook:
    coverage = Coverage().with_span(types, span)
    return PriceBook().received(rows, coverage, {}, {})[0]


def _with_hole(book: PriceBook, start_s: int, buckets: int) -> PriceBook:
    before, after = (0, start_s), (start_s + 300 * buckets, np.iinfo(np.int64).max)
    coverage = book.coverage.clip(before).union(book.coverage.clip(after))
    return PriceBook(book.changes, coverage)


def _timed(what: str, work: Callable[[], Result]) -> Result:
    began = perf_counter()
    result = work()
    print(f"{what}: {perf_counter() - began:.2f} s")
    return result


if __name__ == "__main__":
    main()
