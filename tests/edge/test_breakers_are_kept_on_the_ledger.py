"""The state of decision/breakers.py on the ledger: what is written is what is read again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.aws.ledger.health import (
    stack_health,
    stack_health_changes,
    switch_health,
    switch_health_changes,
)
from spot_optimizer.aws.ledger.items import StackItem, WorkloadItem
from spot_optimizer.decision.breakers import (
    StackHealth,
    SwitchHealth,
    after_failure,
    after_failure_in_stack,
    after_refusal,
    after_reset,
    after_reset_of_stack,
    after_success,
)
from spot_optimizer.settings import Settings

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=30)
SETTINGS = Settings()
TIMES = st.none() | st.sampled_from((EARLIER, NOW + timedelta(minutes=5)))
WORKLOADS = st.builds(
    WorkloadItem,
    workload_id=st.just("web"),
    instance_id=st.just("i-1"),
    failures=st.integers(0, 4),
    backoffs=st.integers(0, 4),
    backoff_until=TIMES,
    cooldown_until=TIMES,
    breaker_open_since=TIMES,
)


def _states_after(health: SwitchHealth) -> tuple[SwitchHealth, ...]:
    return (
        after_success(health, NOW, SETTINGS),
        after_failure(health, NOW, SETTINGS),
        after_refusal(health, NOW, SETTINGS),
        after_reset(health),
    )


@given(WORKLOADS)
def test_a_workloads_state_is_read_as_it_was_written(workload: WorkloadItem) -> None:
    """After each event the item holds exactly the state that the pure function returned."""
    for after in _states_after(switch_health(workload)):
        changes = switch_health_changes(workload, after, NOW)
        assert switch_health(workload.model_copy(update=changes)) == after


@given(WORKLOADS)
def test_an_open_breaker_keeps_the_time_when_it_opened(workload: WorkloadItem) -> None:
    """Only a breaker that opens or closes is written."""
    for after in _states_after(switch_health(workload)):
        changes = switch_health_changes(workload, after, NOW)
        was_open = workload.breaker_open_since is not None
        assert ("breaker_open_since" in changes) == (after.breaker_open != was_open)


@given(st.lists(st.sampled_from(("a", "b", "c", "d")), max_size=6))
def test_the_stacks_state_is_read_as_it_was_written(failing: list[str]) -> None:
    """Failures of several workloads and a reset pass through the item unchanged."""
    stack = StackItem()
    for workload_id in failing:
        after = after_failure_in_stack(stack_health(stack), workload_id, NOW, SETTINGS)
        changes = stack_health_changes(stack, after, NOW)
        stack = StackItem.read({**stack.model_dump(), **changes})
        assert stack_health(stack) == after
    reset = stack_health_changes(stack, after_reset_of_stack(), NOW)
    assert stack_health(StackItem.read({**stack.model_dump(), **reset})) == StackHealth()
