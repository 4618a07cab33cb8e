"""How the outcome of a switch changes what guards the next one: cooldown, back-off, breakers.

State in, state out. aws/ledger/health.py says where the ledger keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from spot_optimizer.settings import Settings

STACK_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SwitchHealth:
    """Result of the last switches of one workload."""

    failures_in_row: int = 0
    """Failed switches since the last success; refused launches do not count."""
    setbacks_in_row: int = 0
    """Failed and refused ones since the last success; each doubles the back-off."""
    breaker_open: bool = False
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StackHealth:
    """Failures of the whole stack in the last hour."""

    failed_at: Mapping[str, datetime] = field(default_factory=dict)
    """Workload id -> time of its last failed switch."""
    breaker_open: bool = False


def next_backoff_minutes(setbacks: int, settings: Settings) -> float:
    """The back-off after ``setbacks`` in a row: doubles from ``backoff_minutes`` to its maximum.

    Raises ValueError if there was no setback.
    """
    if setbacks < 1:
        raise ValueError(f"setbacks = {setbacks}; allowed are 1 or more")
    # Capped before doubling, because 2.0 ** 2000 overflows; 11 doublings span the settings' ranges.
    doublings = min(setbacks - 1, 11)
    return min(settings.backoff_minutes * 2.0**doublings, settings.backoff_minutes_max)


def after_success(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """Counters and back-off are reset and a cooldown begins. An open breaker stays open until a user
    resets it."""
    cooldown_until = _cooldown_until(now, settings)
    return SwitchHealth(breaker_open=health.breaker_open, cooldown_until=cooldown_until)


def after_failure(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """A switch failed after launch: it counts for the breaker and the back-off."""
    failures = health.failures_in_row + 1
    return replace(
        after_refusal(health, now, settings),
        failures_in_row=failures,
        breaker_open=health.breaker_open or failures >= settings.breaker_failures,
    )


def after_refusal(health: SwitchHealth, now: datetime, settings: Settings) -> SwitchHealth:
    """Nothing was launched (no capacity, or refused): it counts for the back-off only."""
    setbacks = health.setbacks_in_row + 1
    wait = timedelta(minutes=next_backoff_minutes(setbacks, settings))
    return replace(
        health,
        setbacks_in_row=setbacks,
        cooldown_until=_cooldown_until(now, settings),
        backoff_until=now + wait,
    )


def after_reset(health: SwitchHealth) -> SwitchHealth:
    """A user closed the breaker: counters and back-off are reset, a running cooldown goes on."""
    return SwitchHealth(cooldown_until=health.cooldown_until)


def after_failure_in_stack(
    health: StackHealth, workload_id: str, now: datetime, settings: Settings
) -> StackHealth:
    """The stack after a failed switch. Failures of too many different workloads open its breaker."""
    recent = {w: at for w, at in health.failed_at.items() if now - at < STACK_WINDOW}
    recent[workload_id] = now
    too_many = len(recent) >= settings.stack_breaker_workloads
    return StackHealth(recent, health.breaker_open or too_many)


def after_reset_of_stack() -> StackHealth:
    """A user closed the stack's breaker: past failures no longer count."""
    return StackHealth()


def _cooldown_until(now: datetime, settings: Settings) -> datetime:
    return now + timedelta(minutes=settings.cooldown_minutes)
