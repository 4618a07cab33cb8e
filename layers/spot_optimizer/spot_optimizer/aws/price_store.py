"""Price books in the data bucket: the last days at hand, and the archive by month."""

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
    """Every book is one object. One that is damaged counts as empty, so that it is collected anew as
    far as AWS still tells it."""

    def __init__(self, store: DataBucket) -> None:
        self._store = store

    def at_hand(self) -> PriceBook:
        """The last days, which the snapshot is made of."""
        return self._read(MARKET_PRICES)

    def write_at_hand(self, book: PriceBook) -> None:
        self._store.write(MARKET_PRICES, book.to_bytes())

    def month(self, source: Source, month: Month) -> PriceBook:
        """What the archive holds of a month."""
        return self._read(_key(source, month))

    def add_to_month(self, source: Source, month: Month, book: PriceBook) -> None:
        """Put what ``book`` says into the archive's month; whoever else does so loses nothing."""
        key = _key(source, month)

        def joined(before: bytes | None) -> bytes:
            return self._parse(key, before).union(book).to_bytes()

        self._store.update(key, joined)

    def read(self, source: Source, span: Span) -> PriceBook:
        """What archive and the book at hand say of a span."""
        book = PriceBook()
        for month in months_in(span):
            book = book.union(self.month(source, month).between(span))
        return book.union(self.at_hand().between(span)) if source == "reported" else book

    def contents(self, source: Source, months: Iterable[Month]) -> tuple[Coverage, set[Pool]]:
        """What the archive covers in these months, and of which pools; read only where changed."""
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
    logger.error("prices that cannot be read are collected anew", key=key, reason=str(damage))
