"""Spot prices of many pools as price changes; the 5-minute grid is computed from them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.codec import (
    POOL_COLUMNS,
    DamagedState,
    pack_columns,
    pools_from_columns,
    pools_to_columns,
    unpack_columns,
)
from spot_optimizer.market.cleaning import Cleaning, CleanRows, PriceRow, clean
from spot_optimizer.vocabulary import Pool

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
PoolIndex = NDArray[np.int32]

GRID_STEP_S = 300
_KIND, _VERSION = "price-changes", 1
COLUMNS = (
    *POOL_COLUMNS,
    "pool_index",
    "time_s",
    "price",
    "restated_pool_index",
    "restated_time_s",
)
"""Names of the arrays in which a series is stored."""


@dataclass(frozen=True, eq=False)
class PriceChanges:
    """Price changes of P pools as columns over N changes, sorted by pool, then time.

    A price holds from its change to the next one, so a quiet pool is not a gap. Times at which AWS
    restated an unchanged price are not changes. They are kept separately (R rows), because a change
    that is received late may fall before them, and then they say when the old price returned. So the
    series does not depend on the order in which rows arrive.
    """

    pools: tuple[Pool, ...] = ()
    """Sorted; every pool has at least one change."""
    pool_index: PoolIndex = field(default_factory=lambda: np.empty(0, np.int32))
    """Shape (N,): row of ``pools``."""
    time_s: Times = field(default_factory=lambda: np.empty(0, np.int64))
    """Shape (N,): epoch seconds."""
    price: Floats = field(default_factory=lambda: np.empty(0, np.float64))
    """Shape (N,): USD per hour."""
    restated_pool_index: PoolIndex = field(default_factory=lambda: np.empty(0, np.int32))
    restated_time_s: Times = field(default_factory=lambda: np.empty(0, np.int64))

    @cached_property
    def first_row(self) -> Times:
        """Shape (P + 1,): row of each pool's first change; the last entry is N."""
        return np.searchsorted(self.pool_index, np.arange(len(self.pools) + 1)).astype(np.int64)

    @cached_property
    def known_since_s(self) -> Times:
        """Shape (P,): time of each pool's first change, epoch seconds."""
        return self.time_s[self.first_row[:-1]]

    def merge(
        self, rows: Iterable[PriceRow], on_demand_usd_per_hour: Mapping[str, float]
    ) -> tuple["PriceChanges", Cleaning]:
        """Add received ``rows`` in any order; also returns what happened to the rows.

        DescribeSpotPriceHistory also returns the last price change before StartTime for every pool
        (its API reference) and restates unchanged prices every 24 h (measured): neither counts as a
        change. Of two prices for one pool and time the newest received wins.
        """
        return self._merged(clean(rows, on_demand_usd_per_hour))

    def merge_series(self, other: "PriceChanges") -> "PriceChanges":
        """Both series in one; of two prices for one pool and time that of ``other`` wins."""
        rows = CleanRows(
            pools=other.pools,
            pool_index=np.concatenate((other.pool_index, other.restated_pool_index)),
            time_s=np.concatenate((other.time_s, other.restated_time_s)),
            price=np.concatenate((other.price, other._restated_price())),
            received=len(other.price),
            dropped={},
        )
        return self._merged(rows)[0]

    def _merged(self, new: CleanRows) -> tuple["PriceChanges", Cleaning]:
        if not len(new.price):
            return self, Cleaning(received=new.received, dropped=new.dropped)
        pools = tuple(sorted({*self.pools, *new.pools}))
        pool, time_s, price, is_new = self._stacked(new, pools)
        order = np.lexsort((time_s, pool))  # stable: of equals, the newest received stays last
        pool, time_s, price, is_new = pool[order], time_s[order], price[order], is_new[order]
        known = np.zeros(len(order), dtype=bool)
        known[1:] = (pool[1:] == pool[:-1]) & (time_s[1:] == time_s[:-1])
        same_price = np.zeros(len(order), dtype=bool)
        same_price[1:] = price[1:] == price[:-1]
        repeated = int((is_new & known & same_price).sum())
        corrected = int((is_new & known & ~same_price).sum())
        began_new = is_new[~known]
        newest = np.append(~known[1:], True)
        merged, is_change = _from_observations(pools, pool[newest], time_s[newest], price[newest])
        return merged, Cleaning(
            received=new.received,
            changes=int((began_new & is_change).sum()),
            restated=int((began_new & ~is_change).sum()),
            repeated=repeated,
            corrected=corrected,
            dropped=new.dropped,
        )

    def _stacked(
        self, new: CleanRows, pools: tuple[Pool, ...]
    ) -> tuple[PoolIndex, Times, Floats, NDArray[np.bool_]]:
        """All observations, stored ones first, with pools numbered by ``pools``."""
        position = {pool: row for row, pool in enumerate(pools)}
        here = np.array([position[pool] for pool in self.pools], dtype=np.int32)
        there = np.array([position[pool] for pool in new.pools], dtype=np.int32)
        restated_price = self._restated_price()
        stored = len(self.price) + len(restated_price)
        return (
            np.concatenate(
                (here[self.pool_index], here[self.restated_pool_index], there[new.pool_index])
            ),
            np.concatenate((self.time_s, self.restated_time_s, new.time_s)),
            np.concatenate((self.price, restated_price, new.price)),
            np.arange(stored + len(new.price)) >= stored,
        )

    def _restated_price(self) -> Floats:
        return self.price[self._rows_at(self.restated_pool_index, self.restated_time_s)]

    def trim(self, before_s: int) -> "PriceChanges":
        """Drop changes before ``before_s``, except each pool's last one: it is in force then."""
        keep = self.time_s >= before_s
        rows = self.rows_at(np.array([before_s]))[:, 0]
        keep[rows[rows >= 0]] = True
        keep_restated = self.restated_time_s >= before_s
        return PriceChanges(
            self.pools,
            self.pool_index[keep],
            self.time_s[keep],
            self.price[keep],
            self.restated_pool_index[keep_restated],
            self.restated_time_s[keep_restated],
        )

    def restrict(self, instance_types: Collection[str]) -> "PriceChanges":
        """Only the pools of these types."""
        wanted = np.array([pool.instance_type in instance_types for pool in self.pools], dtype=bool)
        return self._of(wanted, wanted[self.pool_index], wanted[self.restated_pool_index])

    def until(self, end_s: int) -> "PriceChanges":
        """Drop changes at ``end_s`` or later, and pools whose first change is then."""
        began = self.known_since_s < end_s
        return self._of(began, self.time_s < end_s, self.restated_time_s < end_s)

    def _of(
        self, wanted: NDArray[np.bool_], keep: NDArray[np.bool_], keep_restated: NDArray[np.bool_]
    ) -> "PriceChanges":
        """The pools ``wanted`` (P,) with the changes ``keep`` (N,) and ``keep_restated`` (R,)."""
        number = (np.cumsum(wanted) - 1).astype(np.int32)
        return PriceChanges(
            tuple(pool for pool, is_wanted in zip(self.pools, wanted, strict=True) if is_wanted),
            number[self.pool_index[keep]],
            self.time_s[keep],
            self.price[keep],
            number[self.restated_pool_index[keep_restated]],
            self.restated_time_s[keep_restated],
        )

    def rows_at(self, times_s: Times) -> Times:
        """Shape (P, T): row of the change in force at each of ``times_s``, -1 before the first."""
        pools = np.arange(len(self.pools), dtype=np.int32)
        return self._rows_at(pools[:, None], np.asarray(times_s, dtype=np.int64)[None, :])

    def restated_rows_at(self, times_s: Times) -> Times:
        """Shape (P, T): row of ``restated_time_s`` with the last restatement, -1 before any."""
        pools = np.arange(len(self.pools), dtype=np.int32)[:, None]
        if not len(self.restated_time_s):
            return np.full((len(self.pools), len(times_s)), -1, dtype=np.int64)
        # As in _rows_at, but restatements continue after the last change.
        origin = int(self.restated_time_s.min()) - 1
        span = int(np.ptp(self.restated_time_s)) + 2
        keys = self.restated_pool_index * np.int64(span) + (self.restated_time_s - origin)
        wanted = pools * np.int64(span) + np.clip(times_s - origin, 0, span - 1)[None, :]
        rows = np.searchsorted(keys, wanted, side="right") - 1
        first = np.searchsorted(self.restated_pool_index, pools)
        return np.where(rows >= first, rows, -1)

    def price_at(self, time_s: int) -> Floats:
        """Shape (P,): USD per hour in force at ``time_s``, NaN before a pool's first change."""
        return self._prices(self.rows_at(np.array([time_s])))[:, 0]

    def prices_at(self, times_s: Times) -> Floats:
        """Shape (P, T): USD per hour in force at each of ``times_s``, NaN before the first change."""
        return self._prices(self.rows_at(times_s))

    def grid(self, start_s: int, end_s: int, step_s: int = GRID_STEP_S) -> Floats:
        """Shape (P, T): prices at ``start_s``, then every ``step_s`` until before ``end_s``."""
        return self.prices_at(np.arange(start_s, end_s, step_s))

    def _prices(self, rows: Times) -> Floats:
        if not len(self.price):
            return np.full(rows.shape, np.nan)
        return np.where(rows >= 0, self.price[rows], np.nan)

    @cached_property
    def _time_span(self) -> tuple[int, int]:
        if not len(self.time_s):
            return 0, 1
        return int(self.time_s.min()) - 1, int(np.ptp(self.time_s)) + 2

    @cached_property
    def _keys(self) -> Times:
        origin, span = self._time_span
        return self.pool_index * np.int64(span) + (self.time_s - origin)

    def _rows_at(self, pool: PoolIndex, time_s: Times) -> Times:
        """Row of the change of ``pool`` in force at ``time_s`` (broadcast), -1 before its first.

        Pool and time form one ascending key, so that one binary search works for all pools.
        """
        origin, span = self._time_span
        wanted = pool * np.int64(span) + np.clip(time_s - origin, 0, span - 1)
        rows = np.searchsorted(self._keys, wanted, side="right") - 1
        return np.where(rows >= self.first_row[pool], rows, -1)

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """The arrays ``COLUMNS``."""
        return {
            **pools_to_columns(self.pools),
            "pool_index": self.pool_index,
            "time_s": self.time_s,
            "price": self.price,
            "restated_pool_index": self.restated_pool_index,
            "restated_time_s": self.restated_time_s,
        }

    def to_bytes(self) -> bytes:
        """A compressed npz archive; equal series give equal bytes."""
        return pack_columns(_KIND, _VERSION, self.to_columns())

    @classmethod
    def from_bytes(cls, data: bytes) -> "PriceChanges":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        return cls.from_columns(unpack_columns(data, _KIND, _VERSION, COLUMNS))

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "PriceChanges":
        """Read what ``to_columns`` gave. Raises DamagedState."""
        changes = cls(
            pools_from_columns(columns),
            columns["pool_index"].astype(np.int32),
            columns["time_s"].astype(np.int64),
            columns["price"].astype(np.float64),
            columns["restated_pool_index"].astype(np.int32),
            columns["restated_time_s"].astype(np.int64),
        )
        changes._check_order()
        return changes

    def _check_order(self) -> None:
        lengths = {len(self.pool_index), len(self.time_s), len(self.price)}
        if len(lengths) != 1 or len(self.restated_pool_index) != len(self.restated_time_s):
            raise DamagedState(f"{_KIND}: columns differ in length")
        has_gap = not np.array_equal(np.unique(self.pool_index), np.arange(len(self.pools)))
        if has_gap or (np.diff(self._keys) <= 0).any():
            raise DamagedState(f"{_KIND}: changes are not sorted by pool, then time")


def _from_observations(
    pools: tuple[Pool, ...], pool: PoolIndex, time_s: Times, price: Floats
) -> tuple[PriceChanges, NDArray[np.bool_]]:
    """The series of sorted observations without duplicates, and which of them are changes."""
    is_change = np.ones(len(price), dtype=bool)
    is_change[1:] = (pool[1:] != pool[:-1]) | (price[1:] != price[:-1])
    changes = PriceChanges(
        pools,
        pool[is_change],
        time_s[is_change],
        price[is_change],
        pool[~is_change],
        time_s[~is_change],
    )
    return changes, is_change
