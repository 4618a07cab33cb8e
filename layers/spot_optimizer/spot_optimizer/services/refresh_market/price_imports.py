"""Import a file of prices into the archive."""

import io
import json
from datetime import datetime
from typing import Any

from spot_optimizer.aws.data_bucket import IMPORTS, DataBucket, TooLarge
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.market.file_text import BYTES_MAX, UnreadableFile
from spot_optimizer.market.import_book import book_of_rows, pools_of_account, rows_of_account
from spot_optimizer.market.price_file import read_price_file
from spot_optimizer.market.price_months import months_in
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.vocabulary import RowsAre

_RECORDS_MAX = 100
"""Number of imports whose records are kept."""


def import_prices(market: Market, key: str, rows_are: RowsAre, region: str) -> dict[str, Any]:
    """Import the prices of one object of the bucket; if it cannot be read, nothing changes.

    Imported prices never replace reported ones: both are stored apart, and every view prefers the
    reported ones. Importing a file again changes nothing. Raises InvalidRequest.
    """
    try:
        body = market.store.read(key, BYTES_MAX)
    except TooLarge as error:
        raise InvalidRequest(f"key = {key!r}: {error}: split it, or gzip it") from error
    if body is None:
        raise InvalidRequest(f"key = {key!r}: there is no such object; upload the file first")
    try:
        found = read_price_file(io.BytesIO(body), now_s=market.now_s, name=key, bytes_max=BYTES_MAX)
    except UnreadableFile as error:
        raise InvalidRequest(f"key = {key!r}: {error}") from error
    del body  # what follows needs the memory
    zone_names = {i: name for name, i in market.prices.at_hand().zone_ids.items()}
    places, elsewhere = pools_of_account(found, region, zone_names)
    book, cleaning = book_of_rows(
        rows_of_account(found, places), rows_are, market.on_demand_usd_per_hour
    )
    answer: dict[str, Any] = {
        "key": key,
        "rows_are": str(rows_are),
        "rows": found.read,
        "pools": len(book.changes.pools),
        "changes": len(book.changes.price),
        "repeated": cleaning.repeated,
        "conflicting": cleaning.corrected,
        "dropped": {**found.dropped, **elsewhere, **cleaning.dropped},
        "times_without_offset": found.times_without_offset,
        "columns_ignored": list(found.columns_ignored),
        **({"samples": dict(found.samples)} if found.samples else {}),
    }
    if not book.changes.pools:
        raise InvalidRequest(
            f"key = {key!r}: no row has a usable price: {json.dumps(answer['dropped'])}"
        )
    edges = [edge for spans in book.coverage.spans.values() for edge in (spans[0][0], spans[-1][1])]
    for month in months_in((min(edges), max(edges))):
        part = book.between(month.span)
        if part.coverage.spans:
            market.prices.add_to_month("imported", month, part)
    answer |= {"from": _iso(market, min(edges)), "until": _iso(market, max(edges))}
    _add_record(market, answer)
    return answer


def read_imports(store: DataBucket) -> list[dict[str, Any]]:
    """Records of the imports, the newest last."""
    return _records(store.read(IMPORTS))


def _records(body: bytes | None) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(body) if body else []
    return records


def _add_record(market: Market, answer: dict[str, Any]) -> None:
    record = {"imported_at": market.now.isoformat(), **answer}

    def with_record(before: bytes | None) -> bytes:
        others = [other for other in _records(before) if other["key"] != answer["key"]]
        return json.dumps([*others, record][-_RECORDS_MAX:], sort_keys=True).encode()

    market.store.update(IMPORTS, with_record)


def _iso(market: Market, time_s: int) -> str:
    return datetime.fromtimestamp(time_s, market.now.tzinfo).isoformat()
