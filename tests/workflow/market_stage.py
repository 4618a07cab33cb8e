"""A moving market for workflow tests, and helpers that change the collected prices."""

from datetime import datetime, timedelta
from typing import Any

import boto3
import numpy as np

from simulator.deployed import START, ZONES
from simulator.market.history import Pool, PriceHistory
from simulator.stage import TYPES, Stage
from spot_optimizer.market.price_book import PriceBook

POOLS = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
FITTING = {name for name in TYPES if not name.startswith("m6g")}
DAY_S = 86_400


def moving_market(days: int) -> PriceHistory:
    """Every pool's price changes every four hours, for this many days before the start."""
    first = int((START - timedelta(days=days)).timestamp())
    times = np.arange(first, int(START.timestamp()) + 3 * DAY_S, 4 * 3600) + 1_800
    index = np.repeat(np.arange(len(POOLS)), len(times))
    cents = 3 + (np.arange(len(index)) * 7 % 11) / 100
    return PriceHistory.from_rows(POOLS, index, np.tile(times, len(POOLS)), cents / 100)


def book_of(stage: Stage, key: str = "market/prices.npz") -> PriceBook:
    """A price book of the bucket."""
    return PriceBook.from_bytes(stage.object(key))


def put(stage: Stage, key: str, body: bytes) -> None:
    """Put an object into the bucket."""
    boto3.client("s3").put_object(Bucket=stage.bucket, Key=key, Body=body)


def ask(stage: Stage, task: str, **details: Any) -> dict[str, Any]:
    """Run one task of refresh_market."""
    answer: dict[str, Any] = stage.account.invoke("RefreshMarket", {"task": task, **details})
    return answer


def adopt(stage: Stage) -> None:
    """Launch one workload, so that the types that fit it are collected."""
    stage.launch()
    stage.account.invoke("Decide", {"trigger": "schedule"})


def punch(stage: Stage, start: datetime, buckets: int) -> None:
    """Forget what was collected of all types in these buckets."""
    book = book_of(stage)
    hole = (int(start.timestamp()), int(start.timestamp()) + 300 * buckets)
    lo, hi = (0, hole[0]), (hole[1], 2**40)
    coverage = book.coverage.clip(lo).union(book.coverage.clip(hi))
    rows = [
        (book.changes.pools[pool], time_s, price)
        for pool, time_s, price in zip(
            book.changes.pool_index.tolist(),
            book.changes.time_s.tolist(),
            book.changes.price.tolist(),
            strict=True,
        )
        if not hole[0] <= time_s < hole[1]
    ]
    emptied, _ = PriceBook().received(rows, coverage, book.zone_ids, {})
    put(stage, "market/prices.npz", emptied.to_bytes())
