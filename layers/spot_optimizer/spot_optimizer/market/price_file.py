"""Read a user's file of spot prices: CSV, and JSON as the AWS CLI prints it, plain or gzipped.

| meaning | spellings | source |
|---|---|---|
| time | Timestamp, Time, DateTime, Date | AWS, SpotLake, Kaggle "AWS Spot Pricing Market" |
| instance type | InstanceType, Instance | AWS and all archives |
| zone | AvailabilityZone, AZ, Zone | AWS, SpotLake (there an id) |
| zone id | AvailabilityZoneId, AZ_ID | AWS |
| price | SpotPrice, Price, usd_per_hour | AWS, SpotLake, Kaggle |
| product (default: Linux) | ProductDescription, Product, OS, operating_system | AWS, Kaggle |
| on-demand price (optional) | OnDemandPrice, on_demand_usd_per_hour | SpotLake |

Case, ``_``, ``-`` and spaces make no difference. Kaggle's set has the zone in a column ``region``, which
is used if no other column has a zone. Other columns are ignored.
"""

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.cleaning import NOT_A_NUMBER, price_faults
from spot_optimizer.market.file_records import Records, Rows
from spot_optimizer.market.file_text import UnreadableFile, open_text, shown
from spot_optimizer.market.file_values import PRICES, TIMES, read_time, read_usd
from spot_optimizer.market.zones import is_zone_id, region_of_zone

_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "time": ("Timestamp", "Time", "DateTime", "Date"),
    "price": ("SpotPrice", "Price", "usd_per_hour"),
    "on-demand price": ("OnDemandPrice", "on_demand_usd_per_hour"),
    # What follows are the fields of _Where.
    "instance type": ("InstanceType", "Instance"),
    "zone": ("AvailabilityZone", "AZ", "Zone"),
    "zone id": ("AvailabilityZoneId", "AZ_ID"),
    "region": ("Region",),
    "product": ("ProductDescription", "Product", "OS", "operating_system"),
}
_REQUIRED = (("time",), ("instance type",), ("zone", "zone id", "region"), ("price",))
_PAGE = "SpotPriceHistory"
_LINUX = ("linux/unix", "linux/unix (amazon vpc)", "linux")
_SPOT_BEGAN_S = int(datetime(2009, 12, 14, tzinfo=UTC).timestamp())
"""AWS News Blog, "Amazon EC2 Spot Instances", 14 December 2009."""
_TYPE_NAME = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_NO_TIME_S = -(2**62)

_NO_LINUX = "product is not Linux/UNIX"
_NO_TIME, _NO_TYPE, _NO_ZONE = "not a time", "not an instance type", "not a zone"
_FUTURE = "time is in the future"
_TOO_EARLY = "time is before the start of spot instances (2009-12-14)"
_ALLOWED = {
    _NO_TIME: TIMES,
    _NO_TYPE: "names such as m5.large",
    _NO_ZONE: "names such as us-east-1a, ids such as use1-az4",
    NOT_A_NUMBER: PRICES,
}


class _Fault(NamedTuple):
    """Why a row names no pool, and the text that does not."""

    reason: str
    text: str


class FilePool(NamedTuple):
    """A pool as a file names it. ``zone`` or ``zone_id`` is "" if the file does not say it; all pools
    of a file have the one, or all have the other."""

    instance_type: str
    zone: str
    zone_id: str
    region: str


@dataclass(frozen=True, slots=True)
class PriceFile:
    """The usable rows of a file in columns of shape (N,), and what was dropped or assumed.

    The rows have the file's order, or the reverse if it runs from the newest to the oldest, as AWS
    prints it: of two prices for one pool and time the later row wins.
    """

    pools: tuple[FilePool, ...]
    pool_index: NDArray[np.int32]
    time_s: NDArray[np.int64]
    usd_per_hour: NDArray[np.float64]
    on_demand_usd_per_hour: Mapping[str, Mapping[str, float]]
    """Region -> type -> price, of a column of the file; empty without one."""
    read: int
    """Rows, usable or not."""
    dropped: Mapping[str, int]
    """Reason -> rows."""
    samples: Mapping[str, str]
    """Reason -> a value that was dropped for it."""
    times_without_offset: int
    """Times without a UTC offset; they are taken as UTC, as AWS prints them."""
    product_assumed: bool
    """No column names the product, so every row is taken as Linux."""
    columns_ignored: tuple[str, ...]

    @property
    def zones_are_ids(self) -> bool:
        """Not every pool has the name of its zone, but all have its id."""
        return not all(pool.zone for pool in self.pools)

    def zone_of(self, pool: FilePool) -> str:
        """The pool's zone by name if the file has the names, else by id."""
        return pool.zone_id if self.zones_are_ids else pool.zone


