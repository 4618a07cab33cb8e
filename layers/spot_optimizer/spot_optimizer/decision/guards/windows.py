"""Maintenance windows: when planned switches may start."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GRAMMAR = (
    "days and times such as 'sat 02:00-06:00' or 'mon-fri 22:00-04:00, sun 00:00-24:00', "
    "with a time zone such as Europe/Berlin at the end (UTC without one)"
)
_DAY_MINUTES = 24 * 60
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
    begins. A change to or from daylight saving time makes it an hour shorter or longer."""

    days: frozenset[int]
    """0 is Monday."""
    begins_minute: int
    """Of the local day."""
    ends_minute: int
    """Of the local day; of the next day if it is not after ``begins_minute``."""
    time_zone: str = "UTC"

    def span_on(self, day: date) -> tuple[datetime, datetime]:
        """Start and end, UTC, of the window that begins on this local day."""
        over_midnight = self.ends_minute <= self.begins_minute
        length_days = 1 if over_midnight else 0
        return self._at(day, self.begins_minute), self._at(
            day + timedelta(days=length_days), self.ends_minute
        )

    def _at(self, day: date, minute: int) -> datetime:
        whole_days, rest = divmod(minute, _DAY_MINUTES)
        local = datetime.combine(day + timedelta(days=whole_days), time(rest // 60, rest % 60))
        return local.replace(tzinfo=ZoneInfo(self.time_zone)).astimezone(UTC)


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

    The search covers the week around ``now``, which contains every window of every time zone.
    """
    spans = [
        window.span_on(now.date() + timedelta(days=offset))
        for window in windows
        for offset in range(-2, 10)
        if (now.date() + timedelta(days=offset)).weekday() in window.days
    ]
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
