"""Prices of the last days: collected every cycle; every 15 minutes gaps are requested again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.price_store import PriceStore
from spot_optimizer.market.collection_plan import plan_slices
from spot_optimizer.market.gaps import count_gaps, find_gaps
from spot_optimizer.market.grid_view import LOOK_AROUND_S, count_methods, grid_view
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.services.refresh_market.collection import Collected, collect
from spot_optimizer.telemetry import metrics

KEPT_AT_HAND = timedelta(days=8)
"""The snapshot looks back seven days at most; one more for late rows."""

GAPS_LOOK_BACK = timedelta(hours=24)
NOT_YET_DUE = timedelta(minutes=65)
"""Cycles are up to 60 minutes apart: prices younger than this are not missing yet."""


@dataclass(frozen=True)
class Market:
    """What collecting prices needs: the bucket, the wanted types, and on-demand prices to check by."""

    store: DataBucket
    types: frozenset[str]
    on_demand_usd_per_hour: Mapping[str, float]
    now: datetime

    @property
    def now_s(self) -> int:
        return int(self.now.timestamp())

    @property
    def prices(self) -> PriceStore:
        return PriceStore(self.store)


def collect_prices(market: Market) -> Collected:
    """Collect what is missing of the last eight days: new prices, earlier gaps, and the history of new
    types. Raises AWS's error if every request failed."""
    start_s = market.now_s - int(KEPT_AT_HAND.total_seconds())
    known = market.prices.at_hand().restrict(market.types)
    slices = plan_slices(known.coverage, market.types, (start_s, market.now_s))
    found = collect(
        market.store,
        known,
        slices,
        on_demand_usd_per_hour=market.on_demand_usd_per_hour,
        now=market.now,
        name="prices",
        save=lambda book: market.prices.write_at_hand(book.between((start_s, market.now_s + 1))),
    )
    if found.error is not None and not found.slices:
        raise found.error
    found.book = found.book.between((start_s, market.now_s + 1))
    return found


def heal_gaps(market: Market) -> dict[str, Any]:
    """Find the gaps of the last 24 hours, request them from AWS, and report what remains.

    Filled prices are not stored: views fill the remaining gaps until AWS returns the prices.
    """
    book = market.prices.at_hand()
    span = (market.now_s - int(GAPS_LOOK_BACK.total_seconds()), market.now_s)
    gaps = find_gaps([book.coverage], book.changes.pools, span)
    due = (span[0], market.now_s - int(NOT_YET_DUE.total_seconds()))
    slices = [
        part
        for first_s, types in _by_first_collection(book, market.types).items()
        for part in plan_slices(book.coverage, types, (max(first_s, due[0]), due[1]))
        if first_s < due[1]
    ]
    answer: dict[str, Any] = {"gaps": count_gaps(gaps)}
    if slices:
        found = collect(
            market.store,
            book,
            slices,
            on_demand_usd_per_hour=market.on_demand_usd_per_hour,
            now=market.now,
            name="gaps",
            save=market.prices.write_at_hand,
        )
        book = found.book
        answer["asked_again"] = found.answer()
    remaining = find_gaps([book.coverage], book.changes.pools, span)
    metrics.add_metric("PriceGapBuckets", "Count", sum(g.buckets * len(g.pools) for g in remaining))
    if remaining:
        wide = (span[0] - LOOK_AROUND_S, span[1])
        grid = grid_view(book.between(wide), PriceBook(), span)
        answer["remaining"] = count_gaps(remaining)
        answer["filled"] = count_methods(grid, remaining)
    return answer


def trusted_prices(
    book: PriceBook, now: datetime, age_max: timedelta
) -> tuple[PriceChanges, datetime]:
    """The prices that decisions may use, and when the oldest of them were collected.

    A type that was not collected for longer than ``age_max`` is excluded; the others stay usable.
    """
    now_s = int(now.timestamp())
    until = {name: spans[-1][1] for name, spans in book.coverage.spans.items()}
    fresh = {name: at for name, at in until.items() if at >= now_s - age_max.total_seconds()}
    oldest_s = min(fresh.values(), default=now_s)
    as_of = now if oldest_s >= now_s else datetime.fromtimestamp(oldest_s, UTC)
    return book.changes.restrict(fresh.keys()), as_of


def _by_first_collection(book: PriceBook, types: frozenset[str]) -> dict[int, list[str]]:
    """Time of the first collection -> types. Types that were never collected have no gaps yet."""
    types_by_first: dict[int, list[str]] = {}
    for name in sorted(types):
        if spans := book.coverage.of_type(name):
            types_by_first.setdefault(spans[0][0], []).append(name)
    return types_by_first
