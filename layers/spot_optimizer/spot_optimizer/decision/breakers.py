"""How the outcome of a switch changes what guards the next: cooldown, back-off, breakers.

State in, state out; the ledger keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from spot_optimizer.settings import Settings

STACK_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SwitchHealth:
    """How the last switches of one workload went."""

    failures_in_row: int = 0
    """Failed switches since the last that succeeded; refusals before launch do not count."""
    setbacks_in_row: int = 0
    """Failed and refused ones since the last that succeeded: what the back-off doubles with."""
    breaker_open: bool = False
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StackHealth:
    """How the stack's switches went in the last hour."""

    failed_at: Mapping[str, datetime] = field(default_factory=dict)
    """Workload id -> its last failed switch."""
    breaker_open: bool = False


def next_backoff_minutes(setbacks: int, settings: Settings) -> float:
    """The wait after that many setbacks in a row: doubling from ``backoff_minutes`` to its maximum.

    Raises ValueError if there was no setback.
    """
    if setbacks < 1:
        raise ValueError(f"setbacks = {setbacks}: a wait follows at least 1")
    # Capped before doubling, because 2.0 ** 2000 overflows; 11 doublings span the settings' ranges.
    doublings = min(setbacks - 1, 11)
    return min(settings.backoff_minutes * 2.0**doublings, settings.backoff_minutes_max)


def after_success(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """Counters start anew and the workload rests. An open breaker stays: it is reset by hand."""
    return SwitchHealth(breaker_open=health.breaker_open, cooldown_until=_rest_until(now, settings))


def after_failure(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """A switch failed after launch: counts towards the breaker and the back-off."""
    failures = health.failures_in_row + 1
    return replace(
        after_refusal(health, now, settings),
        failures_in_row=failures,
        breaker_open=health.breaker_open or failures >= settings.breaker_failures,
    )


def after_refusal(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """Nothing was launched (no capacity, or refused): a back-off, no failure for the breaker."""
    setbacks = health.setbacks_in_row + 1
    wait = timedelta(minutes=next_backoff_minutes(setbacks, settings))
    return replace(
        health,
        setbacks_in_row=setbacks,
        cooldown_until=_rest_until(now, settings),
        backoff_until=now + wait,
    )


def after_reset(health: SwitchHealth) -> SwitchHealth:
    """The user closed the breaker: counters and back-off start anew, a cooldown runs out."""
    return SwitchHealth(cooldown_until=health.cooldown_until)


def after_failure_in_stack(
    health: StackHealth, workload_id: str, now: datetime, settings: Settings
) -> StackHealth:
    """The stack after a failed switch of a workload; too many different ones open its breaker."""
    recent = {w: at for w, at in health.failed_at.items() if now - at < STACK_WINDOW}
    recent[workload_id] = now
    too_many = len(recent) >= settings.stack_breaker_workloads
    return StackHealth(recent, health.breaker_open or too_many)


def _rest_until(now: datetime, settings: Settings) -> datetime:
    return now + timedelta(minutes=settings.cooldown_minutes)
