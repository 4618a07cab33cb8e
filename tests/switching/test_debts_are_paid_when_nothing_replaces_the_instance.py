"""When a debt is due, and what is said about it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.contracts.switch import StandingLoadBalancing, StandingRegistration
from spot_optimizer.switching.debts import (
    TRY_AGAIN_AFTER_MAX,
    Debt,
    owed_in_words,
    payments,
)
from spot_optimizer.switching.reconcile import Action

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)

DEBTS = st.builds(
    Debt,
    workload_id=st.sampled_from(["web", "db"]),
    switch_id=st.just("web-1"),
    original_id=st.just("i-1"),
    instance_id=st.just("i-2"),
    is_managed=st.booleans(),
    is_gone=st.booleans(),
    is_claimed=st.booleans(),
    tries=st.integers(0, 5_000),
    tried_at=st.none() | st.integers(0, 10_000).map(lambda m: NOW - timedelta(minutes=m)),
)


@given(DEBTS, st.booleans())
def test_debt_is_due_only_to_an_instance_that_nothing_replaces(debt: Debt, ends: bool) -> None:
    """It runs unclaimed and uninterrupted, and is managed; a workload that is gone is owed nothing."""
    found = payments([debt], {debt.workload_id} if ends else set(), NOW)
    if debt.is_gone:
        assert [each.action for each in found] == [Action.FORGET]
    elif debt.is_claimed or ends or not debt.is_managed:
        assert found == []
    else:
        waited = debt.tried_at is None or NOW - debt.tried_at >= TRY_AGAIN_AFTER_MAX
        assert [each.action for each in found] == [Action.PAY] or not waited


@given(st.integers(0, 5_000))
def test_tries_come_less_and_less_often_but_at_least_hourly(tries: int) -> None:
    """The wait doubles from two minutes and ends at an hour, however many tries there were."""
    waits = [
        next(minutes for minutes in range(61) if payments([_debt(tried, minutes)], set(), NOW))
        for tried in (tries, tries + 1)
    ]
    assert waits[1] == min(2 * waits[0], 60)


def _debt(tries: int, minutes_ago: int) -> Debt:
    tried_at = NOW - timedelta(minutes=minutes_ago)
    return Debt("web", "web-1", "i-1", "i-2", True, False, False, tries, tried_at)


def test_owed_things_have_the_names_of_the_console() -> None:
    """Each target group and port once, and each address."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/1"
    registration = StandingRegistration(target_group_arn=arn, port=80, position=0, in_use=True)
    owed = StandingLoadBalancing(
        instance_id="i-0123456789abcdef0",
        addresses=("10.0.0.1",),
        registrations=(registration, registration.model_copy(update={"position": 1})),
        allocation_ids=("eipalloc-1",),
    )
    assert owed_in_words(owed) == f"{arn} port 80; Elastic IP address eipalloc-1"
    assert owed_in_words(None).startswith("what the original has")
