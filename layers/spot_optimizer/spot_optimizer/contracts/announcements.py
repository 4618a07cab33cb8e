"""Details of the events that the stack puts on its bus."""

from datetime import datetime
from typing import Any, Literal

from spot_optimizer.contracts.boundary import Boundary
from spot_optimizer.contracts.switch import Target
from spot_optimizer.vocabulary import DecisionKind


class DecisionMade(Boundary):
    """Detail of ``Spot Optimizer Decision``."""

    workload_id: str
    instance_id: str
    decision_id: str
    at: datetime
    kind: DecisionKind
    reason: str
    held_by: str
    target: Target | None


class SwitchEnded(Boundary):
    """Detail of ``Spot Optimizer Switch``."""

    workload_id: str
    switch_id: str
    phase: str
    summary: str
    saving_spot_usd_per_hour: float | None = None
    """At current prices; None if unknown or if the switch failed."""
    saving_forecast_usd_per_hour: float | None = None
    """At forecast prices; likewise."""


class ModelChanged(Boundary):
    """Detail of ``Spot Optimizer Model``."""

    version: str
    status: Literal["refused", "pending", "trial", "activated", "rolled-back", "dropped", "removed"]
    reason: str
    at: datetime
    asked_by: str
    comparison: dict[str, Any]
    """With the live model; empty if nothing was compared."""


class ForecastJudged(Boundary):
    """Detail of ``Spot Optimizer Forecast``: the live model's forecasts became degraded, or recovered."""

    model: str
    degraded: bool
    reasons: tuple[str, ...]
    at: datetime
    horizons: dict[str, dict[str, float]]
    """Hours ahead -> figures of the last seven days."""
