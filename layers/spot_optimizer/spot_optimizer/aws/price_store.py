"""Price books in the data bucket: the recent prices, and the archive by month."""

from collections.abc import Iterable
from typing import Literal

from spot_optimizer.aws.data_bucket import (
    HISTORY,
    MARKET_PRICES,
    DataBucket,
)
from spot_optimizer.codec import DamagedState
from spot_optimizer.market.coverage import Coverage, Span
from spot_optimizer.market.price_book import PriceBook, contents_from_bytes
from spot_optimizer.market.price_months import Month, months_in
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import Pool

Source = Literal["reported", "imported"]


class PriceStore:
    """Reads and writes price books; each is one object. A damaged book counts as empty, so that its
    prices are collected again as far as AWS still returns them."""

    def __init__(self, store: DataBucket) -> None:
        self._store = store

    def at_hand(self) -> PriceBook:
        """The prices of the last days, from which the snapshot is made."""
        return self._read(MARKET_PRICES)

    def write_at_hand(self, book: PriceBook) -> None:
        self._store.write(MARKET_PRICES, book.to_bytes())

    def month(self, source: Source, month: Month) -> PriceBook:
        """The archive's book of a month."""
        return self._read(_key(source, month))

    def add_to_month(self, source: Source, month: Month, book: PriceBook) -> None:
        """Add ``book`` to the archive's month; a simultaneous writer's prices are not lost."""
        key = _key(source, month)

        def joined(before: bytes | None) -> bytes:
            return self._parse(key, before).union(book).to_bytes()

        self._store.update(key, joined)

    def read(self, source: Source, span: Span) -> PriceBook:
        """The prices of a span, from the archive and, if reported, the recent prices."""
        book = PriceBook()
        for month in months_in(span):
            book = book.union(self.month(source, month).between(span))
        return book.union(self.at_hand().between(span)) if source == "reported" else book

    def contents(self, source: Source, months: Iterable[Month]) -> tuple[Coverage, set[Pool]]:
        """Coverage and pools of the archive in these months; unchanged objects are not read again."""
        coverage, pools = Coverage(), set[Pool]()
        for month in months:
            key = _key(source, month)
            try:
                found = self._store.load(key, contents_from_bytes)
            except DamagedState as damage:
                _report(key, damage)
                continue
            if found is not None:
                coverage = coverage.union(found[0])
                pools.update(found[1])
        return coverage, pools

    def _read(self, key: str) -> PriceBook:
        return self._parse(key, self._store.read(key))

    @staticmethod
    def _parse(key: str, body: bytes | None) -> PriceBook:
        try:
            return PriceBook.from_bytes(body) if body else PriceBook()
        except DamagedState as damage:
            _report(key, damage)
            return PriceBook()


def _key(source: Source, month: Month) -> str:
    return f"{HISTORY}/{source}/{month}.npz"


def _report(key: str, damage: DamagedState) -> None:
    metrics.add_metric("PriceBooksDamaged", "Count", 1)
    logger.error("damaged prices are collected again", key=key, reason=str(damage))
