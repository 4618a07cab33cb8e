"""The price history of a market: what every pool cost, and since when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

TICK_USD_PER_HOUR = 0.0001
"""The step of a spot price (measured: every price of us-east-1 2021 is a multiple of it)."""

_PRICE_DECIMALS = 4

_Scalar = TypeVar("_Scalar", bound=np.generic)


class Pool(NamedTuple):
    """An instance type in an availability zone, Linux/UNIX."""

    instance_type: str
    availability_zone: str

    def __str__(self) -> str:
        return f"{self.instance_type}/{self.availability_zone}"


@dataclass(frozen=True, eq=False)
class PriceHistory:
    """Price changes of many pools, immutable, in columns.

    A price holds from its change until the next one, so a pool without rows in a span did not
    change. Build it with `from_rows`, which sorts, validates and drops what is no change.

    Attributes:
        pools: the pools, in the order of their rows.
        offsets: int64, shape (pools + 1,): pool i owns rows offsets[i] to offsets[i + 1].
        time_s: int64, shape (rows,): epoch seconds, strictly ascending within a pool.
        spot_usd_per_hour: float64, shape (rows,): finite and positive.
        start: the time of the first row.
        end: until when the history is known to hold.
    """

    pools: tuple[Pool, ...]
    offsets: NDArray[np.int64]
    time_s: NDArray[np.int64]
    spot_usd_per_hour: NDArray[np.float64]
    start: datetime
    end: datetime

    @classmethod
    def from_rows(
        cls,
        pools: Sequence[Pool],
        pool_index: ArrayLike,
        time_s: ArrayLike,
        spot_usd_per_hour: ArrayLike,
        *,
        end: datetime | None = None,
    ) -> "PriceHistory":
        """Build a history from flat columns of equal length, in any order.

        Of two rows with one pool and time the later in the columns wins. A row that repeats the
        price before it (AWS re-states an unchanged price every 24 hours) is no change and is
        dropped. Pools without rows are dropped.

        Args:
            pool_index: positions in `pools`.
            time_s: epoch seconds, whole.
            spot_usd_per_hour: finite and positive.
            end: until when the history holds; the last row's time unless given.

        Raises:
            ValueError: a column of another length, an index outside `pools`, a pool named twice,
                a price that is not finite and positive, no row at all, an end before a row.
        """
        index, times, prices = _columns(pools, pool_index, time_s, spot_usd_per_hour)
        order = np.lexsort((times, index))
        index, times, prices = index[order], times[order], prices[order]
        last_time_s = int(times.max())
        first_time_s = int(times.min())
        superseded = np.append((index[1:] == index[:-1]) & (times[1:] == times[:-1]), False)
        index, times, prices = index[~superseded], times[~superseded], prices[~superseded]
        restated = np.insert((index[1:] == index[:-1]) & (prices[1:] == prices[:-1]), 0, False)
        index, times, prices = index[~restated], times[~restated], prices[~restated]
        if end is not None and epoch_s("end", end) < last_time_s:
            raise ValueError(f"end: {end.isoformat()} is before the last row, {_utc(last_time_s)}")
        present, counts = np.unique(index, return_counts=True)
        return cls(
            pools=tuple(pools[position] for position in present.tolist()),
            offsets=_frozen(np.insert(np.cumsum(counts), 0, 0).astype(np.int64)),
            time_s=_frozen(times),
            spot_usd_per_hour=_frozen(prices),
            start=_utc(first_time_s),
            end=end.astimezone(UTC) if end is not None else _utc(last_time_s),
        )

    @cached_property
    def _position_by_pool(self) -> dict[Pool, int]:
        return {pool: position for position, pool in enumerate(self.pools)}

    def changes(self, pool: Pool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """A pool's changes, oldest first: epoch seconds and USD per hour, read-only views.

        Raises:
            KeyError: the history has no such pool.
        """
        position = self._position_by_pool.get(pool)
        if position is None:
            raise KeyError(f"pool: {pool} is not among the {len(self.pools)} pools of the history")
        rows = slice(self.offsets[position], self.offsets[position + 1])
        return self.time_s[rows], self.spot_usd_per_hour[rows]

    def price_at(self, pool: Pool, when: datetime) -> float | None:
        """The pool's price in USD per hour; None before its first change or without such a pool."""
        position = self._position_by_pool.get(pool)
        if position is None:
            return None
        times, prices = self.changes(pool)
        row = int(np.searchsorted(times, epoch_s("when", when), side="right")) - 1
        return float(prices[row]) if row >= 0 else None

    def prices_on(self, grid_s: NDArray[np.int64]) -> NDArray[np.float64]:
        """Every pool's price at these epoch seconds: shape (pools, grid), NaN before its first."""
        result = np.full((len(self.pools), len(grid_s)), np.nan)
        for position, pool in enumerate(self.pools):
            times, prices = self.changes(pool)
            rows = np.searchsorted(times, grid_s, side="right") - 1
            result[position] = np.where(rows >= 0, prices[np.maximum(rows, 0)], np.nan)
        return result

    def restrict(self, pools: Iterable[Pool]) -> "PriceHistory":
        """The history of these pools alone.

        Raises:
            ValueError: a pool that the history lacks, or no pool at all.
        """
        wanted = set(pools)
        unknown = wanted - self._position_by_pool.keys()
        if unknown:
            raise ValueError(f"pools: {_listed(unknown)} not in the history")
        if not wanted:
            raise ValueError("pools: none given; a history needs one at least")
        keep = np.array([pool in wanted for pool in self.pools])
        rows = keep[self._pool_index]
        return PriceHistory.from_rows(
            self.pools,
            self._pool_index[rows],
            self.time_s[rows],
            self.spot_usd_per_hour[rows],
            end=self.end,
        )

    def with_price_surge(
        self, pools: Iterable[Pool], start: datetime, end: datetime, factor: float
    ) -> "PriceHistory":
        """A scripted event on top of the market: prices times `factor` from `start` to `end`.

        The price jumps at the start, keeps following the market's own changes, and falls back at
        the end. It may pass the on-demand price, which the market by itself never does.

        Raises:
            ValueError: an unknown pool, an empty window, one outside the history, a factor
                that is not finite and positive.
        """
        start_s, end_s = epoch_s("start", start), epoch_s("end", end)
        if not start_s < end_s:
            raise ValueError(f"end: {end.isoformat()} must come after start {start.isoformat()}")
        if not self.start <= start or not end <= self.end:
            raise ValueError(
                f"start, end: the window {start.isoformat()} to {end.isoformat()} must lie within "
                f"the history, {self.start.isoformat()} to {self.end.isoformat()}"
            )
        if not (np.isfinite(factor) and factor > 0):
            raise ValueError(f"factor: {factor} must be finite and above 0")
        surging = set(pools)
        unknown = surging - self._position_by_pool.keys()
        if unknown:
            raise ValueError(f"pools: {_listed(unknown)} not in the history")
        prices = self.spot_usd_per_hour.copy()
        edges: list[tuple[int, int, float]] = []
        for pool in surging:
            position = self._position_by_pool[pool]
            times, base = self.changes(pool)
            first, last = np.searchsorted(times, (start_s, end_s), side="left")
            rows = slice(self.offsets[position] + first, self.offsets[position] + last)
            prices[rows] = _surged(base[first:last], factor)
            # A change that falls on an edge is that edge's own row already.
            if first > 0 and (first == len(times) or times[first] > start_s):
                edges.append((position, start_s, float(_surged(base[first - 1], factor))))
            if last > 0 and (last == len(times) or times[last] > end_s):
                edges.append((position, end_s, float(base[last - 1])))
        return PriceHistory.from_rows(
            self.pools,
            np.append(self._pool_index, np.array([edge[0] for edge in edges], dtype=np.int64)),
            np.append(self.time_s, np.array([edge[1] for edge in edges], dtype=np.int64)),
            np.append(prices, np.array([edge[2] for edge in edges], dtype=np.float64)),
            end=self.end,
        )

    @cached_property
    def _pool_index(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.pools)), np.diff(self.offsets))


