"""Where machines of a wanted size should run: pools by expected dollars, and a plan over them.

::

    expected = forecast price + hazard x cost of an interruption          USD per hour

The cost of an interruption is minutes of work, an hour of which is worth what the cheapest type that
is large enough costs on-demand (as in the engine ``expected_cost``). Only safe pools are offered
(spec section 1, "safe").
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from spot_optimizer.decision.guards.limits import DIVERSITY_FROM_WORKLOADS
from spot_optimizer.decision.market_table import Bools, MarketTable
from spot_optimizer.decision.stages import Reason, Safety, safety_codes
from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.settings import Settings

MONTH_HOURS = 730
POOLS_TOLD_MAX = 20


class NothingFits(ValueError):
    """No type of the region is large enough; the text names the requirement."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is wanted."""

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
    """A pool that would do."""

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
    """With the interruptions to expect."""
    hazard_per_hour: float
    instability_probability: float
    risk: float
    advisor_bucket: int
    saving_fraction: float
    """Of the expected dollars, against ``Recommendation.reference_type`` on-demand."""


@dataclass(frozen=True, slots=True)
class Placed:
    """So many machines in one pool."""

    instance_type: str
    availability_zone: str
    count: int
    expected_usd_per_hour: float
    """Of all of them."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Ranked pools, a plan for all machines, and what it saves."""

    reference_type: str
    """The cheapest type on-demand that is large enough: what the saving is counted against."""
    reference_usd_per_hour: float
    pools: tuple[RankedPool, ...]
    """The best, at most twenty."""
    pools_that_do: int
    plan: tuple[Placed, ...]
    on_demand_count: int
    """Machines for which no pool is left within the limits: ``reference_type`` on-demand."""
    expected_usd_per_hour: float
    on_demand_usd_per_hour: float
    """All machines as ``reference_type`` on-demand."""
    saving_usd_per_hour: float
    saving_usd_per_month: float
    saving_fraction: float
    limits: str
    """How the machines were spread, in words."""
    rejected: dict[str, int]
    """Reason -> pools."""
    types_without_price: tuple[str, ...]
    """Large enough, but their spot prices are not collected."""


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
            _ranked_pool(table, row, expected, reference_usd) for row in ranked[:POOLS_TOLD_MAX]
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
    """Types that are large enough and allowed, with an on-demand price, whatever their market."""
    found = [
        t
        for t in table.catalog.types.values()
        if table.catalog.on_demand_usd_per_hour.get(t.name, 0.0) > 0
        and not any(keeps_out(t, wanted) for keeps_out in _OF_TYPES.values())
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
    "accelerators that nobody asked for": lambda t, _: bool(t.gpus or t.accelerators),
    "burstable": lambda t, wanted: t.burstable and not wanted.allow_burstable,
    "not sold as spot": lambda t, _: not t.spot,
}
"""Reason -> whether it keeps a type out."""


def _screen(
    wanted: Requirement,
    table: MarketTable,
    settings: Settings,
    expected: Floats,
    reference_usd: float,
) -> tuple[Bools, dict[str, int]]:
    """The pools left, (P,), and how many each reason removed; the first that holds counts."""
    pools, types = table.market.pools, table.catalog.types
    left = np.ones(len(pools), dtype=np.bool_)
    rejected: Counter[str] = Counter()

    def remove(reason: str, out: Bools) -> None:
        removed = left & out
        if removed.any():
            rejected[reason] += int(removed.sum())
            left[removed] = False

    def of_types(keeps_out: Callable[[InstanceType, Requirement], bool]) -> Bools:
        by_name = {name: keeps_out(t, wanted) for name, t in types.items()}
        return np.array([by_name.get(p.instance_type, True) for p in pools], dtype=np.bool_)

    remove("no price", ~table.usable_price)
    remove("no on-demand price", ~(table.on_demand > 0))
    for reason, keeps_out in _OF_TYPES.items():
        remove(reason, of_types(keeps_out))
    if wanted.zones:
        remove("not in zones", ~table.in_zones(frozenset(wanted.zones)))
    remove(Reason.REFUSED_LATELY.label, table.refused_lately)
    codes = safety_codes(table, Safety.of(settings))
    for code in (Reason.NO_HISTORY, Reason.VOLATILE, Reason.UNSTABLE, Reason.OFTEN_INTERRUPTED):
        remove(code.label, codes == code)
    remove("expected to cost as much as on-demand", ~(expected < reference_usd))
    return left, dict(rejected)


def _limits(count: int, settings: Settings) -> tuple[int, int]:
    """Machines in one pool and in one family, at most."""
    per_pool = max(1, math.floor(settings.moves_into_one_pool_fraction * count + 1e-9))
    if count < DIVERSITY_FROM_WORKLOADS:
        return per_pool, count
    return per_pool, max(1, math.floor(settings.family_share_max_fraction * count + 1e-9))


def _limits_text(per_pool: int, per_family: int, count: int) -> str:
    family = f", {per_family} in one family" if per_family < count else ""
    return f"of {count} machines {per_pool} in one pool{family} at most"


def _allot(
    ranked: Sequence[int], table: MarketTable, count: int, per_pool: int, per_family: int
) -> dict[int, int]:
    """Row -> machines. From the cheapest on as many as the limits allow: every pool lies in one
    family, and for limits that lie within each other nothing is cheaper."""
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
