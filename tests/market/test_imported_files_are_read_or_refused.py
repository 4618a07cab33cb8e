"""A file of a user is read row by row; unusable rows are counted and never guessed."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.market.cleaning import Cleaning
from spot_optimizer.market.gap_methods import Method
from spot_optimizer.market.gaps import count_gaps, find_gaps
from spot_optimizer.market.grid_view import grid_view
from spot_optimizer.market.import_book import book_of_rows
from spot_optimizer.market.import_file import BYTES_MAX, FileRows, UnreadableFile, read_import
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.vocabulary import Pool, RowsAre

NOW_S = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
START_S = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
ZONE_NAMES = {"use1-az4": "us-east-1a"}
A, B = Pool("m5.large", "us-east-1a"), Pool("m5.large", "us-east-1b")
HEADER = "Timestamp,InstanceType,AvailabilityZone,SpotPrice\n"


def read(body: str | bytes) -> FileRows:
    """A file's rows as this account reads them."""
    data = body.encode() if isinstance(body, str) else body
    return read_import(data, region="us-east-1", zone_names=ZONE_NAMES, now_s=NOW_S)


def line(
    time: str = "2025-06-01T00:00:00Z",
    name: str = "m5.large",
    zone: str = "us-east-1a",
    price: str = "0.1",
) -> str:
    """One CSV line."""
    return f"{time},{name},{zone},{price}\n"


def imported(
    *rows: tuple[Pool, int, float], rows_are: RowsAre = RowsAre.CHANGES
) -> tuple[PriceBook, Cleaning]:
    """A book of (pool, seconds since the start, price), and its cleaning."""
    return book_of_rows([(p, START_S + s, price) for p, s, price in rows], rows_are, {})


ROW = {
    "AvailabilityZone": "us-east-1a",
    "InstanceType": "m5.large",
    "ProductDescription": "Linux/UNIX",
    "SpotPrice": "0.100000",
    "Timestamp": "2025-06-01T00:00:00+00:00",
}


@pytest.mark.parametrize(
    "body",
    [
        HEADER + line(),
        "﻿" + HEADER + line(),
        "price,az,instance_type,time\n0.1,us-east-1a,m5.large,2025-06-01 02:00:00+02:00\n",
        "Spot Price,AZ-ID,Instance-Type,Date\n$0.1,use1-az4,m5.large,2025-06-01T00:00:00Z\n",
        json.dumps({"SpotPriceHistory": [ROW]}),
        json.dumps([ROW]),
        json.dumps(ROW) + "\n\n" + json.dumps({**ROW, "ProductDescription": "Windows"}) + "\n",
        gzip.compress((HEADER + line()).encode()),
    ],
    ids=["csv", "bom", "spellings", "zone id", "aws cli", "list", "lines", "gzip"],
)
def test_every_common_format_gives_the_same_row(body: str | bytes) -> None:
    """CSV, the AWS CLI's output, and our own receipts."""
    assert read(body).rows == [(A, START_S, 0.1)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line(time="yesterday"), "not a time"),
        (line(time="2031-01-01T00:00:00Z"), "time is in the future"),
        (
            line(time="1970-01-01T00:00:00Z"),
            "time is before the start of spot instances (2009-12-14)",
        ),
        (line(name="large"), "not an instance type"),
        (line(zone="eu-west-1a"), "zone is not in this region"),
        (line(zone="use1-az9"), "zone id is not in this region, or not known yet"),
        (line(zone=""), "zone is not in this region"),
        ("m5.large\n", "not an instance type"),
    ],
)
def test_unusable_row_is_counted_and_stops_no_other(row: str, reason: str) -> None:
    """Unusable rows are dropped by reason, the others are read."""
    found = read(HEADER + line() + row + line(price="0.2", time="2025-06-02T00:00:00Z"))
    assert found.dropped == {reason: 1}
    assert (len(found.rows), found.read) == (2, 3)


