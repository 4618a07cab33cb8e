"""A file of prices is read row by row; unusable rows are counted and never guessed."""

import codecs
import gzip
import io
import json
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.market.cleaning import Cleaning, PriceRow
from spot_optimizer.market.file_text import BYTES_MAX, UnreadableFile
from spot_optimizer.market.gap_methods import Method
from spot_optimizer.market.gaps import count_gaps, find_gaps
from spot_optimizer.market.grid_view import grid_view
from spot_optimizer.market.import_book import book_of_rows, pools_of_account, rows_of_account
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.price_file import PriceFile, read_price_file
from spot_optimizer.vocabulary import Pool, RowsAre

NOW_S = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
START_S = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
ZONE_NAMES = {"use1-az4": "us-east-1a"}
A, B = Pool("m5.large", "us-east-1a"), Pool("m5.large", "us-east-1b")
HEADER = "Timestamp,InstanceType,AvailabilityZone,SpotPrice\n"


def read(body: str | bytes, name: str = "") -> PriceFile:
    """A file as command line and import read it."""
    data = body.encode() if isinstance(body, str) else body
    return read_price_file(io.BytesIO(data), now_s=NOW_S, name=name, bytes_max=BYTES_MAX)


def rows_of(file: PriceFile) -> list[PriceRow]:
    """The rows that this account imports."""
    return list(rows_of_account(file, pools_of_account(file, "us-east-1", ZONE_NAMES)[0]))


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
PAGE = {"SpotPriceHistory": [ROW], "NextToken": ""}
NO_PAGE: Mapping[str, object] = {"SpotPriceHistory": [], "NextToken": "more"}
PRODUCT = "Timestamp,InstanceType,AvailabilityZone,SpotPrice,ProductDescription\n"

READ: Mapping[str, str | bytes] = {
    "csv": HEADER + line(),
    "carriage returns": (HEADER + line()).replace("\n", "\r\n"),
    "mark": codecs.BOM_UTF8 + (HEADER + line()).encode(),
    "mark before a quoted name": codecs.BOM_UTF8 + b'"Timestamp"' + (HEADER + line()).encode()[9:],
    "utf-16": (HEADER + line()).encode("utf-16"),
    "utf-32 json": json.dumps(PAGE).encode("utf-32"),
    "no utf-8": (HEADER + line()).encode() + b"2025-06-01,m5.large,us-east-1b,caf\xe9\n",
    "spellings": "price,az,instance_type,time\n0.1,us-east-1a,m5.large,2025-06-01 02:00:00+02:00\n",
    "zone id": "Spot Price,AZ-ID,Instance-Type,Date\n$0.1,use1-az4,m5.large,2025-06-01T00:00:00Z\n",
    "semicolons": (HEADER + line(price="0.1")).replace(",", ";"),
    "decimal comma": (HEADER + line()).replace(",", ";").replace("0.1", "0,1"),
    "tabs": (HEADER + line()).replace(",", "\t"),
    "upper case": HEADER + line(name="M5.LARGE", zone="US-EAST-1A"),
    "region is the zone": "time,instance,region,price\n2025-06-01T00:00:00Z,m5.large,us-east-1a,0.1\n",
    "lines before the header": "Publisher,me\n\n" + HEADER + line(),
    "amazon vpc": PRODUCT + line().strip() + ",Linux/UNIX (Amazon VPC)\n",
    "aws cli": json.dumps({"SpotPriceHistory": [ROW]}),
    "aws cli with a mark": codecs.BOM_UTF8 + json.dumps(PAGE, indent=1).encode(),
    "list": json.dumps([ROW]),
    "list of pages": json.dumps([PAGE, NO_PAGE]),
    "pages in a row": json.dumps(NO_PAGE) + json.dumps(PAGE) + "\n" + json.dumps(NO_PAGE, indent=2),
    "lines": json.dumps(ROW) + "\n\n" + json.dumps({**ROW, "ProductDescription": "Windows"}) + "\n",
    "gzip": gzip.compress((HEADER + line()).encode()),
    "gzip in parts": gzip.compress(HEADER.encode()) + gzip.compress(line().encode()),
    "gzipped json": gzip.compress(json.dumps(PAGE).encode()),
}


