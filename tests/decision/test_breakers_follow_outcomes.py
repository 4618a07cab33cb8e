"""What the outcome of a switch does to cooldown, back-off and breakers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spot_optimizer.decision.breakers import (
    StackHealth,
    SwitchHealth,
    after_failure,
    after_failure_in_stack,
    after_refusal,
    after_reset,
    after_success,
    next_backoff_minutes,
)
from spot_optimizer.settings import Settings
from tests.decision.worlds import NOW

S = Settings()


def test_the_back_off_doubles_from_15_minutes_to_6_hours() -> None:
    """15, 30, 60, 120, 240, then 360 for ever."""
    waits = [next_backoff_minutes(n, S) for n in (1, 2, 3, 4, 5, 6, 7, 5000)]
    assert waits == [15, 30, 60, 120, 240, 360, 360, 360]


def test_even_the_shortest_back_off_reaches_its_maximum() -> None:
    """One minute doubles eleven times before the cap of a day is met."""
    short = replace(S, backoff_minutes=1.0, backoff_minutes_max=1440.0)
    assert next_backoff_minutes(50, short) == 1440


def test_no_setback_has_no_wait() -> None:
    """Asking for one is an error that names the value."""
    with pytest.raises(ValueError, match="setbacks = 0"):
        next_backoff_minutes(0, S)


def test_three_failures_in_a_row_open_the_breaker() -> None:
    """The third does, the second does not; each doubles the wait."""
    health = SwitchHealth()
    for count, is_open, wait in ((1, False, 15), (2, False, 30), (3, True, 60)):
        health = after_failure(health, NOW, S)
        assert (health.failures_in_row, health.breaker_open) == (count, is_open)
        assert health.backoff_until == NOW + timedelta(minutes=wait)
        assert health.cooldown_until == NOW + timedelta(minutes=10)


def test_refusals_before_launch_are_no_failures() -> None:
    """Lack of capacity waits longer and longer but never opens the breaker."""
    health = SwitchHealth()
    for _ in range(20):
        health = after_refusal(health, NOW, S)
    assert (health.failures_in_row, health.breaker_open) == (0, False)
    assert health.backoff_until == NOW + timedelta(hours=6)


def test_a_refusal_neither_counts_nor_forgives() -> None:
    """Two failures with a refusal between them are still two in a row."""
    health = after_failure(after_refusal(after_failure(SwitchHealth(), NOW, S), NOW, S), NOW, S)
    assert (health.failures_in_row, health.setbacks_in_row) == (2, 3)


def test_success_starts_anew_and_rests() -> None:
    """Counters are gone, the cooldown runs."""
    health = after_success(after_failure(SwitchHealth(), NOW, S), NOW, S)
    assert health == SwitchHealth(cooldown_until=NOW + timedelta(minutes=10))


def test_an_open_breaker_is_closed_by_hand_only() -> None:
    """No later outcome closes it; a reset does, and forgets the back-off."""
    tripped = SwitchHealth(3, 3, True, NOW, NOW + timedelta(hours=1))
    assert after_success(tripped, NOW, S).breaker_open
    assert after_refusal(tripped, NOW, S).breaker_open
    assert after_failure(SwitchHealth(breaker_open=True), NOW, S).breaker_open
    assert after_reset(tripped) == SwitchHealth(cooldown_until=NOW)


def _failures(*events: tuple[str, float]) -> StackHealth:
    health = StackHealth()
    for name, minutes in events:
        health = after_failure_in_stack(health, name, NOW + timedelta(minutes=minutes), S)
    return health


@pytest.mark.parametrize(
    ("events", "is_open"),
    [
        ((("a", 0), ("b", 20), ("c", 59.9)), True),
        ((("a", 0), ("b", 20), ("c", 60)), False),
        ((("a", 0), ("a", 1), ("a", 2), ("b", 3)), False),
        ((("a", 0), ("b", 20), ("a", 40), ("c", 70)), True),
    ],
)
def test_three_different_workloads_failing_within_an_hour_open_the_stacks_breaker(
    events: tuple[tuple[str, float], ...], is_open: bool
) -> None:
    """One that fails often counts once, at its last failure."""
    assert _failures(*events).breaker_open is is_open


def test_the_stacks_breaker_stays_open_after_the_hour() -> None:
    """It is reset by hand: a later single failure does not close it."""
    health = _failures(("a", 0), ("b", 1), ("c", 2), ("d", 300))
    assert health.breaker_open
    assert set(health.failed_at) == {"d"}
