"""Price book: prices of one source with their coverage and zone ids.

All three are one object, so that a reader never sees one without the other, and the later of two
simultaneous writers leaves a consistent state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.codec import (
    POOL_COLUMNS,
    DamagedState,
    pack_columns,
    pools_from_columns,
    unpack_columns,
)
from spot_optimizer.market.cleaning import Cleaning, PriceRow
from spot_optimizer.market.coverage import COVERAGE_COLUMNS, Coverage, Span
from spot_optimizer.market.prices import COLUMNS, PriceChanges
from spot_optimizer.vocabulary import Pool

_KIND, _VERSION = "price-book", 1
_ZONES = ("zone_names", "zone_ids")


@dataclass(frozen=True, eq=False)
class PriceBook:
    """Price changes of one source, and the times that they cover."""

    changes: PriceChanges = field(default_factory=PriceChanges)
    coverage: Coverage = field(default_factory=Coverage)
    zone_ids: Mapping[str, str] = field(default_factory=dict)
    """Zone name -> zone id. A name can mean different zones in different accounts; an id cannot."""

    def received(
        self,
        rows: Iterable[PriceRow],
        coverage: Coverage,
        zone_ids: Mapping[str, str],
        on_demand_usd_per_hour: Mapping[str, float],
    ) -> tuple["PriceBook", Cleaning]:
        """Add received rows and their coverage; also returns what happened to the rows."""
        changes, cleaning = self.changes.merge(rows, on_demand_usd_per_hour)
        zones = {**self.zone_ids, **zone_ids}
        return PriceBook(changes, self.coverage.union(coverage), zones), cleaning

    def union(self, other: "PriceBook") -> "PriceBook":
        """Both books in one; if they disagree on a price, that of ``other`` wins."""
        return PriceBook(
            self.changes.merge_series(other.changes),
            self.coverage.union(other.coverage),
            {**self.zone_ids, **other.zone_ids},
        )

    def between(self, span: Span) -> "PriceBook":
        """The part of ``span``: changes in it and those in force at its start, and coverage."""
        changes = self.changes.trim(span[0]).until(span[1])
        return PriceBook(changes, self.coverage.clip(span), self.zone_ids)

    def restrict(self, instance_types: frozenset[str]) -> "PriceBook":
        """Only these types. Types that are no longer collected must go, or they become stale."""
        return PriceBook(
            self.changes.restrict(instance_types),
            self.coverage.restrict(instance_types),
            self.zone_ids,
        )

    def to_bytes(self) -> bytes:
        """A compressed npz archive; equal books give equal bytes."""
        names = sorted(self.zone_ids)
        columns: dict[str, NDArray[Any]] = {
            **self.changes.to_columns(),
            **self.coverage.to_columns(),
            "zone_names": np.array(names, dtype=np.str_),
            "zone_ids": np.array([self.zone_ids[name] for name in names], dtype=np.str_),
        }
        return pack_columns(_KIND, _VERSION, columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> "PriceBook":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        columns = unpack_columns(data, _KIND, _VERSION, (*COLUMNS, *COVERAGE_COLUMNS, *_ZONES))
        names, ids = columns["zone_names"].tolist(), columns["zone_ids"].tolist()
        changes = PriceChanges.from_columns(columns)
        try:
            zones = dict(zip(names, ids, strict=True))
            return cls(changes, Coverage.from_columns(columns), zones)
        except ValueError as error:
            raise DamagedState(f"{_KIND}: {error}") from error


def contents_from_bytes(data: bytes) -> tuple[Coverage, tuple[Pool, ...]]:
    """Read only coverage and pools of what ``PriceBook.to_bytes`` wrote. Raises DamagedState."""
    columns = unpack_columns(data, _KIND, _VERSION, (*COVERAGE_COLUMNS, *POOL_COLUMNS))
    try:
        return Coverage.from_columns(columns), pools_from_columns(columns)
    except ValueError as error:
        raise DamagedState(f"{_KIND}: {error}") from error