@pytest.mark.parametrize("kind", READ)
def test_price_file_of_every_common_kind_gives_the_same_row(kind: str) -> None:
    """CSV and JSON of the AWS CLI, of archives, of spreadsheets, and our own receipts."""
    assert rows_of(read(READ[kind])) == [(A, START_S, 0.1)]


TIMES = [
    "2025-06-01T00:00:00.000Z",
    "2025-06-01 00:00:00 UTC",
    "2025-05-31T19:00:00-0500",
    "2025-06-01",
    "2025-06-01 00:00:00.000000000",
    *(f"{START_S}{zeros}" for zeros in ("", ".0", "000", "000000", "000000000")),
]


@pytest.mark.parametrize("time", TIMES)
def test_price_file_reads_a_time_in_every_common_form(time: str) -> None:
    """ISO 8601 with any offset, and epoch numbers by their magnitude."""
    assert read(HEADER + line(time=time)).time_s.tolist() == [START_S]


@pytest.mark.parametrize(
    "price", ["0.1", "$0.1", ".1", "0.1 USD", "1e-1", "USD 0.1/hr", "$0.1 hourly"]
)
def test_price_file_reads_a_price_in_every_common_form(price: str) -> None:
    """A currency and a unit that say what is meant anyway."""
    assert read(HEADER + line(price=price)).usd_per_hour.tolist() == [0.1]


@pytest.mark.parametrize("price", ["€0.1", "0.1 EUR", "1,234", "$70 monthly", "0.1 cents", ""])
def test_price_file_never_takes_another_unit_for_usd_per_hour(price: str) -> None:
    """Nor a number that two countries read differently."""
    found = read(HEADER + line() + line(price=f'"{price}"'))
    assert (found.dropped, found.samples) == ({"not a number": 1}, {"not a number": repr(price)})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line(time="yesterday"), "not a time"),
        (line(time="02/10/2025 20:07"), "not a time"),
        (line(time="2031-01-01T00:00:00Z"), "time is in the future"),
        (
            line(time="1970-01-01T00:00:00Z"),
            "time is before the start of spot instances (2009-12-14)",
        ),
        (line(name="large"), "not an instance type"),
        (line(zone="us-east-1"), "not a zone"),
        (line(zone=""), "not a zone"),
        ("m5.large\n", "not an instance type"),
        (line(price="-1"), "zero or negative"),
        (line(price="0"), "zero or negative"),
        (line(price="nan"), "not a number"),
        (line(price="inf"), "not a number"),
        (line(price="cheap"), "not a number"),
        (HEADER, "repeated header"),
    ],
)
def test_unusable_row_is_counted_and_stops_no_other(row: str, reason: str) -> None:
    """Unusable rows are dropped by reason, the others are read."""
    found = read(HEADER + line() + row + line(price="0.2", time="2025-06-02T00:00:00Z"))
    assert found.dropped == {reason: 1}
    assert (len(rows_of(found)), found.read) == (2, 3)


def test_joined_files_with_other_orders_of_columns_are_read() -> None:
    """Each header names the columns of the rows below it."""
    other = (
        "SpotPrice,Timestamp,InstanceType,AvailabilityZone\n0.2,2025-06-02,m5.large,us-east-1a\n"
    )
    found = read(HEADER + line() + other)
    assert (found.usd_per_hour.tolist(), found.dropped) == ([0.1, 0.2], {"repeated header": 1})


def test_cell_without_a_column_has_no_meaning() -> None:
    """It is no on-demand price and no zone id, which the file does not have."""
    for more in ("9.99", "use1-az4"):
        found = read(HEADER + line().strip() + f",{more}\n")
        assert (found.pools[0].zone_id, found.on_demand_usd_per_hour) == ("", {})


