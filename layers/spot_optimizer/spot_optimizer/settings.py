"""Thresholds and flags: one table of names, ranges and defaults. setting_precedence.py says which source
of a value wins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

from spot_optimizer.vocabulary import TAG_PREFIX

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class InvalidSetting(ValueError):
    """Unknown name of a threshold or flag, or a value that is not allowed; the text says which."""


def _number(default: float, low: float, high: float, meaning: str, *, stack: bool = False) -> Any:
    return field(
        default=default,
        metadata={"low": low, "high": high, "meaning": meaning, "stack_only": stack},
    )


def _flag(default: bool, meaning: str, *, stack: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "stack_only": stack})


def _name(default: str, pattern: str, allowed: str, meaning: str) -> Any:
    return field(
        default=default,
        metadata={"pattern": pattern, "allowed": allowed, "meaning": meaning, "stack_only": False},
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All thresholds and flags. Units are in the names. A point is 1/100 of the home type's on-demand
    price, so it is the same amount of money for every candidate."""

    engine: str = _name(
        "expected_cost",
        "[a-z][a-z0-9_]{0,39}",
        "expected_cost, forecast, layered, risk_score, or the name of your own engine",
        "engine that judges the workload",
    )
    volatility_baseline: float = _number(
        0.10,
        0.001,
        5,
        "baseline of the 24 h volatility of rises, standard deviation / mean (engine forecast)",
    )
    volatility_factor: float = _number(
        1.5, 0.1, 20, "volatility up to this many baselines is safe (engine forecast)"
    )
    instability_max: float = _number(
        0.85, 0.01, 1, "instability below which a pool is safe (engines forecast, layered)"
    )
    discount_baseline_points: float = _number(
        60, 0, 99, "discount that a pool should have (engine forecast)"
    )
    discount_margin_points: float = _number(
        5, 0, 50, "acceptable distance below the baseline (engine forecast)"
    )
    switch_gain_points: float = _number(3, 0.1, 50, "minimum extra discount for a switch")
    switch_gain_risk: float = _number(
        0.05, 0.02, 1, "minimum reduction of risk for a switch (engine forecast)"
    )
    unsafe_premium_fraction: float = _number(
        0.10, 0, 1, "maximum extra cost of a safer pool (engines forecast, layered, risk_score)"
    )
    confirm_safe_minutes: float = _number(
        30,
        0,
        120,
        "time that a pool must be safe before a workload leaves on-demand",
        stack=True,
    )
    over_cpu_fraction: float = _number(0.30, 0.01, 0.95, "7-day CPU p95 below this means too large")
    over_memory_fraction: float = _number(
        0.40, 0.01, 0.95, "7-day memory p95 below this means too large"
    )
    under_fraction: float = _number(
        0.80, 0.05, 1, "five-minute CPU or memory above this means too small"
    )
    headroom_factor: float = _number(1.2, 1, 5, "right-sizing keeps at least p95 usage times this")
    interruption_cost_minutes: float = _number(
        30, 0, 10_080, "work lost by an interruption (engine expected_cost)"
    )
    expected_stay_hours: float = _number(
        24, 1, 720, "time in which a switch must pay for itself (engine expected_cost)"
    )
    switch_overlap_minutes: float = _number(
        10, 0, 240, "time in which a switch bills both instances (engine expected_cost)"
    )
    switch_lost_minutes: float = _number(
        1, 0, 240, "work lost by hand-over and restart (engine expected_cost)"
    )
    cooldown_minutes: float = _number(10, 0, 1440, "minimum time between switches")
    breaker_failures: float = _number(3, 1, 20, "failed switches in a row that open the breaker")
    stack_breaker_workloads: float = _number(
        3,
        1,
        100,
        "workloads failing within an hour that open the stack's breaker",
        stack=True,
    )
    switches_in_flight_max: float = _number(
        10, 1, 1000, "maximum switches running at once", stack=True
    )
    switches_per_day_max: float = _number(
        4, 1, 100, "maximum planned switches of a workload in 24 hours"
    )
    moves_into_one_pool_fraction: float = _number(
        0.34, 0.01, 1, "maximum share of a cycle's planned switches into one pool", stack=True
    )
    family_share_max_fraction: float = _number(
        0.40, 0.05, 1, "maximum share of workloads on one family, from ten workloads on", stack=True
    )
    backoff_minutes: float = _number(15, 1, 360, "wait after a refused or failed launch, doubling")
    backoff_minutes_max: float = _number(
        360, 1, 1440, "maximum wait after refused or failed launches"
    )
    snapshot_age_minutes_max: float = _number(
        30, 5, 240, "market data older than this means STAY", stack=True
    )
    fallback_to_on_demand: bool = _flag(True, "row 6 may launch on-demand if no pool is safe")
    allow_rightsize_down: bool = _flag(True, "row 2 may choose a smaller type")
    allow_rightsize_up: bool = _flag(True, "row 1 may choose a larger type")
    allow_burstable: bool = _flag(False, "burstable types may replace types that are not")
    auto_terminate: bool = _flag(True, "terminate the original after the commit")
    dry_run: bool = _flag(True, "decide and record only, change nothing in EC2", stack=True)

    def __post_init__(self) -> None:
        if self.backoff_minutes > self.backoff_minutes_max:
            raise InvalidSetting(
                f"backoff_minutes = {self.backoff_minutes:g} is above "
                f"backoff_minutes_max = {self.backoff_minutes_max:g}"
            )
        if self.over_cpu_fraction >= self.under_fraction:
            raise InvalidSetting(
                f"over_cpu_fraction = {self.over_cpu_fraction:g} must be below "
                f"under_fraction = {self.under_fraction:g}: no workload is both too large and too small"
            )
        if self.over_memory_fraction >= self.under_fraction:
            raise InvalidSetting(
                f"over_memory_fraction = {self.over_memory_fraction:g} must be below "
                f"under_fraction = {self.under_fraction:g}"
            )

    def merged(self, raw: Mapping[str, object], *, source: str, per_workload: bool) -> "Settings":
        """These settings, overridden by ``raw`` (name -> value, text or typed).

        ``source`` names the source of the values in messages. Raises InvalidSetting for an unknown name,
        a value out of range, or a stack-wide setting given for one workload.
        """
        parsed = {
            name: parse_setting(name, value, source=source, per_workload=per_workload)
            for name, value in raw.items()
        }
        return replace(self, **parsed) if parsed else self  # type: ignore[arg-type]  # checked above


