"""Windows, not-before, switches per day and the way back to spot hold planned switches, and no others."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    begins=st.integers(0, 1439),
    ends=st.integers(0, 1440),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]),
    minute=st.integers(0, 400 * 1440),
)
def test_a_window_is_open_exactly_within_its_hours(
    days: frozenset[int], begins: int, ends: int, zone: str, minute: int
) -> None:
    """Against the local clock, every day of a year, over midnight and the change of the hour."""
    if begins == ends:
        return
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    local = now.astimezone(ZoneInfo(zone))
    at, today = local.hour * 60 + local.minute, local.weekday()
    if begins < ends:
        is_open = today in days and begins <= at < ends
    else:
        is_open = (today in days and at >= begins) or ((today - 1) % 7 in days and at < ends)
    # Between 01:00 and 03:00 of a night when the hour changes a local time is there twice or never.
    if local.utcoffset() != (local - timedelta(hours=3)).utcoffset() or (
        local.utcoffset() != (local + timedelta(hours=3)).utcoffset()
    ):
        return
    windows = (Window(days, begins, ends, zone),)
    opening = opens_at(windows, now)
    assert (opening is None) == is_open
    if opening is not None:
        assert now < opening <= now + timedelta(days=8)
        assert opens_at(windows, opening) is None


def test_several_windows_add_up() -> None:
    """The hold names the next of them; without a window any time is open."""
    windows = parse_windows("wed 01:00-02:00, tue 22:00-23:00")
    assert opens_at(windows, NOW) == datetime(2025, 6, 3, 22, tzinfo=UTC)
    assert opens_at(windows, datetime(2025, 6, 4, 1, 30, tzinfo=UTC)) is None
    assert opens_at((), NOW) is None
    assert DAYS[MONDAY.weekday()] == "mon"