def test_columns_are_those_of_all_records_not_only_of_the_first() -> None:
    """A product that the first record omits still tells Windows from Linux in the others."""
    without = {name: value for name, value in ROW.items() if name != "ProductDescription"}
    windows = {**ROW, "ProductDescription": "Windows", "AvailabilityZone": "us-east-1b"}
    found = read(json.dumps([{**without, "mood": "x"}, windows, ROW]))
    assert rows_of(found) == [(A, START_S, 0.1)]
    assert found.dropped == {"product is not Linux/UNIX": 2}
    assert not found.product_assumed


def test_newer_of_two_rows_wins_in_either_order_of_the_file() -> None:
    """AWS prints the newest first: there the earlier of two rows is the newer."""
    old, other, newer = line("2025-05-31"), line(price="0.2"), line(price="0.3")
    for body, last in ((old + other + newer, 0.3), (other + newer + old, 0.2)):
        assert rows_of(read(HEADER + body))[-1][2] == last


def test_rows_of_other_regions_are_counted_when_imported() -> None:
    """Zones by name, ids of another region, and ids that this account does not know yet."""
    named = HEADER + line() + line(zone="eu-west-1a")
    assert pools_of_account(read(named), "us-east-1", {})[1] == {"zone is not in this region": 1}
    by_id = HEADER + line(zone="use1-az4") + line(zone="use1-az9") + line(zone="euw1-az1")
    found = read(by_id)
    dropped = {"zone id is not in this region, or not known yet": 2}
    assert pools_of_account(found, "us-east-1", ZONE_NAMES)[1] == dropped
    assert rows_of(found) == [(A, START_S, 0.1)]


def test_zone_id_wins_over_the_name_when_imported() -> None:
    """A name means another zone in another account."""
    both = "Time,Instance,AZ,AzId,Price\n2025-06-01,m5.large,us-east-1f,use1-az4,0.1\n"
    assert rows_of(read(both)) == [(A, START_S, 0.1)]


def test_prices_above_ten_times_on_demand_are_dropped_by_cleaning() -> None:
    """The import knows the account's on-demand prices."""
    body = HEADER + line(price="1.01") + line(price="0.9", time="2025-06-02")
    book, cleaning = book_of_rows(rows_of(read(body)), RowsAre.CHANGES, {"m5.large": 0.1})
    assert cleaning.dropped == {"above 10 x on-demand": 1}
    assert book.changes.price.tolist() == [0.9]


def test_unknown_columns_are_named_and_times_without_offset_are_counted() -> None:
    """Everything ignored or assumed is reported."""
    found = read("time,instance,zone,price,mood\n2025-06-01T00:00:00,m5.large,us-east-1a,0.1,x\n")
    assert found.columns_ignored == ("mood",)
    assert found.times_without_offset == 1
    assert found.product_assumed
    assert rows_of(found) == [(A, START_S, 0.1)]


def test_on_demand_column_of_an_archive_is_read_by_region() -> None:
    """SpotLake states it beside each spot price."""
    body = "AZ,SpotPrice,OndemandPrice,InstanceType,Region,Time\n"
    body += "use1-az4,0.03,0.096,m5.large,us-east-1,2025-06-01\neuw1-az1,0.03,0.1,m5.large,x,2025-06-01\n"
    listed = {"us-east-1": {"m5.large": 0.096}, "eu-west-1": {"m5.large": 0.1}}
    assert read(body).on_demand_usd_per_hour == listed


