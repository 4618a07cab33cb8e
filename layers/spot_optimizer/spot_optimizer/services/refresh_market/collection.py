"""Collect prices from AWS slice by slice, so that an interrupted run keeps what it received."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.clients import error_code, is_transient
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.spot_prices import PriceReceipt, read_spot_prices
from spot_optimizer.market.collection_plan import Slice, halves
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.telemetry import logger, metrics

PAGES_MAX = 200
"""Pages of 1,000 rows that one invocation requests: about two minutes of its five."""
_SAVE_EVERY_PAGES = 20
"""A run that dies loses at most this many pages."""


@dataclass
class Collected:
    """Result of a collection; the counts are those of ``Cleaning``."""

    book: PriceBook
    slices: int = 0
    left: int = 0
    """Slices left to the next run: this one reached its page limit, or AWS was busy."""
    failed: list[str] = field(default_factory=list)
    """What could not be collected and why, in words."""
    error: ClientError | BotoCoreError | None = None
    """The first error of AWS."""
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def answer(self) -> dict[str, Any]:
        """For the function's answer."""
        kept = {name: self.counts[name] for name in ("received", "changes", "corrected")}
        answer: dict[str, Any] = {**kept, "dropped": dict(self.dropped), "slices": self.slices}
        if self.left:
            answer["slices_left"] = self.left
        if self.failed:
            answer["failed"] = self.failed
        return answer


def collect(
    store: DataBucket,
    book: PriceBook,
    slices: Iterable[Slice],
    *,
    on_demand_usd_per_hour: Mapping[str, float],
    now: datetime,
    name: str,
    save: Callable[[PriceBook], None],
) -> Collected:
    """Add the prices of ``slices`` to ``book``. Receipts are stored before the book is saved.

    A slice that AWS refuses because of one of its types is split in halves; what AWS still refuses
    is skipped and reported. If AWS is busy, the remaining slices wait for the next run.
    """
    found = Collected(book)
    todo = list(slices)[::-1]
    pages = unsaved = 0
    while todo and pages < PAGES_MAX:
        wanted = todo.pop()
        try:
            receipt = read_spot_prices(wanted)
        except (ClientError, BotoCoreError) as error:
            found.error = found.error or error
            if _blames_a_type(error) and len(wanted.types) > 1:
                todo += reversed(halves(wanted))
                continue
            found.failed.append(_describe(wanted, error))
            if is_transient(error):
                break
            continue
        pages, unsaved = pages + receipt.pages, unsaved + receipt.pages
        _store_receipt(store, receipt, now, f"-{name}-{found.slices + 1}")
        _add_receipt(found, wanted, receipt, on_demand_usd_per_hour)
        if unsaved >= _SAVE_EVERY_PAGES and todo:
            save(found.book)
            unsaved = 0
    if unsaved:
        save(found.book)
    found.left = len(todo)
    _report(found)
    return found


def _add_receipt(
    found: Collected, wanted: Slice, receipt: PriceReceipt, on_demand: Mapping[str, float]
) -> None:
    found.book, cleaning = found.book.received(
        receipt.rows(), wanted.coverage(), receipt.zone_ids(), on_demand
    )
    found.slices += 1
    found.counts.update(
        received=cleaning.received, changes=cleaning.changes, corrected=cleaning.corrected
    )
    found.dropped.update(cleaning.dropped)


def _blames_a_type(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error).startswith("Invalid")


def _describe(wanted: Slice, error: Exception) -> str:
    types = ", ".join(wanted.types[:3]) + (" ..." if len(wanted.types) > 3 else "")
    return f"{len(wanted.types)} types ({types}): {error}"


def _store_receipt(store: DataBucket, receipt: PriceReceipt, now: datetime, name: str) -> None:
    if receipt.received:
        store.write_json_lines("receipts", now, receipt.received, name)


def _report(found: Collected) -> None:
    if found.failed:
        logger.error("prices not collected", failed=found.failed)
        metrics.add_metric("PriceSlicesFailed", "Count", len(found.failed))
    if dropped := sum(found.dropped.values()):
        metrics.add_metric("PriceRowsDropped", "Count", dropped)