def test_absurd_prices_are_dropped_with_the_reasons_of_cleaning() -> None:
    """Negative, zero, above ten times on-demand, and not a number."""
    body = HEADER + "".join(
        line(price=price, time=f"2025-06-0{day}T00:00:00Z")
        for day, price in enumerate(["-1", "0", "9.9", "cheap", "nan", "0.1"], start=1)
    )
    book, cleaning = book_of_rows(read(body).rows, RowsAre.CHANGES, {"m5.large": 0.1})
    assert cleaning.dropped == {
        "zero or negative": 2,
        "above 10 x on-demand": 1,
        "not a number": 2,
    }
    assert book.changes.price.tolist() == [0.1]


def test_unknown_columns_are_named_and_times_without_offset_are_counted() -> None:
    """Everything ignored or assumed is reported."""
    found = read("time,instance,zone,price,mood\n2025-06-01T00:00:00,m5.large,us-east-1a,0.1,x\n")
    assert found.columns_ignored == ("mood",)
    assert found.times_without_offset == 1
    assert found.rows == [(A, START_S, 0.1)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "has no rows"),
        (HEADER, "has no rows"),
        ("[]", "has no rows"),
        ("time,type,zone\n1,2,3\n", "no column for instance type; allowed are instancetype"),
        ("time,instance,zone\n1,2,3\n", "no column for price; allowed are spotprice"),
        ("{broken\n", "line 1 is not JSON"),
        ("[1, 2]", "has no rows"),
        (b"\x1f\x8bnot gzip", "damaged"),
        (b"PAR1\xff\xfe", "not UTF-8 text"),
        (gzip.compress(b" " * (BYTES_MAX + 1)), "larger than 64 MiB"),
    ],
)
def test_unreadable_file_is_refused_with_the_reason(body: str | bytes, message: str) -> None:
    """One sentence says what was found and what is allowed."""
    with pytest.raises(UnreadableFile, match=message):
        read(body)


def test_later_of_conflicting_rows_wins() -> None:
    """Duplicates count as repeated, contradictions as corrected."""
    book, cleaning = imported((A, 0, 0.1), (A, 0, 0.1), (A, 0, 0.3))
    assert book.changes.price.tolist() == [0.3]
    assert (cleaning.repeated, cleaning.corrected) == (1, 1)


def test_changes_hold_for_a_day_and_a_year_without_rows_is_a_blackout() -> None:
    """AWS restates every price each day: after a longer silence rows are missing, and the view
    stays empty."""
    year = 365 * 86_400
    book, _ = imported((A, 0, 0.1), (A, 86_400, 0.1), (A, 86_400 + year, 0.2))
    span = (START_S, START_S + 2 * year)
    (gap,) = find_gaps([book.coverage], [A], span)
    assert gap.start_s == START_S + 86_400 + 25 * 3600
    assert list(count_gaps([gap])) == ["blackout"]


def test_samples_cover_their_own_five_minutes_and_the_missing_one_is_filled() -> None:
    """A sample says nothing about the next bucket."""
    book, _ = imported((A, 7, 0.1), (A, 304, 0.1), (A, 901, 0.2), rows_are=RowsAre.SAMPLES)
    grid = grid_view(PriceBook(), book, (START_S, START_S + 1_200))
    assert grid.method[0].tolist() == [Method.IMPORTED] * 2 + [Method.LINEAR, Method.IMPORTED]
    np.testing.assert_allclose(grid.price[0], [0.1, 0.1, 0.15, 0.2])
    np.testing.assert_allclose(grid.confidence[0], [0.95, 0.95, 0.85, 0.95])


@given(st.permutations(range(8)), st.sampled_from(list(RowsAre)))
@settings(max_examples=25, deadline=None)
def test_import_does_not_depend_on_the_order_of_rows(order: list[int], rows_are: RowsAre) -> None:
    """An unsorted file gives the same book as a sorted one."""
    rows = [((A, B)[n % 2], n * 1_000, 0.1 + n / 100) for n in range(8)]
    shuffled = [rows[n] for n in order]
    sorted_book, _ = imported(*rows, rows_are=rows_are)
    book, _ = imported(*shuffled, rows_are=rows_are)
    assert book.to_bytes() == sorted_book.to_bytes()


def test_file_of_one_pool_is_read() -> None:
    """Its last price holds up to the file's last row."""
    book, _ = imported((A, 0, 0.1), (A, 3_600, 0.2))
    assert book.coverage.spans == {str(A): ((START_S, START_S + 3_601),)}
