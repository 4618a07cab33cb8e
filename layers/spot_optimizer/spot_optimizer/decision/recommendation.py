"""Where instances of a required size should run: pools by expected cost, and a plan.

::

    expected = forecast price + hazard x cost of an interruption          USD per hour

An interruption costs minutes of work; an hour of work is worth the on-demand price of the cheapest type
that is large enough (as in the engine ``expected_cost``). Only safe pools are recommended.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from spot_optimizer.decision.guards.limits import DIVERSITY_FROM_WORKLOADS
from spot_optimizer.decision.hourly_hazard import MONTH_HOURS
from spot_optimizer.decision.market_table import Bools, MarketTable
from spot_optimizer.decision.stages import Reason, Safety, safety_codes
from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.settings import Settings

POOLS_SHOWN_MAX = 20


class NothingFits(ValueError):
    """No type in the region meets the requirement, which the text names."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """The size and number of instances, and what limits the choice."""

    vcpu: float
    memory_gib: float
    count: int
    architecture: str
    types: tuple[str, ...] = ("*",)
    """Globs of type names."""
    zones: tuple[str, ...] = ()
    """Empty: all."""
    interruption_cost_minutes: float = 30.0
    allow_burstable: bool = False


@dataclass(frozen=True, slots=True)
class RankedPool:
    """A pool that meets the requirement."""

    instance_type: str
    availability_zone: str
    vcpu: float
    memory_gib: float
    spot_usd_per_hour: float
    forecast_usd_per_hour: float
    """Mean forecast one hour ahead."""
    price_usd_per_hour: float
    """``forecast_usd_per_hour`` under its name of release 0.1.0."""
    expected_usd_per_hour: float
    """Forecast price with expected interruptions."""
    hazard_per_hour: float
    instability_probability: float
    risk: float
    advisor_bucket: int
    saving_fraction: float
    """Saving of the expected cost against ``Recommendation.reference_type`` on-demand."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A number of instances in one pool."""

    instance_type: str
    availability_zone: str
    count: int
    expected_usd_per_hour: float
    """Of all of them."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Ranked pools, a plan for all instances, and its saving."""

    reference_type: str
    """The cheapest type on-demand that is large enough; savings are compared with it."""
    reference_usd_per_hour: float
    pools: tuple[RankedPool, ...]
    """The best, at most twenty."""
    pools_that_do: int
    plan: tuple[Placed, ...]
    on_demand_count: int
    """Instances for which the limits leave no pool: ``reference_type`` on-demand."""
    expected_usd_per_hour: float
    on_demand_usd_per_hour: float
    """All instances as ``reference_type`` on-demand."""
    saving_usd_per_hour: float
    saving_usd_per_month: float
    saving_fraction: float
    limits: str
    """How the instances are spread, in words."""
    rejected: dict[str, int]
    """Reason -> pools."""
    types_without_price: tuple[str, ...]
    """Types that are large enough, but whose spot prices are not collected."""


def recommend(wanted: Requirement, table: MarketTable, settings: Settings) -> Recommendation:
    """The best pools for the requirement, and the cheapest plan within the limits. Pure.

    Raises NothingFits.
    """
    fitting = _fitting_types(wanted, table)
    reference = min(fitting, key=lambda t: (table.catalog.on_demand_usd_per_hour[t.name], t.name))
    reference_usd = table.catalog.on_demand_usd_per_hour[reference.name]
    expected = table.market.forecast_mean + table.hazard_per_hour * (
        wanted.interruption_cost_minutes / 60 * reference_usd
    )
    left, rejected = _screen(wanted, table, settings, expected, reference_usd)
    order = np.lexsort((table.name_ranks, table.risk, expected))
    ranked = [int(row) for row in order if left[row]]
    per_pool, per_family = _limits(wanted.count, settings)
    counts = _allot(ranked, table, wanted.count, per_pool, per_family)
    on_demand_count = wanted.count - sum(counts.values())
    total = sum(n * float(expected[row]) for row, n in counts.items())
    total += on_demand_count * reference_usd
    all_on_demand = wanted.count * reference_usd
    return Recommendation(
        reference_type=reference.name,
        reference_usd_per_hour=reference_usd,
        pools=tuple(
            _ranked_pool(table, row, expected, reference_usd) for row in ranked[:POOLS_SHOWN_MAX]
        ),
        pools_that_do=len(ranked),
        plan=tuple(
            Placed(*table.market.pools[row], n, n * float(expected[row]))
            for row, n in counts.items()
        ),
        on_demand_count=on_demand_count,
        expected_usd_per_hour=total,
        on_demand_usd_per_hour=all_on_demand,
        saving_usd_per_hour=all_on_demand - total,
        saving_usd_per_month=(all_on_demand - total) * MONTH_HOURS,
        saving_fraction=1 - total / all_on_demand,
        limits=_limits_text(per_pool, per_family, wanted.count),
        rejected=rejected,
        types_without_price=_without_price(fitting, table),
    )


