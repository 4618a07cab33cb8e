"""A target that a user forces: accepted if the workload can run there."""

from spot_optimizer.decision.decision import Candidate
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.situation import CannotJudge, home_of
from spot_optimizer.decision.world import Force, WorkloadView
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
    Rule,
)


def forced_outcome(
    workload: WorkloadView, force: Force, pool: Pool, table: MarketTable | None, catalog: Catalog
) -> Outcome:
    """SWITCH to ``pool``, or STAY with the reason why the workload cannot run there. The pool need not
    be safe, cheap or match the workload's type globs, because the user has chosen it."""
    try:
        candidate = _target(workload, pool, force.lifecycle, table, catalog)
    except CannotJudge as refusal:
        return Outcome(DecisionKind.STAY, Rule.NONE, f"forced target refused: {refusal}")
    reason = (
        f"forced by {force.asked_by} to {pool} {force.lifecycle}: forecast discount "
        f"{candidate.discount_points:.1f} points at risk {candidate.risk:.2f}"
    )
    return Outcome(DecisionKind.SWITCH, Rule.NONE, reason, candidates=(candidate,))


def _target(
    workload: WorkloadView,
    pool: Pool,
    lifecycle: Lifecycle,
    table: MarketTable | None,
    catalog: Catalog,
) -> Candidate:
    home, home_on_demand = home_of(workload, catalog)
    kind = catalog.types.get(pool.instance_type)
    if kind is None:
        raise CannotJudge(f"{pool.instance_type} is not in the catalog")
    if (pool, lifecycle) == (workload.pool, workload.lifecycle):
        raise CannotJudge(f"{workload.workload_id} already runs on {pool} {lifecycle}")
    if clause := incompatibility(kind, home, may_burst=workload.settings.allow_burstable):
        raise CannotJudge(f"{kind.name} does not fit the home type {home.name}: {clause}")
    if clause := workload.image.incompatibility(kind):
        raise CannotJudge(f"{kind.name} cannot boot the image: {clause}")
    if kind.vcpu < home.vcpu or kind.memory_gib < home.memory_gib:
        raise CannotJudge(
            f"{kind.name} has {kind.vcpu} vCPU and {kind.memory_gib:g} GiB, "
            f"the home type {home.name} {home.vcpu} and {home.memory_gib:g}"
        )
    if pool.availability_zone not in catalog.zones.get(kind.name, frozenset()):
        raise CannotJudge(f"{kind.name} is not offered in {pool.availability_zone}")
    if pool.availability_zone not in workload.subnets:
        known = ", ".join(sorted(workload.subnets)) or "no zone"
        why = workload.why_not_in(pool.availability_zone)
        raise CannotJudge(f"{why}; allowed are {known}")
    spot, forecast, risk = _prices_and_risk(pool, lifecycle, table, catalog)
    discount = 100.0 * (1 - forecast / home_on_demand)
    subnet_id = workload.subnet_in(pool.availability_zone)
    return Candidate(*pool, lifecycle, subnet_id, spot, forecast, discount, risk)


def _prices_and_risk(
    pool: Pool, lifecycle: Lifecycle, table: MarketTable | None, catalog: Catalog
) -> tuple[float, float, float]:
    """Current spot price, forecast and risk."""
    if lifecycle is Lifecycle.ON_DEMAND:
        price = catalog.on_demand_usd_per_hour.get(pool.instance_type)
        if price is None:
            raise CannotJudge(f"{pool.instance_type} has no on-demand price")
        return price, price, 0.0
    row = table.market.index_of(pool) if table else None
    if table is None or row is None or not table.usable_price[row]:
        raise CannotJudge(f"no usable price of {pool}")
    market = table.market
    return float(market.price[row]), float(market.forecast_mean[row]), float(table.risk[row])
