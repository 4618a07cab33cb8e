"""Maintenance windows: when planned switches may start.

A window is open while a clock on the wall of its time zone shows one of its times. When clocks are put
forward, the times that are skipped are in no window; when they are put back, the times that are shown
twice are in it twice. (RFC 5545, section 3.3.5, only says which instant one local time is. Both ends of a
window moved by that rule can meet or change places, as those of 02:30-03:30 do where 02:00 is followed
by 03:00.)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GRAMMAR = (
    "days and times such as 'sat 02:00-06:00' or 'mon-fri 22:00-04:00, sun 00:00-24:00', "
    "with a time zone such as Europe/Berlin at the end (UTC without one)"
)
_DAY_MINUTES = 24 * 60
_DAYS_AHEAD = 19
_ONE = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? +)?"
    r"(?P<from>\d\d?:\d\d) *- *(?P<until>\d\d?:\d\d)"
)
_ZONE = re.compile(r"^(?P<windows>.*?\d)\s+(?P<zone>[A-Za-z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+)*)$")


class InvalidWindow(ValueError):
    """A window that cannot be read; the text says which part and what is allowed."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of local time on some days of the week. A span over midnight belongs to the day on which it
    begins."""

    days: frozenset[int]
    """0 is Monday."""
    begins_minute: int
    """Of the local day."""
    ends_minute: int
    """Of the local day; of the next day if it is not after ``begins_minute``."""
    time_zone: str = "UTC"

    def spans_near(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Start and end, UTC, of the times at which the window is open.

        From two days before ``day`` (UTC) on for three weeks. A change of the clock splits the span in
        which it happens.
        """
        for since, until, offset in _offsets_near(self.time_zone, day):
            for number in range(-1, (until - since).days + 3):
                begins, ends = self._local_span((since + offset).date() + timedelta(days=number))
                begins_at, ends_at = max(begins - offset, since), min(ends - offset, until)
                if begins_at < ends_at:
                    yield begins_at, ends_at

    def _local_span(self, day: date) -> tuple[datetime, datetime]:
        """Start and end, as the clock shows them, of the span that begins on this local day. Empty if
        none does. Labeled UTC, because local times of one offset are as far apart as those in UTC."""
        midnight = datetime.combine(day, time(), tzinfo=UTC)
        if day.weekday() not in self.days:
            return midnight, midnight
        over_midnight = self.ends_minute <= self.begins_minute
        ends_minute = self.ends_minute + (_DAY_MINUTES if over_midnight else 0)
        return (
            midnight + timedelta(minutes=self.begins_minute),
            midnight + timedelta(minutes=ends_minute),
        )


@lru_cache(maxsize=256)
def _offsets_near(zone: str, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Spans of UTC around ``day`` with the offset of local time that counts in each, in order."""
    clock = ZoneInfo(zone)
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    days = [midnight + timedelta(days=number) for number in range(-2, _DAYS_AHEAD + 1)]
    changes = [
        _change_between(clock, *pair)
        for pair in pairwise(days)
        if _offset(clock, pair[0]) != _offset(clock, pair[1])
    ]
    edges = (days[0], *changes, days[-1])
    return tuple((since, until, _offset(clock, since)) for since, until in pairwise(edges))


def _change_between(clock: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant from which on the offset of ``after`` counts: all zones change at whole seconds."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(clock, middle) == _offset(clock, before):
            before = middle
        else:
            after = middle
    return after


def _offset(clock: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(clock).utcoffset() or timedelta()


def parse_windows(text: str) -> tuple[Window, ...]:
    """Windows from a tag such as ``mon-fri 22:00-04:00, sun 00:00-24:00 Europe/Berlin``.

    Raises InvalidWindow naming the part that cannot be read.
    """
    text = text.strip()
    zone, found = "UTC", _ZONE.match(text)
    if found:
        text, zone = found["windows"], found["zone"]
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        raise InvalidWindow(f"'{zone}' is no time zone; allowed are {GRAMMAR}") from None
    return tuple(_window(part.strip().lower(), zone) for part in text.split(","))


def opens_at(windows: tuple[Window, ...], now: datetime) -> datetime | None:
    """When planned switches may start next, UTC; None if they may now or there is no window.

    The search covers three weeks: a window may be skipped by a change of the clock, or by a zone that
    leaves out a day (Pacific/Apia had no 30 December 2011).
    """
    day = now.astimezone(UTC).date()
    spans = [span for window in windows for span in window.spans_near(day)]
    if not spans or any(begins <= now < ends for begins, ends in spans):
        return None
    return min(begins for begins, _ in spans if begins > now)


def _window(part: str, zone: str) -> Window:
    found = _ONE.fullmatch(part)
    if found is None:
        raise InvalidWindow(f"'{part}' is not a window; allowed are {GRAMMAR}")
    begins, ends = _minute(found["from"]), _minute(found["until"])
    if begins >= _DAY_MINUTES or begins == ends:
        raise InvalidWindow(
            f"'{part}' has no length or begins at 24:00; a whole day is 00:00-24:00"
        )
    return Window(_days(found["first"], found["last"]), begins, ends, zone)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for name in (first, last or first):
        if name not in DAYS:
            raise InvalidWindow(f"'{name}' is no day; allowed are {', '.join(DAYS)}")
    begin = DAYS.index(first)
    length = (DAYS.index(last or first) - begin) % 7 + 1
    return frozenset((begin + offset) % 7 for offset in range(length))


def _minute(text: str) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour * 60 + minute > _DAY_MINUTES:
        raise InvalidWindow(f"'{text}' is no time; allowed are 00:00 to 24:00")
    return hour * 60 + minute
