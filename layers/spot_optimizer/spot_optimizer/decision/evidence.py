"""The inputs of a decision, for its record."""

import math
from collections.abc import Mapping
from datetime import datetime

from spot_optimizer.decision.situation import Situation
from spot_optimizer.decision.world import WorkloadView, World

Evidence = dict[str, float | str | None]


def known_inputs(situation: Situation | None, workload: WorkloadView) -> dict[str, bool]:
    """The important inputs of a decision, and whether each was known."""
    usage, market = workload.usage, situation.table.market if situation else None
    row = situation.row if situation else None
    return {
        "model forecast": market is not None and not market.degraded,
        "current price": situation is not None and math.isfinite(situation.forecast_usd_per_hour),
        "advisor": market is not None and row is not None and int(market.advisor_bucket[row]) >= 0,
        "CPU use": usage is not None,
        "memory use": usage is not None and usage.memory_p95_gib is not None,
    }


def evidence_of(
    world: World,
    workload: WorkloadView,
    situation: Situation | None,
    now: datetime,
    figures: Mapping[str, float | str | None],
) -> Evidence:
    """Prices in USD per hour, discounts in points, ages in seconds; None, not NaN, if unknown.
    ``figures`` are the engine's own. ``current_usd_per_hour`` is the forecast,
    ``current_pool_price_usd_per_hour`` the current spot price."""
    known = known_inputs(situation, workload)
    evidence: Evidence = {
        "unknown": ", ".join(name for name, is_known in known.items() if not is_known)
    }
    if market := world.market:
        evidence["forecaster"] = market.forecaster
        evidence["market_degraded"] = market.degraded
        evidence["market_age_s"] = (now - market.as_of).total_seconds()
    if usage := workload.usage:
        evidence["cpu_p95_vcpu"] = usage.cpu_p95_vcpu
        evidence["memory_p95_gib"] = usage.memory_p95_gib
        evidence["network_used_gbps"] = usage.network_used_gbps
        evidence["ebs_used_mbps"] = usage.ebs_used_mbps
        evidence["usage_hours"] = usage.hours
        evidence["usage_age_s"] = (now - usage.as_of).total_seconds()
    if stop := workload.scheduled_stop:
        evidence["scheduled_stop"] = stop.code
        evidence["scheduled_stop_in_s"] = (stop.at - now).total_seconds()
    if situation:
        evidence.update(_of_situation(situation))
    evidence.update(figures)
    return {key: _known(value) for key, value in evidence.items()}


def _of_situation(situation: Situation) -> Evidence:
    evidence: Evidence = {
        "state": str(situation.state),
        "usage_class": str(situation.usage.usage_class),
        "usage": situation.usage.reason,
        "home_on_demand_usd_per_hour": situation.home_on_demand_usd_per_hour,
        "current_usd_per_hour": situation.forecast_usd_per_hour,
        "current_discount_points": situation.discount_points,
        "current_risk": situation.risk,
    }
    row, market = situation.row, situation.table.market
    if row is not None:
        evidence["current_pool_price_usd_per_hour"] = float(market.price[row])
        evidence["current_pool_forecast_p95_usd_per_hour"] = float(market.forecast_p95[row])
        evidence["current_pool_rise_volatility_24h"] = float(market.rise_volatility_24h[row])
        evidence["current_pool_instability"] = float(market.instability[row])
        evidence["current_pool_advisor_bucket"] = int(market.advisor_bucket[row])
    return evidence


def _known(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
