"""The prices of the last days: collected every cycle, healed every quarter of an hour."""

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
"""The longest look back of the snapshot is seven days; one more for late rows."""

GAPS_LOOK_BACK = timedelta(hours=24)
NOT_YET_DUE = timedelta(minutes=65)
"""Cycles are up to 60 minutes apart: what is younger than that is not missed yet."""


@dataclass(frozen=True)
class Market:
    """Where prices are kept, which types are wanted, and against what they are checked."""

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
    """Everything of the last eight days that is not collected yet: since the last time, what was
    missed before, and all of a new type. Raises what AWS said when it answered nothing at all."""
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
    """Find what was missed in the last 24 hours, ask AWS for it, and tell what remains.

    What remains is not stored as anything: every view of it is filled by the table of gaps, until
    AWS answers.
    """
    book = market.prices.at_hand()
    span = (market.now_s - int(GAPS_LOOK_BACK.total_seconds()), market.now_s)
    missed = find_gaps([book.coverage], book.changes.pools, span)
    due = (span[0], market.now_s - int(NOT_YET_DUE.total_seconds()))
    slices = [
        part
        for begun_s, types in _by_beginning(book, market.types).items()
        for part in plan_slices(book.coverage, types, (max(begun_s, due[0]), due[1]))
        if begun_s < due[1]
    ]
    answer: dict[str, Any] = {"gaps": count_gaps(missed)}
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


def _by_beginning(book: PriceBook, types: frozenset[str]) -> dict[int, list[str]]:
    """When collecting began -> types. A type that was never collected has missed nothing yet."""
    beginnings: dict[int, list[str]] = {}
    for name in sorted(types):
        if spans := book.coverage.of_type(name):
            beginnings.setdefault(spans[0][0], []).append(name)
    return beginnings


def trusted(book: PriceBook, now: datetime, age_max: timedelta) -> tuple[PriceChanges, datetime]:
    """The prices that may be decided upon, and when the oldest of them was collected.

    A type whose prices AWS has not told for longer than ``age_max`` is left out: the others are
    trusted without it.
    """
    now_s = int(now.timestamp())
    until = {name: spans[-1][1] for name, spans in book.coverage.spans.items()}
    fresh = {name: at for name, at in until.items() if at >= now_s - age_max.total_seconds()}
    oldest_s = min(fresh.values(), default=now_s)
    as_of = now if oldest_s >= now_s else datetime.fromtimestamp(oldest_s, UTC)
    return book.changes.restrict(fresh.keys()), as_of
