"""Read files of spot prices from users: CSV, and JSON as the AWS CLI prints it.

| meaning | spellings |
|---|---|
| time | Timestamp, Time, DateTime, Date |
| instance type | InstanceType, Instance |
| zone | AvailabilityZone, AZ, Zone |
| zone id (wins over the name, which differs between accounts) | AvailabilityZoneId, AzId |
| price | SpotPrice, Price, UsdPerHour |
| product (default: Linux) | ProductDescription, Product, OS, OperatingSystem |

Case, ``_``, ``-`` and spaces make no difference. Other columns are ignored and reported.
"""

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.vocabulary import Pool

BYTES_MAX = 64 * 1024 * 1024
"""Unpacked. A quarter of a year of a region's prices fits."""

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "datetime", "date"),
    "instance_type": ("instancetype", "instance"),
    "zone": ("availabilityzone", "az", "zone"),
    "zone_id": ("availabilityzoneid", "azid"),
    "price": ("spotprice", "price", "usdperhour"),
    "product": ("productdescription", "product", "os", "operatingsystem"),
}
_LINUX = ("linux/unix", "linux/unix (amazon vpc)", "linux")
_SPOT_BEGAN_S = int(datetime(2009, 12, 14, tzinfo=UTC).timestamp())
"""AWS News Blog, "Amazon EC2 Spot Instances", 14 December 2009."""
_TYPE_NAME = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_ZONE_ID = re.compile(r"[a-z]+\d-([a-z]+\d-)?az\d+")


class UnreadableFile(ValueError):
    """The file cannot be read as prices; the text says what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a file, and what was dropped or assumed."""

    rows: list[PriceRow]
    """In the file's order; of two prices for one pool and time the later one wins."""
    read: int
    dropped: Mapping[str, int]
    """Reason -> rows."""
    times_without_offset: int
    """Times without a UTC offset; they are taken as UTC, as AWS prints them."""
    columns_ignored: tuple[str, ...]


def read_import(data: bytes, *, region: str, zone_names: Mapping[str, str], now_s: int) -> FileRows:
    """Read the rows of a file, plain or gzipped. ``zone_names`` maps zone ids to this account's names.

    Unusable rows are dropped and counted. Raises UnreadableFile if the file has no rows or lacks a
    required column.
    """
    text = _text(data)
    records = _json_records(text) if text.lstrip()[:1] in ("{", "[") else _csv_records(text)
    reader: _Reader | None = None
    rows: list[PriceRow] = []
    read = 0
    for record in records:
        reader = reader or _Reader(record.keys(), region, zone_names, now_s)
        read += 1
        if (row := reader.row(record)) is not None:
            rows.append(row)
    if reader is None:
        raise UnreadableFile("the file has no rows; allowed are CSV with a header, or JSON")
    return FileRows(
        rows, read, dict(reader.dropped), reader.times_without_offset, reader.columns_ignored
    )


def _text(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(BYTES_MAX + 1)
        except (OSError, EOFError, ValueError) as error:
            raise UnreadableFile(f"the file starts like gzip but is damaged: {error}") from error
    if len(data) > BYTES_MAX:
        raise UnreadableFile(f"the file is larger than {BYTES_MAX >> 20} MiB unpacked: split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"the file is not UTF-8 text: {error}; allowed are CSV and JSON"
        ) from error


def _csv_records(text: str) -> Iterable[Mapping[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(text))
    except csv.Error as error:
        raise UnreadableFile(f"the file is not CSV: {error}") from error


def _json_records(text: str) -> Iterable[Mapping[str, Any]]:
    """Rows from the output of ``aws ec2 describe-spot-price-history``, a list, or JSON lines."""
    try:
        document = json.loads(text)
    except ValueError:
        document = _json_lines(text)
    if isinstance(document, dict):
        document = document.get("SpotPriceHistory", [document])
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise UnreadableFile(
            'the JSON has no rows; allowed are {"SpotPriceHistory": [...]}, a list of rows, or one '
            "row per line"
        )
    return document


def _json_lines(text: str) -> list[Any]:
    rows: list[Any] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise UnreadableFile(f"line {number} is not JSON: {error}") from error
    return rows


class _Reader:
    """Turns records into price rows, and counts the unusable ones."""

    def __init__(
        self, columns: Iterable[str], region: str, zone_names: Mapping[str, str], now_s: int
    ) -> None:
        plain = {re.sub(r"[\s_-]", "", name or "").lower(): name for name in columns}
        self._column = {
            field: next((plain[s] for s in spellings if s in plain), None)
            for field, spellings in _SPELLINGS.items()
        }
        self._require_columns(plain.values())
        used = set(self._column.values())
        self.columns_ignored = tuple(sorted(str(n) for n in plain.values() if n not in used))
        self.dropped: Counter[str] = Counter()
        self.times_without_offset = 0
        self._region, self._zone_names, self._now_s = region, zone_names, now_s

    def _require_columns(self, found: Iterable[str]) -> None:
        for fields in (("time",), ("instance_type",), ("zone", "zone_id"), ("price",)):
            if not any(self._column[field] for field in fields):
                allowed = ", ".join(s for field in fields for s in _SPELLINGS[field])
                there = ", ".join(sorted(map(str, found))) or "nothing"
                missing = fields[0].replace("_", " ")
                raise UnreadableFile(
                    f"no column for {missing}; allowed are {allowed}; there is {there}"
                )

    def row(self, record: Mapping[str, Any]) -> PriceRow | None:
        """The record as a price row; None if it is unusable."""
        try:
            return (
                Pool(self._type(record), self._zone(record)),
                self._time(record),
                self._price(record),
            )
        except _Unusable as reason:
            self.dropped[str(reason)] += 1
            return None

    def _value(self, record: Mapping[str, Any], field: str) -> str:
        column = self._column[field]
        value = record.get(column) if column is not None else None
        return "" if value is None else str(value).strip()

    def _type(self, record: Mapping[str, Any]) -> str:
        if self._column["product"] and self._value(record, "product").lower() not in _LINUX:
            raise _Unusable("product is not Linux/UNIX")
        name = self._value(record, "instance_type").lower()
        if not _TYPE_NAME.fullmatch(name):
            raise _Unusable("not an instance type")
        return name

    def _zone(self, record: Mapping[str, Any]) -> str:
        name, zone_id = self._value(record, "zone"), self._value(record, "zone_id")
        if not zone_id and _ZONE_ID.fullmatch(name):
            name, zone_id = "", name
        if zone_id in self._zone_names:
            return self._zone_names[zone_id]
        if zone_id and not name:
            raise _Unusable("zone id is not in this region, or not known yet")
        if not re.fullmatch(re.escape(self._region) + r"(-[a-z]+-\d)?[a-z]", name):
            raise _Unusable("zone is not in this region")
        return name

    def _time(self, record: Mapping[str, Any]) -> int:
        text = self._value(record, "time")
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise _Unusable("not a time") from None
        if moment.tzinfo is None:
            self.times_without_offset += 1
            moment = moment.replace(tzinfo=UTC)
        time_s = int(moment.timestamp())
        if time_s > self._now_s:
            raise _Unusable("time is in the future")
        if time_s < _SPOT_BEGAN_S:
            raise _Unusable("time is before the start of spot instances (2009-12-14)")
        return time_s

    def _price(self, record: Mapping[str, Any]) -> float:
        """NaN if the text is not a number; cleaning then drops and counts the row."""
        try:
            return float(self._value(record, "price").removeprefix("$"))
        except ValueError:
            return float("nan")


class _Unusable(Exception):
    """Why a record is unusable."""
