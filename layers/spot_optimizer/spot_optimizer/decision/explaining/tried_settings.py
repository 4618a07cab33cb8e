"""Which thresholds, flags and other choices of the team would have changed the decision."""

import math
from dataclasses import fields, replace
from typing import Any

from spot_optimizer.decision.explaining.rivals import Change, Counterfactual
from spot_optimizer.decision.explaining.what_if import Case, first_change
from spot_optimizer.decision.situation import SIGNAL_MEMORY
from spot_optimizer.settings import Settings

_OF_EXPECTED_COST = (
    "interruption_cost_minutes",
    "expected_stay_hours",
    "switch_overlap_minutes",
    "switch_lost_minutes",
)
_THRESHOLDS = (
    "volatility_factor",
    "instability_max",
    "discount_baseline_points",
    "switch_gain_points",
    "switch_gain_risk",
    "unsafe_premium_fraction",
    "over_cpu_fraction",
    "over_memory_fraction",
    "under_fraction",
    "headroom_factor",
    "snapshot_age_minutes_max",
)
"""Without the volatility baseline and the discount margin: each has the effect of one of these."""
_FLAGS = (
    "fallback_to_on_demand",
    "allow_rightsize_down",
    "allow_rightsize_up",
    "allow_burstable",
)
_STEPS = {"points": 0.1, "fraction": 0.01, "risk": 0.01, "max": 0.01, "factor": 0.05}


def changing_settings(case: Case) -> list[Counterfactual]:
    """For each threshold the nearest values on its grid, below and above, that would have changed the
    decision; and the flags that would have."""
    names: tuple[str, ...] = _THRESHOLDS
    if case.workload.settings.engine not in ("forecast", "layered", "risk_score"):
        names += _OF_EXPECTED_COST
    return [
        *(found for name in names for found in _changing_values(case, name)),
        *(found for name in _FLAGS if (found := _flipped(case, name))),
    ]


def changing_inputs(case: Case) -> list[Counterfactual]:
    """Other inputs that would have changed the decision: types, zones, signals, engine."""
    return [
        found
        for attempt in (_all_types, _without_signal, *_more_zones(case))
        if (found := attempt(case))
    ] + [found for name in sorted(case.engines) if (found := _judged_by(case, name))]


def setting_steps(name: str) -> tuple[float, int, int]:
    """The grid on which values of a setting are tried: step, first and last number of steps."""
    known = next(f for f in fields(Settings) if f.name == name).metadata
    step = next((s for unit, s in _STEPS.items() if name.endswith(unit)), 1.0)
    if name.endswith("minutes_max"):
        step = 1.0
    return step, math.ceil(known["low"] / step - 1e-9), math.floor(known["high"] / step + 1e-9)


def _changing_values(case: Case, name: str) -> list[Counterfactual]:
    actual = case.verdict()
    value = float(getattr(case.workload.settings, name))
    step, first, last = setting_steps(name)
    below = [round(k * step, 6) for k in range(math.ceil(value / step - 1e-9) - 1, first - 1, -1)]
    above = [round(k * step, 6) for k in range(math.floor(value / step + 1e-9) + 1, last + 1)]

    def differs(other: float) -> bool:
        changed = case.with_setting(name, other)
        return changed is not None and changed.verdict() != actual

    return [
        _changed(case, name, value, other)
        for points in (below, above)
        if (other := first_change(points, differs)) is not None
    ]


def _flipped(case: Case, name: str) -> Counterfactual | None:
    value = bool(getattr(case.workload.settings, name))
    found = _changed(case, name, value, not value)
    return found if found.then != case.verdict() else None


def _changed(case: Case, name: str, value: Any, other: Any) -> Counterfactual:
    changed = case.with_setting(name, other)
    assert changed is not None
    return Counterfactual((Change(name, _text(value), _text(other)),), changed.verdict())


def _text(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _judged_by(case: Case, name: str) -> Counterfactual | None:
    now = case.workload.settings.engine
    changed = case.with_setting("engine", name)
    if name == now or changed is None or (then := changed.verdict()) == case.verdict():
        return None
    return Counterfactual((Change("engine", now, name),), then)


def _all_types(case: Case) -> Counterfactual | None:
    now = case.workload.type_globs
    return _if_other(
        case, case.workload_with(type_globs=("*",)), Change("types", ",".join(now), "*")
    )


def _without_signal(case: Case) -> Counterfactual | None:
    here = case.workload.pool
    at = case.workload.signals.get(here)
    if at is None or case.now - at >= SIGNAL_MEMORY:
        return None
    signals = {pool: when for pool, when in case.workload.signals.items() if pool != here}
    change = Change(f"EC2's signals in {here}", "in the last 2 h", "none")
    return _if_other(case, case.workload_with(signals=signals), change)


def _more_zones(case: Case) -> list[Any]:
    zones = {pool.availability_zone for pool in case.table.market.pools}

    def with_zone(zone: str) -> Any:
        def attempt(case: Case) -> Counterfactual | None:
            subnets = {**case.workload.subnets, zone: ("subnet",)}
            known = ", ".join(sorted(case.workload.subnets)) or "none"
            changed = replace(case, workload=replace(case.workload, subnets=subnets))
            return _if_other(case, changed, Change("zones to launch in", known, f"also {zone}"))

        return attempt

    return [with_zone(zone) for zone in sorted(zones - case.workload.subnets.keys())]


def _if_other(case: Case, changed: Case, change: Change) -> Counterfactual | None:
    then = changed.verdict()
    return Counterfactual((change,), then) if then != case.verdict() else None
