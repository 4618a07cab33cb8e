"""Schedules fire at the times of their expressions, in order, and only while enabled."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.account import EmbeddedAccount
from simulator.account.schedules import ScheduleError, parse_schedule

START = datetime(2025, 3, 1, tzinfo=UTC)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


def test_each_schedule_fires_at_its_own_times_with_its_own_input(
    account: EmbeddedAccount,
) -> None:
    """A rate first fires one period after the deployment; time stands still in the handler."""
    start = account.clock.now()
    account.run_until(start + timedelta(hours=1))
    fired = [(entry.event["asked"], entry.time - start) for entry in account.trace]
    every_five = [("schedule", timedelta(minutes=5 * n)) for n in range(1, 13)]
    assert sorted(fired) == sorted([*every_five, ("hourly", timedelta(minutes=30))])
    assert [time for _, time in fired] == sorted(time for _, time in fired)
    assert all(entry.result["at"] == entry.time.isoformat() for entry in account.trace)
    # At half past both are due: they go by the names of the schedules.
    names = sorted(
        (account.stack.physical_ids[key], asked)
        for key, asked in (("GreetEveryFiveMinutes", "schedule"), ("GreetHourly", "hourly"))
    )
    together = [asked for asked, time in fired if time == timedelta(minutes=30)]
    assert together == [asked for _, asked in names]


def test_day_in_one_step_fires_as_often_as_a_day_in_many(account: EmbeddedAccount) -> None:
    """How the driver cuts time changes nothing."""
    start = account.clock.now()
    for minutes in (1, 4, 5, 7, 60, 1440 - 77):
        account.run_for(timedelta(minutes=minutes))
    assert account.clock.now() == start + timedelta(days=1)
    counts = Counter(entry.event["asked"] for entry in account.trace)
    assert counts == {"schedule": 288, "hourly": 24}


def test_disabled_schedule_does_not_fire(account: EmbeddedAccount) -> None:
    """Disabled and enabled again it keeps its rhythm."""
    events = boto3.client("events")
    rule = account.stack.physical_ids["GreetEveryFiveMinutes"]
    account.run_for(timedelta(minutes=6))
    events.disable_rule(Name=rule)
    account.run_for(timedelta(minutes=6))
    events.enable_rule(Name=rule)
    account.run_for(timedelta(minutes=6))
    start = account.trace[0].time - timedelta(minutes=5)
    assert [entry.time - start for entry in account.trace] == [
        timedelta(minutes=5),
        timedelta(minutes=15),
    ]


def test_one_time_schedule_made_by_a_client_fires_once(account: EmbeddedAccount) -> None:
    """at(...) in its own time zone."""
    listener = next(item for item in account.stack.functions if item.logical_id == "Listen")
    boto3.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2025-03-01T01:10:00)",
        ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": listener.arn, "RoleArn": listener.role_arn, "Input": '{"once": 1}'},
    )
    account.run_for(timedelta(days=1))
    once = [entry.time for entry in account.trace if entry.function == "Listen"]
    assert once == [datetime(2025, 3, 1, 0, 10, tzinfo=UTC)]


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(1.5 hours)",
        "rate(5 seconds)",
        "rate(5minutes)",
        "cron(0 12 * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 12 * * ? *)",
        "cron(0 12 L * ? *)",
        "every(5 minutes)",
    ],
)
def test_event_that_eventbridge_refuses_is_refused(expression: str) -> None:
    """The error shows the expression."""
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(expression)
    assert repr(expression) in str(refused.value)


@given(moments, moments, st.integers(1, 1440))
def test_rate_fires_every_period_counted_from_its_beginning(
    since: datetime, after: datetime, minutes: int
) -> None:
    """The next firing is the first multiple of the period that lies after now."""
    since, after = min(since, after), max(since, after)
    period = timedelta(minutes=minutes)
    unit = "minute" if minutes == 1 else "minutes"
    when = parse_schedule(f"rate({minutes} {unit})")(since, after)
    assert when is not None
    assert after < when <= after + period
    assert (when - since) % period == timedelta(0)


CRONS: dict[str, Callable[[datetime], bool]] = {
    "cron(0/15 8-17 ? * MON-FRI *)": lambda t: (
        t.minute % 15 == 0 and 8 <= t.hour <= 17 and t.weekday() < 5
    ),
    "cron(5,35 0/6 1,15 * ? *)": lambda t: (
        t.minute in (5, 35) and t.hour % 6 == 0 and t.day in (1, 15)
    ),
    "cron(0 0 ? 2,JUN 1 2024-2026)": lambda t: (
        (t.minute, t.hour) == (0, 0) and t.month in (2, 6) and t.weekday() == 6 and t.year < 2027
    ),
    "cron(* * * * ? *)": lambda _: True,
}


@given(moments, st.sampled_from(sorted(CRONS)))
def test_cron_fires_at_the_first_minute_that_its_fields_allow(
    after: datetime, expression: str
) -> None:
    """Between now and the next firing no minute fits; the firing itself does."""
    fits = CRONS[expression]
    when = parse_schedule(expression)(START, after)
    minute = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    limit = minute + timedelta(days=3)
    while minute < limit and not fits(minute):
        minute += timedelta(minutes=1)
    if minute < limit:
        assert when == minute
    else:
        assert when is None or (when >= limit and fits(when))


def test_cron_is_read_in_its_time_zone_across_the_change_of_clocks() -> None:
    """Noon in Berlin is 11:00 UTC in winter and 10:00 UTC in summer."""
    noon = parse_schedule("cron(0 12 * * ? *)", ZoneInfo("Europe/Berlin"))
    winter, summer = (noon(START, datetime(2025, 3, day, 0, tzinfo=UTC)) for day in (29, 30))
    assert winter is not None
    assert winter.hour == 11
    assert summer is not None
    assert summer.hour == 10