REFUSED: Mapping[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty"),
    "header": (HEADER, "has no rows"),
    "empty list": ("[]", "has no rows"),
    "empty history": ('{"SpotPriceHistory": []}', "has no rows"),
    "no history": ('{"SpotPriceHistory": null}', "has no rows"),
    "text as history": ('{"SpotPriceHistory": "x"}', "must be a list of rows"),
    "other object": ('{"Reservations": []}', "no column for the time .*there is 'Reservations'"),
    "no type": (
        "time,type,zone\n1,2,3\n",
        r"no column for the instance type \(allowed: InstanceType",
    ),
    "no price": (
        "time,instance,zone\n1,2,3\n",
        r"the price \(allowed: SpotPrice.*there is 'instance'",
    ),
    "name twice": (
        HEADER.strip() + ",SpotPrice\n" + line(),
        "two columns for the price: 'SpotPrice'",
    ),
    "two spellings": (
        HEADER.strip() + ",Spot_Price\n" + line(),
        "two columns for the price: 'SpotPrice' and 'Spot_Price'",
    ),
    "two spellings in records": (
        json.dumps(ROW) + json.dumps({**ROW, "price": "1"}),
        "two columns for the price: 'SpotPrice' and 'price'",
    ),
    "zones mixed": (
        HEADER + line() + line(zone="use1-az4"),
        "mixed, such as us-east-1a and use1-az4",
    ),
    "windows": (
        PRODUCT + line().strip() + ",Windows\n",
        r"1 product is not Linux/UNIX \('Windows'\)",
    ),
    "us dates": (
        HEADER + line(time="02/10/2026 20:07"),
        r"no row is usable: 1 not a time \('02/10/2026 20:07'\), allowed are ISO 8601",
    ),
    "cli text": (
        "SPOTPRICEHISTORY\tus-east-1a\tm5.large\n",
        "text output of the AWS CLI.*--output json",
    ),
    "broken": ("{broken\n", "not JSON: .*line 1"),
    "cut off": (json.dumps(PAGE)[:-20], "not JSON"),
    "numbers": ("[1, 2]", "'1' where a row is expected"),
    "deep": ("[" * 100_000, "nested too deeply|not JSON"),
    "no gzip": (b"\x1f\x8bnot gzip", "damaged"),
    "cut gzip": (gzip.compress((HEADER + line() * 99).encode())[:-9], "damaged"),
    "spoiled gzip": (gzip.compress(HEADER.encode() * 99)[:10] + b"\xff" * 40, "damaged"),
    "gzip of gzip": (gzip.compress(gzip.compress(HEADER.encode())), "not text"),
    "parquet": (b"PAR1\xff\xfe", "is parquet.*`spot-optimizer convert FILE.parquet FILE.csv.gz`"),
    "parquet in gzip": (gzip.compress(b"PAR1\xff\xfe"), "is parquet"),
    "workbook": (b"PK\x03\x04\x14\x00", "zip archive or an Excel workbook"),
    "bytes": (bytes(range(256)), "not text"),
    "open quote": (HEADER + line() + '"' + line(), "not CSV: line 3"),
    "endless field": (HEADER + "x" * 200_000, "the file is not CSV: line 2"),
    "too large": (gzip.compress(b" " * (BYTES_MAX + 1)), "larger than 64 MiB"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_unreadable_file_is_refused_in_one_line_with_the_reason(kind: str) -> None:
    """It says what was found and what is allowed."""
    body, message = REFUSED[kind]
    with pytest.raises(UnreadableFile, match=message) as refusal:
        read(body)
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["prices.csv.gz", "import/prices.PARQUET"])
def test_name_that_contradicts_the_content_is_refused(name: str) -> None:
    """What was meant to be compressed may be half a file."""
    with pytest.raises(UnreadableFile, match="is named"):
        read(HEADER + line(), name)
    assert len(rows_of(read(gzip.compress((HEADER + line()).encode()), "any name"))) == 1


def test_csv_is_read_without_holding_its_text() -> None:
    """A row takes a few numbers of columns, not the objects that Python would make of its text."""
    count = 20_000
    body = HEADER + "".join(line(time=str(START_S + n)) for n in range(count))
    packed = gzip.compress(body.encode(), 1)
    tracemalloc.start()
    file = io.BytesIO(packed)
    found = read_price_file(file, now_s=NOW_S)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.time_s) == count
    assert peak < 150 * count  # columns, their copies as arrays, and masks; tuples took 400


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