def epoch_s(field: str, when: datetime) -> int:
    """Whole epoch seconds of a moment that knows its time zone.

    Raises:
        ValueError: a naive datetime, whose meaning would depend on the host.
    """
    if when.tzinfo is None:
        raise ValueError(f"{field}: {when.isoformat()} has no time zone; give one, such as UTC")
    return int(when.timestamp() // 1)


def _columns(
    pools: Sequence[Pool], pool_index: ArrayLike, time_s: ArrayLike, spot_usd_per_hour: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    index = np.asarray(pool_index, dtype=np.int64)
    times = np.asarray(time_s, dtype=np.int64)
    prices = np.asarray(spot_usd_per_hour, dtype=np.float64)
    if not index.shape == times.shape == prices.shape == (len(index),):
        raise ValueError(
            "pool_index, time_s, spot_usd_per_hour: must be flat and equally long, "
            f"not {index.shape}, {times.shape}, {prices.shape}"
        )
    if len(index) == 0:
        raise ValueError("spot_usd_per_hour: no row; a history needs one at least")
    if len(set(pools)) != len(pools):
        raise ValueError("pools: a pool is named twice; each may appear once")
    if index.min() < 0 or index.max() >= len(pools):
        outside = index.min() if index.min() < 0 else index.max()
        raise ValueError(f"pool_index: {outside} is outside 0 to {len(pools) - 1}")
    bad = ~(np.isfinite(prices) & (prices > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"spot_usd_per_hour: {prices[row]} at row {row} ({pools[index[row]]}) must be "
            "finite and above 0"
        )
    return index, times, prices


def _surged(prices: NDArray[np.float64] | np.float64, factor: float) -> NDArray[np.float64]:
    rounded = np.round(np.asarray(prices) * factor, _PRICE_DECIMALS)
    return np.maximum(rounded, TICK_USD_PER_HOUR)


def _frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array


def _listed(pools: Iterable[Pool]) -> str:
    return ", ".join(sorted(str(pool) for pool in pools))


def _utc(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