@cache
def setting_names(*, per_workload: bool = False) -> tuple[str, ...]:
    """Names of all settings, or of those that a workload may override."""
    return tuple(
        f.name for f in fields(Settings) if not (per_workload and f.metadata["stack_only"])
    )


@cache
def _fields() -> Mapping[str, Any]:
    return {f.name: f for f in fields(Settings)}


def allowed_values(name: str) -> str:
    """What a setting may be, in words."""
    known = _fields()[name]
    if isinstance(known.default, bool):
        return "true, false"
    if isinstance(known.default, str):
        return str(known.metadata["allowed"])
    return f"{known.metadata['low']:g} to {known.metadata['high']:g}"


def parse_setting(
    name: str, value: object, *, source: str, per_workload: bool
) -> float | bool | str:
    """One value, validated; InvalidSetting names the field, its value and what is allowed."""
    known = _fields().get(name)
    if known is None or (per_workload and known.metadata["stack_only"]):
        allowed = ", ".join(setting_names(per_workload=per_workload))
        raise InvalidSetting(f"{source}: unknown setting '{name}'; allowed are {allowed}")
    text = str(value).strip().lower()
    if isinstance(known.default, bool):
        if text not in _TRUE + _FALSE:
            raise InvalidSetting(f"{source}: {name} = '{value}' is not true or false")
        return text in _TRUE
    if isinstance(known.default, str):
        if not re.fullmatch(known.metadata["pattern"], text):
            raise InvalidSetting(
                f"{source}: {name} = '{value}' is not a name; allowed are {allowed_values(name)}"
            )
        return text
    low, high = known.metadata["low"], known.metadata["high"]
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise InvalidSetting(
            f"{source}: {name} = '{value}' is not a number from {low:g} to {high:g}"
        )
    return number


def tag_key(name: str) -> str:
    """The tag that overrides a setting: ``cooldown_minutes`` -> ``spot-optimizer:cooldown-minutes``."""
    return TAG_PREFIX + name.replace("_", "-")