def _fitting_types(wanted: Requirement, table: MarketTable) -> list[InstanceType]:
    """Types that are large enough and allowed and have an on-demand price."""
    found = [
        t
        for t in table.catalog.types.values()
        if table.catalog.on_demand_usd_per_hour.get(t.name, 0.0) > 0
        and not any(excludes(t, wanted) for excludes in _OF_TYPES.values())
    ]
    if not found:
        raise NothingFits(
            f"no type has vcpu = {wanted.vcpu:g}, memory_gib = {wanted.memory_gib:g} or more, "
            f"architecture = '{wanted.architecture}' and a name like {', '.join(wanted.types)}"
        )
    return found


_OF_TYPES: dict[str, Callable[[InstanceType, Requirement], bool]] = {
    "another architecture": lambda t, wanted: t.architecture != wanted.architecture,
    "not in types": lambda t, wanted: not any(fnmatchcase(t.name, glob) for glob in wanted.types),
    "too small": lambda t, wanted: t.vcpu < wanted.vcpu or t.memory_gib < wanted.memory_gib,
    "bare metal": lambda t, _: t.bare_metal,
    "accelerators that are not required": lambda t, _: bool(t.gpus or t.accelerators),
    "burstable": lambda t, wanted: t.burstable and not wanted.allow_burstable,
    "not sold as spot": lambda t, _: not t.spot,
}
"""Reason -> whether it excludes a type."""


def _screen(
    wanted: Requirement,
    table: MarketTable,
    settings: Settings,
    expected: Floats,
    reference_usd: float,
) -> tuple[Bools, dict[str, int]]:
    """The pools left, (P,), and how many each reason removed; the first reason counts."""
    pools, types = table.market.pools, table.catalog.types
    left = np.ones(len(pools), dtype=np.bool_)
    rejected: Counter[str] = Counter()

    def remove(reason: str, out: Bools) -> None:
        removed = left & out
        if removed.any():
            rejected[reason] += int(removed.sum())
            left[removed] = False

    def of_types(excludes: Callable[[InstanceType, Requirement], bool]) -> Bools:
        by_name = {name: excludes(t, wanted) for name, t in types.items()}
        return np.array([by_name.get(p.instance_type, True) for p in pools], dtype=np.bool_)

    remove("no price", ~table.usable_price)
    remove("no on-demand price", ~(table.on_demand > 0))
    for reason, excludes in _OF_TYPES.items():
        remove(reason, of_types(excludes))
    if wanted.zones:
        remove("not in zones", ~table.in_zones(frozenset(wanted.zones)))
    remove(Reason.REFUSED_LATELY.label, table.refused_lately)
    codes = safety_codes(table, Safety.of(settings))
    for code in (Reason.NO_HISTORY, Reason.VOLATILE, Reason.UNSTABLE, Reason.OFTEN_INTERRUPTED):
        remove(code.label, codes == code)
    remove("expected to cost as much as on-demand", ~(expected < reference_usd))
    return left, dict(rejected)


def _limits(count: int, settings: Settings) -> tuple[int, int]:
    """Maximum number of instances in one pool and in one family."""
    per_pool = max(1, math.floor(settings.moves_into_one_pool_fraction * count + 1e-9))
    if count < DIVERSITY_FROM_WORKLOADS:
        return per_pool, count
    return per_pool, max(1, math.floor(settings.family_share_max_fraction * count + 1e-9))


def _limits_text(per_pool: int, per_family: int, count: int) -> str:
    family = f", {per_family} in one family" if per_family < count else ""
    return f"of {count} instances at most {per_pool} in one pool{family}"


def _allot(
    ranked: Sequence[int], table: MarketTable, count: int, per_pool: int, per_family: int
) -> dict[int, int]:
    """Row -> number of instances: in each pool, the cheapest first, as many as the limits allow. Every
    pool belongs to one family; for such nested limits no other plan is cheaper."""
    families: Counter[str] = Counter()
    counts: dict[int, int] = {}
    for row in ranked:
        family = table.market.pools[row].instance_type.partition(".")[0]
        room = min(per_pool, per_family - families[family], count - sum(counts.values()))
        if room > 0:
            counts[row] = room
            families[family] += room
    return counts


def _ranked_pool(
    table: MarketTable, row: int, expected: Floats, reference_usd: float
) -> RankedPool:
    market = table.market
    return RankedPool(
        *market.pools[row],
        vcpu=float(table.vcpu[row]),
        memory_gib=float(table.memory_gib[row]),
        spot_usd_per_hour=float(market.price[row]),
        forecast_usd_per_hour=float(market.forecast_mean[row]),
        price_usd_per_hour=float(market.forecast_mean[row]),
        expected_usd_per_hour=float(expected[row]),
        hazard_per_hour=float(table.hazard_per_hour[row]),
        instability_probability=float(market.instability[row]),
        risk=float(table.risk[row]),
        advisor_bucket=int(market.advisor_bucket[row]),
        saving_fraction=1 - float(expected[row]) / reference_usd,
    )


def _without_price(fitting: Sequence[InstanceType], table: MarketTable) -> tuple[str, ...]:
    collected = {pool.instance_type for pool in table.market.pools}
    return tuple(sorted(t.name for t in fitting if t.name not in collected))
