"""Files of spot prices that users bring: CSV, and the JSON that the AWS CLI prints.

| meaning | spellings |
|---|---|
| time | Timestamp, Time, DateTime, Date |
| instance type | InstanceType, Instance |
| zone | AvailabilityZone, AZ, Zone |
| zone id (stronger than the name, which differs between accounts) | AvailabilityZoneId, AzId |
| price | SpotPrice, Price, UsdPerHour |
| product (left out: Linux) | ProductDescription, Product, OS, OperatingSystem |

Upper and lower case, ``_``, ``-`` and spaces make no difference. Other columns are ignored and named.
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
"""Unpacked; a year of a region's prices fits when split by quarter."""

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
    """A file that holds no prices; the text says what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class FileRows:
    """What a file holds."""

    rows: list[PriceRow]
    """In the file's order: of two prices for one pool and time the later one counts."""
    read: int
    dropped: Mapping[str, int]
    """Reason -> rows."""
    times_without_offset: int
    """Times that name no zone; they were taken for UTC, which is what AWS prints."""
    columns_ignored: tuple[str, ...]


def read_import(data: bytes, *, region: str, zone_names: Mapping[str, str], now_s: int) -> FileRows:
    """The rows of a file, plain or gzipped. ``zone_names`` is by zone id, of this account.

    A row that cannot be used is dropped and counted. Raises UnreadableFile when there is nothing to
    read, or no column for what a price needs.
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
        raise UnreadableFile("the file holds no rows; allowed are CSV with a header, or JSON")
    return FileRows(
        rows, read, dict(reader.dropped), reader.times_without_offset, reader.columns_ignored
    )


def _text(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(BYTES_MAX + 1)
        except (OSError, EOFError, ValueError) as error:
            raise UnreadableFile(f"the file begins like gzip but is damaged: {error}") from error
    if len(data) > BYTES_MAX:
        raise UnreadableFile(f"the file is larger than {BYTES_MAX >> 20} MiB unpacked: split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"the file is no UTF-8 text: {error}; allowed are CSV and JSON"
        ) from error


def _csv_records(text: str) -> Iterable[Mapping[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(text))
    except csv.Error as error:
        raise UnreadableFile(f"the file is no CSV: {error}") from error


def _json_records(text: str) -> Iterable[Mapping[str, Any]]:
    """Rows of ``aws ec2 describe-spot-price-history``, of a list, or of JSON lines."""
    try:
        document = json.loads(text)
    except ValueError:
        document = _json_lines(text)
    if isinstance(document, dict):
        document = document.get("SpotPriceHistory", [document])
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise UnreadableFile(
            'the JSON holds no rows; allowed are {"SpotPriceHistory": [...]}, a list of rows, or a '
            "row a line"
        )
    return document


def _json_lines(text: str) -> list[Any]:
    rows: list[Any] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise UnreadableFile(f"line {number} is no JSON: {error}") from error
    return rows


class _Reader:
    """Turns records into price rows, and counts those that it cannot."""

    def __init__(
        self, columns: Iterable[str], region: str, zone_names: Mapping[str, str], now_s: int
    ) -> None:
        plain = {re.sub(r"[\s_-]", "", name or "").lower(): name for name in columns}
        self._column = {
            field: next((plain[s] for s in spellings if s in plain), None)
            for field, spellings in _SPELLINGS.items()
        }
        self._demand(plain.values())
        used = set(self._column.values())
        self.columns_ignored = tuple(sorted(str(n) for n in plain.values() if n not in used))
        self.dropped: Counter[str] = Counter()
        self.times_without_offset = 0
        self._region, self._zone_names, self._now_s = region, zone_names, now_s

    def _demand(self, found: Iterable[str]) -> None:
        for fields in (("time",), ("instance_type",), ("zone", "zone_id"), ("price",)):
            if not any(self._column[field] for field in fields):
                allowed = ", ".join(s for field in fields for s in _SPELLINGS[field])
                there = ", ".join(sorted(map(str, found))) or "nothing"
                missing = fields[0].replace("_", " ")
                raise UnreadableFile(
                    f"no column for {missing}; allowed are {allowed}; there is {there}"
                )

    def row(self, record: Mapping[str, Any]) -> PriceRow | None:
        """A price row, or None when the record is of no use."""
        try:
            return (
                Pool(self._type(record), self._zone(record)),
                self._time(record),
                self._price(record),
            )
        except _Useless as reason:
            self.dropped[str(reason)] += 1
            return None

    def _value(self, record: Mapping[str, Any], field: str) -> str:
        column = self._column[field]
        value = record.get(column) if column is not None else None
        return "" if value is None else str(value).strip()

    def _type(self, record: Mapping[str, Any]) -> str:
        if self._column["product"] and self._value(record, "product").lower() not in _LINUX:
            raise _Useless("product is not Linux/UNIX")
        name = self._value(record, "instance_type").lower()
        if not _TYPE_NAME.fullmatch(name):
            raise _Useless("instance type is none")
        return name

    def _zone(self, record: Mapping[str, Any]) -> str:
        name, zone_id = self._value(record, "zone"), self._value(record, "zone_id")
        if not zone_id and _ZONE_ID.fullmatch(name):
            name, zone_id = "", name
        if zone_id in self._zone_names:
            return self._zone_names[zone_id]
        if zone_id and not name:
            raise _Useless("zone id is not one of this region, or not known yet")
        if not re.fullmatch(re.escape(self._region) + r"(-[a-z]+-\d)?[a-z]", name):
            raise _Useless("zone is not one of this region")
        return name

    def _time(self, record: Mapping[str, Any]) -> int:
        text = self._value(record, "time")
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise _Useless("time is none") from None
        if moment.tzinfo is None:
            self.times_without_offset += 1
            moment = moment.replace(tzinfo=UTC)
        time_s = int(moment.timestamp())
        if time_s > self._now_s:
            raise _Useless("time is in the future")
        if time_s < _SPOT_BEGAN_S:
            raise _Useless("time is before spot instances began (2009-12-14)")
        return time_s

    def _price(self, record: Mapping[str, Any]) -> float:
        """Prices that are none become NaN; cleaning counts them with the other absurd ones."""
        try:
            return float(self._value(record, "price").removeprefix("$"))
        except ValueError:
            return float("nan")


class _Useless(Exception):
    """Why a record is no price row."""
