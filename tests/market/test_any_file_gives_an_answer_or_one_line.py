"""No bytes whatever break a reader: command line and import give an answer, or the same one line."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from price_files.on_demand import read_on_demand_of
from price_files.spot_prices import read_prices_of
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.market.file_text import UnreadableFile
from spot_optimizer.market.on_demand_file import read_on_demand_file
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.services.refresh_market.price_imports import import_prices
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.vocabulary import RowsAre

NOW = datetime.now(UTC)
ROW = {
    "Timestamp": "2025-06-01T00:00:00Z",
    "InstanceType": "m5.large",
    "AvailabilityZone": "us-east-1a",
    "ProductDescription": "Linux/UNIX",
    "SpotPrice": "0.0345",
}
LISTED = {
    "Instance Type": "m5.large",
    "PricePerUnit": "0.096",
    "Region Code": "us-east-1",
    "TermType": "OnDemand",
    "Unit": "Hrs",
}


class Bucket:
    """Holds one object, and what is written."""

    def __init__(self, body: bytes) -> None:
        self.objects = {"import/file": body}

    def read(self, key: str, _bytes_max: int | None = None) -> bytes | None:
        return self.objects.get(key)

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        self.objects[key] = change(self.objects.get(key))


def _csv(rows: list[dict[str, str]], separator: str) -> bytes:
    lines = [separator.join(rows[0]), *(separator.join(row.values()) for row in rows)]
    return "\n".join(lines).encode()


def _parquet(rows: list[dict[str, str]]) -> bytes:
    body = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), body)
    return body.getvalue()


def _whole(row: dict[str, str]) -> list[bytes]:
    """One file of every format."""
    rows = [row, {**row, "x": "y"}]
    return [
        _csv([row, row], ","),
        _csv([row], ";"),
        json.dumps({"SpotPriceHistory": rows, "PriceList": [json.dumps(row)]}).encode(),
        json.dumps(rows).encode("utf-16"),
        "\n".join(map(json.dumps, rows)).encode(),
        json.dumps({"m5.large": 0.096, "m5a.large": "x"}).encode(),
        gzip.compress(_csv([row], ",")),
        _parquet(rows),
    ]


WHOLE = [*_whole(ROW), *_whole(LISTED)]
CELL = st.one_of(
    st.sampled_from([*ROW.values(), *LISTED.values(), "", "use1-az4", "eu-west-1a", "NaN", "$1"]),
    st.integers(-(10**25), 10**25).map(str),
    st.datetimes().map(str),
    st.text(max_size=8),
)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELL,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ROW, *LISTED, "SpotPriceHistory", "PriceList"]), inner)
    ),
    max_leaves=12,
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good file with a part replaced, or cut off; parquet, which is not ours to read, only cut off."""
    body = draw(st.sampled_from(WHOLE))
    start = draw(st.integers(0, len(body)))
    if body.startswith(b"PAR1"):
        return body[:start]
    end = draw(st.integers(start, min(start + 40, len(body))))
    rest = draw(st.sampled_from([body[end:], b""]))
    return body[:start] + draw(st.binary(max_size=20)) + rest


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV with the columns of a price file, or nearly, and any cells."""
    names = draw(st.lists(st.sampled_from([*ROW, *LISTED, "AZ", "AzId", "Price", "x"]), min_size=1))
    separator = draw(st.sampled_from(",;\t|"))
    rows = draw(st.lists(st.lists(CELL, max_size=len(names) + 1), max_size=5))
    return "\n".join(separator.join(row) for row in [names, *rows]).encode()


ANY_FILE = st.one_of(
    st.binary(max_size=200),
    spoiled(),
    tables(),
    tables().map(gzip.compress),
    ANY_VALUE.map(lambda value: json.dumps(value).encode()),
)
MANY = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _refusal(read: Callable[[], object], *expected: type[Exception]) -> str:
    """What the reader says when it refuses; "" if it reads."""
    try:
        read()
    except expected as error:
        text = str(error)
        assert text
        assert text.isprintable(), text
        assert len(text) < 1_500, text
        return text
    return ""


@given(body=ANY_FILE)
@MANY
def test_any_bytes_as_spot_prices_give_an_answer_or_one_line(tmp_path: Path, body: bytes) -> None:
    """What the command line refuses, the import refuses in the same words, and the other way around,
    but for parquet, and for rows that are of another account or absurdly high."""
    path = tmp_path / "file"
    path.write_bytes(body)
    refused = _refusal(lambda: read_prices_of(path), UnreadableFile).removeprefix(f"{path}: ")
    bucket = Bucket(body)
    market = Market(bucket, frozenset(), {"m5.large": 0.096}, NOW)  # type: ignore[arg-type]
    answered = _refusal(
        lambda: import_prices(market, "import/file", RowsAre.CHANGES, "us-east-1"), InvalidRequest
    ).removeprefix("key = 'import/file': ")
    if body.startswith(b"PAR1"):
        assert "spot-optimizer convert" in answered
    elif refused:
        assert answered == refused
        assert set(bucket.objects) == {"import/file"}
    else:
        assert not answered or answered.startswith("no row has a usable price")
    for key, stored in bucket.objects.items():
        if key.endswith(".npz"):
            assert (PriceBook.from_bytes(stored).changes.price > 0).all()


@given(body=ANY_FILE)
@MANY
def test_any_bytes_as_on_demand_prices_give_an_answer_or_one_line(
    tmp_path: Path, body: bytes
) -> None:
    """Every price that is read is above 0, and finite."""
    path = tmp_path / "file"
    path.write_bytes(body)
    refused = _refusal(lambda: read_on_demand_of(path), UnreadableFile)
    if not body.startswith(b"PAR1") and not refused:
        by_region = read_on_demand_file(io.BytesIO(body)).by_region
        prices = [usd for here in by_region.values() for usd in here.values()]
        assert prices
        assert all(0 < usd < float("inf") for usd in prices)


@pytest.mark.parametrize("body", WHOLE[:5] + WHOLE[6:8])
def test_the_good_files_are_read(tmp_path: Path, body: bytes) -> None:
    """Or the property above would hold of readers that refuse everything."""
    path = tmp_path / "file"
    path.write_bytes(body)
    assert read_prices_of(path).usd_per_hour[0] == 0.0345
