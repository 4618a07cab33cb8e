"""The market joined with the catalog: columns over pools, shared by all workloads of a cycle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.decision.hourly_hazard import hourly_hazard
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.pool_history import REFUSAL_WEIGHT_MAX, PoolHistory
from spot_optimizer.decision.risk import NEGLIGIBLE_RISK, risk_scores
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.market.cleaning import PRICE_TO_ON_DEMAND_MAX
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.market.snapshot import Floats, MarketSnapshot
from spot_optimizer.vocabulary import Pool

Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]
Rows = NDArray[np.intp]


_OF_NAMES_ALONE = (
    "_types",
    "age_ranks",
    "ebs_mbps",
    "memory_gib",
    "name_ranks",
    "network_gbps",
    "nowhere",
    "on_demand",
    "refused_lately",
    "vcpu",
)


class PlainColumns(NamedTuple):
    """Columns of a MarketTable as lists of Python's numbers, one element per pool."""

    spot_usd_per_hour: list[float]
    forecast_usd_per_hour: list[float]
    risk: list[float]
    hazard_per_hour: list[float]


@dataclass(frozen=True)
class MarketTable:
    """Columns over the P pools of ``market``, in its order: (P,), USD per hour, NaN where unknown.

    Each column is computed on first use and cached, so that all workloads share it.
    """

    market: MarketSnapshot
    catalog: Catalog
    quiet_hour: bool
    pool_history: PoolHistory = field(default_factory=PoolHistory)
    _shared_bools: dict[object, Bools] = field(default_factory=dict, repr=False)
    shared_codes: dict[object, Codes] = field(default_factory=dict, repr=False)
    """Results of the stages by their arguments; read only."""

    def varied(self, market: MarketSnapshot) -> "MarketTable":
        """The same pools with other figures. Columns that depend only on types, zones and names are
        shared, so that a thousand variations cost little."""
        other = MarketTable(
            market, self.catalog, self.quiet_hour, self.pool_history, self._shared_bools
        )
        for name in _OF_NAMES_ALONE:
            other.__dict__[name] = getattr(self, name)
        return other

    @cached_property
    def vcpu(self) -> Floats:
        """vCPU of each pool's type, NaN for a type that is not in the catalog."""
        return self._numbers_by_type({t.name: t.vcpu for t in self.catalog.types.values()})

    @cached_property
    def memory_gib(self) -> Floats:
        """Memory of each pool's type."""
        return self._numbers_by_type({t.name: t.memory_gib for t in self.catalog.types.values()})

    @cached_property
    def on_demand(self) -> Floats:
        """List price of each pool's own type."""
        return self._numbers_by_type(dict(self.catalog.on_demand_usd_per_hour))

    @cached_property
    def network_gbps(self) -> Floats:
        """Baseline bandwidth of each pool's type, gigabits per second."""
        types = self.catalog.types.values()
        return self._numbers_by_type({t.name: t.network_gbps or np.nan for t in types})

    @cached_property
    def ebs_mbps(self) -> Floats:
        """Baseline EBS throughput of each pool's type, megabytes per second."""
        types = self.catalog.types.values()
        return self._numbers_by_type({t.name: t.ebs_mbps or np.nan for t in types})

    @cached_property
    def age_ranks(self) -> Floats:
        """Rank of each pool's type from the newest generation to the oldest, by number; within one
        number, those that AWS calls previous generation come last."""
        return self._numbers_by_type(
            {
                t.name: -t.generation + 0.5 * (not t.current_generation)
                for t in self.catalog.types.values()
            }
        )

    @cached_property
    def hazard_per_hour(self) -> Floats:
        """Expected interruptions per hour in each pool, for an instance of average age."""
        known = self.pool_history
        hazard: Floats = hourly_hazard(
            self.market.advisor_bucket,
            interruptions=self._numbers_by_pool(known.interruptions),
            instance_hours=self._numbers_by_pool(known.instance_hours),
            instability=self.market.instability,
        )
        return hazard

    @cached_property
    def refused_lately(self) -> Bools:
        """Whether planned switches avoid each pool because it refused launches lately."""
        refused: Bools = self._numbers_by_pool(self.pool_history.refusals) > REFUSAL_WEIGHT_MAX
        return refused

    @cached_property
    def nowhere(self) -> Bools:
        """False for every pool."""
        return np.zeros(len(self.market.pools), dtype=np.bool_)

    @cached_property
    def risk(self) -> Floats:
        """Risk of each pool, 0 to 1."""
        return risk_scores(self.market, self.on_demand, quiet_hour=self.quiet_hour)

    @cached_property
    def usable_price(self) -> Bools:
        """Whether a pool's price and forecast are known and plausible."""
        price, mean = self.market.price, self.market.forecast_mean
        with np.errstate(invalid="ignore"):
            absurd = price > PRICE_TO_ON_DEMAND_MAX * self.on_demand
            return (price > 0) & np.isfinite(price) & (mean > 0) & np.isfinite(mean) & ~absurd

    @cached_property
    def name_ranks(self) -> Rows:
        """Position of each pool in the order of names; it breaks ties."""
        ranks = np.empty(len(self.market.pools), dtype=np.intp)
        ranks[sorted(range(len(ranks)), key=lambda row: self.market.pools[row])] = range(len(ranks))
        return ranks

    @cached_property
    def ranking(self) -> Rows:
        """All rows, the best first: by forecast price; ties go to less risk (in steps of
        NEGLIGIBLE_RISK), then to the newer generation, then by name. Pools that refused a launch
        lately come last."""
        order: Rows = np.lexsort(
            (
                self.name_ranks,
                self.age_ranks,
                np.floor(self.risk / NEGLIGIBLE_RISK),
                self.market.forecast_mean,
                self.refused_lately,
            )
        )
        return order

    @cached_property
    def plain(self) -> PlainColumns:
        """Columns as lists: reading single elements of an array is slow, and a cycle makes thousands
        of candidates."""
        return PlainColumns(
            spot_usd_per_hour=self.market.price.tolist(),
            forecast_usd_per_hour=self.market.forecast_mean.tolist(),
            risk=self.risk.tolist(),
            hazard_per_hour=self.hazard_per_hour.tolist(),
        )

    @cached_property
    def by_price(self) -> Rows:
        """The rows of the pools with a known spot price, the cheapest first, ties by name."""
        price = self.market.price
        order: Rows = np.lexsort((self.name_ranks, price))
        return order[np.isfinite(price[order])]

    def compatible(self, home: InstanceType, *, may_burst: bool = False) -> Bools:
        """Whether each pool's type can run an image that runs on ``home``."""
        return self._bools_by_type(
            ("compatible", home.name, may_burst),
            lambda t: not incompatibility(t, home, may_burst=may_burst),
        )

    def boots(self, image: Image) -> Bools:
        """Whether each pool's type can boot the image."""
        return self._bools_by_type(("boots", image), lambda t: not image.incompatibility(t))

    def in_types(self, globs: tuple[str, ...]) -> Bools:
        """Whether the name of each pool's type matches one of the globs."""
        return self._bools_by_type(
            ("globs", globs), lambda t: any(fnmatchcase(t.name, glob) for glob in globs)
        )

    def in_zones(self, zones: frozenset[str]) -> Bools:
        """Whether each pool is in one of the zones."""
        key = ("zones", zones)
        if key not in self._shared_bools:
            inside = [pool.availability_zone in zones for pool in self.market.pools]
            self._shared_bools[key] = np.array(inside, dtype=np.bool_)
        return self._shared_bools[key]

    @cached_property
    def _types(self) -> tuple[tuple[str, ...], Rows]:
        """The T distinct types, and for each pool the row of its type."""
        names: dict[str, int] = {}
        rows = [names.setdefault(pool.instance_type, len(names)) for pool in self.market.pools]
        return tuple(names), np.array(rows, dtype=np.intp)

    def _numbers_by_type(self, values: dict[str, float]) -> Floats:
        names, rows = self._types
        return np.array([values.get(name, np.nan) for name in names], dtype=np.float64)[rows]

    def _numbers_by_pool(self, values: Mapping[Pool, float]) -> Floats:
        numbers = np.zeros(len(self.market.pools))
        for pool, value in values.items():
            row = self.market.index_of(pool)
            if row is not None:
                numbers[row] = value
        return numbers

    def _bools_by_type(self, key: object, holds: Callable[[InstanceType], bool]) -> Bools:
        if key not in self._shared_bools:
            names, rows = self._types
            known = [self.catalog.types.get(name) for name in names]
            by_type = np.array([t is not None and holds(t) for t in known], dtype=np.bool_)
            self._shared_bools[key] = by_type[rows]
        return self._shared_bools[key]