def read_price_file(
    file: BinaryIO, *, now_s: int, name: str = "", bytes_max: int | None = None
) -> PriceFile:
    """Read the rows of a file, plain or gzipped; unusable rows are dropped and counted.

    ``name`` is only checked for contradicting the content (``.gz``). Raises UnreadableFile if the file
    has no usable row, more than ``bytes_max`` bytes unpacked, or not exactly one column per meaning.
    """
    records = Records(open_text(file, name, bytes_max), _MEANINGS, _REQUIRED, _rows_of)
    return _Columns(records).usable(now_s)


def counted(dropped: Mapping[str, int], samples: Mapping[str, str]) -> str:
    """Counts by reason in words, each with a sample."""
    return ", ".join(
        f"{count} {reason}" + (f" ({samples[reason]})" if reason in samples else "")
        for reason, count in dropped.items()
    )


def _rows_of(document: Any) -> Rows:
    """The rows of a JSON document: a page of the AWS CLI, a row, or a list of pages or rows."""
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            raise UnreadableFile(
                f"the JSON has {shown(item)} where a row is expected; allowed are"
                f' {{"{_PAGE}": [...]}}, a list of rows, or one row per line'
            )
        if _PAGE not in item:
            yield item
            continue
        rows = [] if item[_PAGE] is None else item[_PAGE]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UnreadableFile(f"{_PAGE} of the JSON must be a list of rows")
        yield from rows


class _Where(NamedTuple):
    """The texts that say which pool a row is of."""

    instance_type: str
    zone: str
    zone_id: str
    region: str
    product: str


