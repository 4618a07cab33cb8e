"""Windows, not-before, switches per day and the way back to spot hold planned switches, and no others."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.guards.windows import (
    DAYS,
    InvalidWindow,
    Window,
    opens_at,
    parse_windows,
)
from spot_optimizer.decision.world import (
    Force,
    PastSwitch,
    WorkloadView,
    World,
)
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import ACTING, CATALOG, HERE, NOW, REGION, market, workload

THERE = Pool("m5.xlarge", "us-east-1b")
MARKET = market({HERE: 0.09, THERE: 0.03})
MONDAY = datetime(2025, 6, 2, tzinfo=UTC)
"""NOW is the Tuesday after it, 15:00 UTC."""


def _decide(view: WorkloadView, *, forced: bool = False) -> Decision:
    force = {"web-1": Force("ann")} if forced else {}
    (decision,) = decide(World((view,), MARKET, CATALOG, force=force), NOW, region=REGION)
    assert decision.kind is DecisionKind.SWITCH
    return decision


def _switches(
    *ages_h: float, to: Lifecycle = Lifecycle.SPOT, planned: bool = True
) -> tuple[PastSwitch, ...]:
    return tuple(PastSwitch(NOW - timedelta(hours=age), to, planned) for age in ages_h)


HOLDS: dict[str, dict[str, Any]] = {
    "maintenance window: planned switches wait until 2025-06-07T02:00:00Z": {
        "windows": parse_windows("sat 02:00-06:00")
    },
    "not-before: planned switches wait until 2025-07-01T00:00:00Z": {
        "not_before": datetime(2025, 7, 1, tzinfo=UTC)
    },
    "at most 4 planned switches in 24 hours until 2025-06-03T17:00:00Z": {
        "moves": _switches(22, 9, 5, 1)
    },
}


@pytest.mark.parametrize("text", HOLDS)
def test_a_planned_switch_is_held_until_its_time(text: str) -> None:
    """The hold says until when."""
    assert _decide(workload(**HOLDS[text])).held_by == text


@pytest.mark.parametrize("text", HOLDS)
def test_an_urgent_switch_never_waits_for_it(text: str) -> None:
    """A flagged pool is left at once, and so is what a user forces."""
    view = workload(**HOLDS[text])
    urgent = _decide(replace(view, signals={HERE: NOW}))
    assert (urgent.urgent, urgent.held_by) == (True, "")
    assert _decide(view, forced=True).held_by == ""


@pytest.mark.parametrize(
    "moves",
    [
        _switches(24, 9, 5, 1),
        _switches(9, 5, 1),
        _switches(9, 5, 1) + _switches(2, 3, planned=False),
    ],
    ids=["one is a day old", "three", "two were failovers"],
)
def test_the_switches_of_a_day_are_counted_exactly(moves: tuple[PastSwitch, ...]) -> None:
    """Four planned ones in the last 24 hours, and no other, use the day up."""
    assert _decide(workload(moves=moves)).held_by == ""


def test_a_workload_sets_its_own_number_of_switches() -> None:
    """One a day: the next may begin 24 hours after the last."""
    view = workload(settings=replace(ACTING, switches_per_day_max=1), moves=_switches(30, 4))
    assert _decide(view).held_by.endswith("until 2025-06-04T11:00:00Z")


@pytest.mark.parametrize(
    ("fallbacks_h", "until"),
    [
        ((0.2,), ""),
        ((25, 0.2), ""),
        ((1.1, 0.2), "2025-06-03T15:48:00Z"),
        ((3, 2, 0.2), "2025-06-03T16:48:00Z"),
        ((9, 8, 7, 6, 5, 0.2), "2025-06-03T20:48:00Z"),
        ((2, 1.1), ""),
    ],
)
def test_the_way_back_to_spot_gets_longer_with_every_fallback(
    fallbacks_h: tuple[float, ...], until: str
) -> None:
    """The first costs only the confirmation; from the second in a day on an hour, two, at most six."""
    view = workload(
        lifecycle=Lifecycle.ON_DEMAND, moves=_switches(*fallbacks_h, to=Lifecycle.ON_DEMAND)
    )
    held = _decide(view).held_by
    assert held.endswith(f"until {until}") if until else held == ""


def test_switches_on_spot_do_not_wait_for_the_way_back() -> None:
    """A workload that fell back and is on spot again switches as usual."""
    moves = _switches(3, 2, 1, to=Lifecycle.ON_DEMAND, planned=False)
    assert _decide(workload(moves=moves)).held_by == ""


@pytest.mark.parametrize(
    ("text", "days", "begins", "ends", "zone"),
    [
        ("sat 02:00-06:00", {5}, 120, 360, "UTC"),
        ("mon-fri 22:00-04:00 Europe/Berlin", {0, 1, 2, 3, 4}, 1320, 240, "Europe/Berlin"),
        ("fri-mon 0:00 - 24:00", {4, 5, 6, 0}, 0, 1440, "UTC"),
        ("  9:30-10:00   America/New_York ", set(range(7)), 570, 600, "America/New_York"),
        ("SUN 02:00-06:00 UTC", {6}, 120, 360, "UTC"),
    ],
)
def test_a_window_is_read(text: str, days: set[int], begins: int, ends: int, zone: str) -> None:
    """Days or none for all, times, a time zone or UTC."""
    assert parse_windows(text) == (Window(frozenset(days), begins, ends, zone),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not a window"),
        ("sat", "'sat' is not a window"),
        ("sat 2-6", "is not a window"),
        ("sat 02:00-06:00,", "'' is not a window"),
        ("sat 02:00-06:00, son 01:00-02:00", "'son' is no day"),
        ("sat 02:00-25:00", "'25:00' is no time"),
        ("sat 02:60-03:00", "'02:60' is no time"),
        ("sat 06:00-06:00", "has no length"),
        ("sat 24:00-02:00", "begins at 24:00"),
        ("sat 02:00-06:00 Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("sat 02:00-06:00 Europe", "'Europe' is no time zone"),
    ],
)
def test_a_window_that_cannot_be_read_is_refused(text: str, problem: str) -> None:
    """With the part that is wrong and what is allowed."""
    with pytest.raises(InvalidWindow, match=problem) as refused:
        parse_windows(text)
    assert str(refused.value)


@given(st.text(max_size=30))
def test_any_text_is_a_window_or_refused(text: str) -> None:
    """Nothing else is raised."""
    with suppress(InvalidWindow):
        assert parse_windows(text)


ZONES = sorted(
    zone
    for zone in available_timezones()
    if "/" in zone and not zone.startswith(("posix/", "right/", "SystemV/"))
)
_WEEK = timedelta(days=7)


@st.composite
def _instants(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a time in it: any, or within four hours of a change of its clock."""
    zone = draw(st.sampled_from(ZONES))
    now = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 47 * 525_960)))
    clock, near = ZoneInfo(zone), draw(st.booleans())
    weeks = [now + week * _WEEK for week in range(30)] if near else []
    for before, after in pairwise(weeks):
        if before.astimezone(clock).utcoffset() != after.astimezone(clock).utcoffset():
            while after - before > timedelta(minutes=1):
                middle = before + (after - before) // 2
                changed = (
                    middle.astimezone(clock).utcoffset() != before.astimezone(clock).utcoffset()
                )
                before, after = (before, middle) if changed else (middle, after)
            return zone, after + timedelta(minutes=draw(st.integers(-240, 240)))
    return zone, now


