"""A spot pool appraised: what would be decided about an instance of its type that runs there."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spot_optimizer.decision.engine import look_at
from spot_optimizer.decision.engines.contract import Engines
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.situation import SIGNAL_MEMORY, explain_safety
from spot_optimizer.decision.stages import Reason, Safety, safety_codes
from spot_optimizer.decision.world import WorkloadView
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Lifecycle, Pool

_SETTLED = timedelta(hours=24)
"""An age that does not change the hazard."""


class UnknownPlace(ValueError):
    """Unknown type or zone; the text names the field, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class PoolSignal:
    """EC2's last signal to an instance in a pool."""

    kind: str
    """``interruption`` or ``rebalance``."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Appraisal:
    """A pool and what would be decided about an instance in it; figures are None if unknown."""

    instance_type: str
    availability_zone: str
    decision: str
    """STAY, SWITCH or FALLBACK, for an instance of this type with subnets in every zone."""
    target: str
    """The best candidate as ``type/zone lifecycle``; empty for STAY."""
    reason: str
    engine: str
    may_be_entered: bool
    """Whether the pool is safe by the stack's thresholds."""
    why_not: str
    """Why it is not safe, with the figure; empty if it is."""
    instability_probability: float | None
    """Probability that its price rises by 3 % within 12 hours."""
    hazard_per_hour: float | None
    """Expected interruptions per hour."""
    signal: str
    """EC2's last signal to an instance in this pool within two hours: interruption, rebalance or none."""
    signal_at: datetime | None
    spot_usd_per_hour: float | None
    price_usd_per_hour: float | None
    """``spot_usd_per_hour`` under its name of release 0.1.0."""
    forecast_usd_per_hour: float | None
    on_demand_usd_per_hour: float | None
    discount_points: float | None
    risk: float | None
    advisor_bucket: int


def appraise(
    pool: Pool,
    table: MarketTable,
    settings: Settings,
    now: datetime,
    engines: Engines,
    signal: PoolSignal | None = None,
) -> Appraisal:
    """Judge ``pool`` by the engine of ``settings``. Pure. Raises UnknownPlace.

    A signal of the last two hours counts as the instance's own, so the pool is unbearable whatever is
    forecast. A fallback need not be confirmed by a second cycle.
    """
    _check_place(pool, table)
    fresh = signal if signal is not None and now - signal.at < SIGNAL_MEMORY else None
    zones = {each.availability_zone for each in table.market.pools} | {pool.availability_zone}
    workload = WorkloadView(
        workload_id="appraisal",
        instance_id="",
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        lifecycle=Lifecycle.SPOT,
        launched_at=now - _SETTLED,
        home_type=pool.instance_type,
        settings=settings,
        subnets=dict.fromkeys(zones, ("any",)),
        signals={pool: fresh.at} if fresh else {},
        fallback_pending_since=now - timedelta(minutes=5),
    )
    outcome = look_at(workload, table, table.catalog, now, engines).outcome
    best = outcome.candidates[0] if outcome.candidates else None
    target = f"{best.pool} {best.lifecycle}" if best is not None else ""
    appraisal = Appraisal(
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        decision=outcome.kind.value,
        target=target,
        reason=outcome.reason,
        engine=settings.engine,
        may_be_entered=False,
        why_not="its price is unknown: only prices of types that can host a workload are collected",
        instability_probability=None,
        hazard_per_hour=None,
        signal=fresh.kind if fresh else "none",
        signal_at=fresh.at if fresh else None,
        spot_usd_per_hour=None,
        price_usd_per_hour=None,
        forecast_usd_per_hour=None,
        on_demand_usd_per_hour=table.catalog.on_demand_usd_per_hour.get(pool.instance_type),
        discount_points=None,
        risk=None,
        advisor_bucket=-1,
    )
    row = table.market.index_of(pool)
    return appraisal if row is None else _with_figures(appraisal, table, row, settings)


def _with_figures(
    appraisal: Appraisal, table: MarketTable, row: int, settings: Settings
) -> Appraisal:
    market, safety = table.market, Safety.of(settings)
    code = Reason(safety_codes(table, safety)[row])
    why_not = "" if code is Reason.CANDIDATE else explain_safety(table, row, safety, code)
    if not table.usable_price[row]:
        why_not = "its price is unknown or implausible"
    if appraisal.signal != "none":
        why_not = f"{appraisal.signal} in the last 2 h"
    return replace(
        appraisal,
        may_be_entered=not why_not,
        why_not=why_not,
        instability_probability=_known(market.instability[row]),
        hazard_per_hour=_known(table.hazard_per_hour[row]),
        spot_usd_per_hour=_known(market.price[row]),
        price_usd_per_hour=_known(market.price[row]),
        forecast_usd_per_hour=_known(market.forecast_mean[row]),
        discount_points=_known(100 * (1 - market.forecast_mean[row] / table.on_demand[row])),
        risk=_known(table.risk[row]),
        advisor_bucket=int(market.advisor_bucket[row]),
    )


def _check_place(pool: Pool, table: MarketTable) -> None:
    types, offered = table.catalog.types, table.catalog.zones.get(pool.instance_type)
    if pool.instance_type not in types:
        family = pool.instance_type.partition(".")[0]
        alike = sorted(name for name in types if name.partition(".")[0] == family)
        allowed = ", ".join(alike) or f"the {len(types)} types of the catalog"
        raise UnknownPlace(
            f"instance_type = '{pool.instance_type}' is unknown; allowed are {allowed}"
        )
    if offered and pool.availability_zone not in offered:
        raise UnknownPlace(
            f"availability_zone = '{pool.availability_zone}' does not offer {pool.instance_type}; "
            f"allowed are {', '.join(sorted(offered))}"
        )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