class _Columns:
    """A file's rows in compact columns: 20 bytes a row, so that a large import fits."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._where: dict[tuple[str, ...], int] = {}
        self._where_of_row, self._time_s, self._usd = array("i"), array("q"), array("d")
        self._on_demand: dict[int, float] = {}
        self._times_without_offset = 0
        self._samples: dict[str, str] = {}
        last, time_s, has_offset = "", _NO_TIME_S, True
        for texts in records:
            time, price, on_demand = texts[:3]
            if time != last:  # rows of one time often follow each other
                last, (time_s, has_offset) = time, read_time(time) or (_NO_TIME_S, True)
            if time_s == _NO_TIME_S:
                self._samples.setdefault(_NO_TIME, shown(time))
            usd = read_usd(price)
            if usd != usd:
                self._samples.setdefault(NOT_A_NUMBER, shown(price))
            where = self._where.setdefault(texts[3:], len(self._where))
            self._where_of_row.append(where)
            self._time_s.append(time_s)
            self._usd.append(usd)
            self._times_without_offset += not has_offset
            if on_demand and where not in self._on_demand:
                listed = read_usd(on_demand)
                if 0 < listed < math.inf:
                    self._on_demand[where] = listed

    def usable(self, now_s: int) -> PriceFile:
        """The usable rows. Raises UnreadableFile if there is none."""
        if not self._time_s:
            raise UnreadableFile("the file has no rows")
        time_s = np.array(self._time_s, dtype=np.int64)
        usd = np.array(self._usd, dtype=np.float64)
        where_of_row = np.array(self._where_of_row, dtype=np.int32)
        places = [self._cleaned(_Where(*(text.strip() for text in w))) for w in self._where]
        kept, dropped = self._kept(places, where_of_row, time_s, usd, now_s)
        repeated_headers = self._records.repeated_headers
        if repeated_headers:
            dropped["repeated header"] = repeated_headers
        rows = np.flatnonzero(kept)
        if not len(rows):
            raise UnreadableFile(f"no row is usable: {self._why(dropped)}")
        if time_s[rows[0]] > time_s[rows[-1]]:
            rows = rows[::-1]
        pools, number_of_place = _pools_of(places, np.unique(where_of_row[rows]).tolist())
        _refuse_mixed(pools)
        return PriceFile(
            pools=pools,
            pool_index=number_of_place[where_of_row[rows]],
            time_s=time_s[rows],
            usd_per_hour=usd[rows],
            on_demand_usd_per_hour=self._listed(places),
            read=len(time_s) + repeated_headers,
            dropped=dropped,
            samples={
                reason: self._samples[reason] for reason in dropped if reason in self._samples
            },
            times_without_offset=self._times_without_offset,
            product_assumed="product" not in self._records.columns,
            columns_ignored=tuple(sorted(self._records.ignored)),
        )

    def _cleaned(self, where: _Where) -> FilePool | _Fault:
        """The pool that the texts name, or what is wrong with them."""
        columns = self._records.columns
        if "product" in columns and where.product.casefold() not in _LINUX:
            return _Fault(_NO_LINUX, where.product)
        instance_type = where.instance_type.lower()
        if not _TYPE_NAME.fullmatch(instance_type):
            return _Fault(_NO_TYPE, where.instance_type)
        named = where.zone if "zone" in columns or "zone id" in columns else where.region
        zone = _zone_of(named, where.zone_id)
        return FilePool(instance_type, *zone) if zone else _Fault(_NO_ZONE, named or where.zone_id)

    def _kept(
        self,
        places: Sequence[FilePool | _Fault],
        where_of_row: NDArray[np.int32],
        time_s: NDArray[np.int64],
        usd: NDArray[np.float64],
        now_s: int,
    ) -> tuple[NDArray[np.bool_], dict[str, int]]:
        """Which rows are usable, and reason -> others; a row with several counts for the first."""
        reason_of = np.array([p.reason if isinstance(p, _Fault) else "" for p in places])
        faults = {
            **{r: (reason_of == r)[where_of_row] for r in (_NO_LINUX, _NO_TYPE, _NO_ZONE)},
            _NO_TIME: time_s == _NO_TIME_S,
            _FUTURE: time_s > now_s,
            _TOO_EARLY: time_s < _SPOT_BEGAN_S,
            **price_faults(usd, np.full(usd.shape, np.inf)),
        }
        kept = np.ones(len(usd), dtype=bool)
        dropped: dict[str, int] = {}
        for reason, faulty in faults.items():
            here = np.flatnonzero(kept & faulty)
            if not len(here):
                continue
            dropped[reason] = len(here)
            kept[here] = False
            place = places[where_of_row[here[0]]]
            if isinstance(place, _Fault):
                self._samples[reason] = shown(place.text)
            elif reason in (_FUTURE, _TOO_EARLY):
                self._samples[reason] = shown(datetime.fromtimestamp(time_s[here[0]], UTC))
        return kept, dropped

    def _listed(self, places: Sequence[FilePool | _Fault]) -> dict[str, dict[str, float]]:
        """On-demand prices of the file's column, by region and type."""
        listed: dict[str, dict[str, float]] = {}
        for where, usd in self._on_demand.items():
            pool = places[where]
            if isinstance(pool, FilePool):
                listed.setdefault(pool.region, {}).setdefault(pool.instance_type, usd)
        return listed

    def _why(self, dropped: Mapping[str, int]) -> str:
        """Every reason with a sample and what is allowed."""
        return "; ".join(
            counted({reason: count}, self._samples)
            + (f", allowed are {_ALLOWED[reason]}" if reason in _ALLOWED else "")
            for reason, count in dropped.items()
        )


def _zone_of(zone: str, zone_id: str) -> tuple[str, str, str] | None:
    """Zone name, zone id and region; None if neither is a zone. An id may be in the name's column."""
    zone, zone_id = zone.lower(), zone_id.lower()
    if not zone_id and is_zone_id(zone):
        zone, zone_id = "", zone
    by_name, by_id = region_of_zone(zone), region_of_zone(zone_id)
    if by_name is None and by_id is None:
        return None
    return (zone if by_name else "", zone_id if by_id else "", by_name or by_id or "")


def _pools_of(
    places: Sequence[FilePool | _Fault], used: Sequence[int]
) -> tuple[tuple[FilePool, ...], NDArray[np.int32]]:
    """The pools of the places ``used``, and of each place the number of its pool."""
    numbers: dict[FilePool, int] = {}
    number_of_place = np.zeros(len(places), dtype=np.int32)
    for where in used:
        pool = places[where]
        if isinstance(pool, FilePool):
            number_of_place[where] = numbers.setdefault(pool, len(numbers))
    return tuple(numbers), number_of_place


def _refuse_mixed(pools: Sequence[FilePool]) -> None:
    if all(pool.zone for pool in pools) or all(pool.zone_id for pool in pools):
        return
    name = next(pool.zone for pool in pools if not pool.zone_id)
    zone_id = next(pool.zone_id for pool in pools if not pool.zone)
    raise UnreadableFile(
        f"zone names and zone ids are mixed, such as {name} and {zone_id}; use one kind, for an id is"
        " another name in every account"
    )