def _clock_shows(window: Window, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(window.time_zone))
    at, today = local.hour * 60 + local.minute, local.weekday()
    if window.begins_minute < window.ends_minute:
        return today in window.days and window.begins_minute <= at < window.ends_minute
    return (today in window.days and at >= window.begins_minute) or (
        (today - 1) % 7 in window.days and at < window.ends_minute
    )


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    begins=st.integers(0, 1439),
    ends=st.integers(0, 1440),
    instant=_instants(),
)
def test_a_window_is_open_exactly_while_the_local_clock_shows_its_times(
    days: frozenset[int], begins: int, ends: int, instant: tuple[str, datetime]
) -> None:
    """In every zone and year, over midnight, in the hour that is missing and in the one that comes twice.
    Where the window opens next, it is open, and a minute earlier it was not."""
    if begins == ends:
        return
    zone, now = instant
    window = Window(days, begins, ends, zone)
    opening = opens_at((window,), now)
    assert (opening is None) == _clock_shows(window, now)
    if opening is not None:
        assert now < opening <= now + timedelta(days=15)
        assert _clock_shows(window, opening)
        assert not _clock_shows(window, opening - timedelta(seconds=1))
        assert opens_at((window,), opening) is None


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("sun 02:00-03:00", []),
        ("sun 02:30-03:30", ["01:00-01:30"]),
        ("sun 01:30-02:30", ["00:30-01:00"]),
        ("sat 22:00-04:00", ["00:00-02:00"]),
    ],
)
def test_a_skipped_hour_is_in_no_window(text: str, spans: list[str]) -> None:
    """30 March 2025 in Berlin: 02:00 is followed by 03:00 (01:00 UTC)."""
    assert _spans(text, datetime(2025, 3, 30, tzinfo=UTC)) == spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("sun 02:00-03:00", ["00:00-02:00"]),
        ("sun 02:30-03:30", ["00:30-01:00", "01:30-02:30"]),
        ("sun 01:30-02:30", ["00:00-00:30", "01:00-01:30"]),
        ("sat 22:00-04:00", ["00:00-03:00"]),
    ],
)
def test_a_repeated_hour_is_in_a_window_twice(text: str, spans: list[str]) -> None:
    """26 October 2025 in Berlin: 02:59 is followed by 02:00 (01:00 UTC)."""
    assert _spans(text, datetime(2025, 10, 26, tzinfo=UTC)) == spans


def _spans(text: str, day: datetime) -> list[str]:
    """When the window in Berlin is open in the first ten hours of the day, UTC, as the guard sees it."""
    windows, spans, since = parse_windows(f"{text} Europe/Berlin"), [], ""
    for minute in range(600):
        at = day + timedelta(minutes=minute)
        is_open = opens_at(windows, at) is None
        if is_open and not since:
            since = f"{at:%H:%M}"
        elif not is_open and since:
            spans.append(f"{since}-{at:%H:%M}")
            since = ""
    return spans


def test_a_window_in_a_skipped_hour_waits_for_the_next_one() -> None:
    """Saturday 29 March 2025: the only window of the week is not there tomorrow."""
    windows = parse_windows("sun 02:00-03:00 Europe/Berlin")
    assert opens_at(windows, datetime(2025, 3, 29, tzinfo=UTC)) == datetime(2025, 4, 6, tzinfo=UTC)


def test_several_windows_add_up() -> None:
    """The hold names the next of them; without a window any time is open."""
    windows = parse_windows("wed 01:00-02:00, tue 22:00-23:00")
    assert opens_at(windows, NOW) == datetime(2025, 6, 3, 22, tzinfo=UTC)
    assert opens_at(windows, datetime(2025, 6, 4, 1, 30, tzinfo=UTC)) is None
    assert opens_at((), NOW) is None
    assert DAYS[MONDAY.weekday()] == "mon"
