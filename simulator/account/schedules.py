"""Schedule expressions: ``rate(...)``, ``cron(...)``, ``at(...)``.

Sources: Amazon EventBridge User Guide, "Setting a schedule pattern for scheduled rules (legacy)";
Amazon EventBridge Scheduler User Guide, "Schedule types".
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

__all__ = ["Next", "ScheduleError", "parse_schedule"]

Next = Callable[[datetime, datetime], datetime | None]
"""``(since, after) -> when``: the first firing after ``after`` of a schedule begun ``since``."""

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_YEAR_MAX = 2199


class ScheduleError(ValueError):
    """A schedule expression that EventBridge refuses, or that is not supported here."""


@functools.lru_cache(maxsize=256)
def parse_schedule(expression: str, zone: tzinfo = UTC) -> Next:
    """The firing times of a schedule expression; ``cron`` and ``at`` are read in ``zone``.

    Raises:
        ScheduleError: naming the expression and what is allowed.
    """
    match = re.fullmatch(r"(rate|cron|at)\((.*)\)", expression)
    if match is None:
        raise ScheduleError(f"{expression!r} is not rate(...), cron(...) or at(...)")
    kind, body = match.groups()
    if kind == "rate":
        return _rate(expression, body)
    if kind == "at":
        return _at(expression, body, zone)
    return _Cron.parse(expression, body, zone).next


def _rate(expression: str, body: str) -> Next:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)(s?)", body)
    if match is None:
        raise ScheduleError(
            f"{expression!r}: a rate is a positive number of minutes, hours or days"
        )
    value, unit, plural = int(match[1]), match[2], bool(match[3])
    if plural != (value > 1):
        raise ScheduleError(f"{expression!r}: write {unit} for 1 and {unit}s for more")
    period = value * _UNITS[unit]

    def next_firing(since: datetime, after: datetime) -> datetime:
        return since + ((after - since) // period + 1) * period

    return next_firing


def _at(expression: str, body: str, zone: tzinfo) -> Next:
    try:
        when = datetime.strptime(body, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError as error:
        raise ScheduleError(f"{expression!r}: write at(yyyy-mm-ddThh:mm:ss)") from error
    return lambda _, after: when if after < when else None


@dataclass(frozen=True)
class _Cron:
    """The values that each field allows; ``None`` for a day field given as ``?``."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]
    zone: tzinfo

    @classmethod
    def parse(cls, expression: str, body: str, zone: tzinfo) -> "_Cron":
        fields = body.split()
        if len(fields) != 6:
            raise ScheduleError(
                f"{expression!r}: cron has six fields: minutes hours day month weekday year"
            )
        if (fields[2] == "?") == (fields[4] == "?"):
            raise ScheduleError(f"{expression!r}: exactly one of day and weekday must be ?")
        try:
            return cls(
                tuple(sorted(_values(fields[0], 0, 59))),
                tuple(sorted(_values(fields[1], 0, 23))),
                None if fields[2] == "?" else _values(fields[2], 1, 31),
                _values(fields[3], 1, 12, _MONTHS),
                None if fields[4] == "?" else _values(fields[4], 1, 7, _WEEKDAYS),
                _values(fields[5], 1970, _YEAR_MAX),
                zone,
            )
        except ValueError as error:
            raise ScheduleError(f"{expression!r}: {error}") from error

    def next(self, _: datetime, after: datetime) -> datetime | None:
        local = after.astimezone(self.zone)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0)
        while day.year <= _YEAR_MAX and day.year <= max(self.years):
            if self._allows(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        when = day.replace(hour=hour, minute=minute).astimezone(UTC)
                        if when > after:
                            return when
            day += timedelta(days=1)
        return None

    def _allows(self, day: datetime) -> bool:
        if day.month not in self.months or day.year not in self.years:
            return False
        if self.days is not None:
            return day.day in self.days
        assert self.weekdays is not None
        return day.isoweekday() % 7 + 1 in self.weekdays


def _values(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """The numbers a cron field stands for: ``*``, ``a``, ``a-b``, ``a,b``, ``x/step``."""
    allowed: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if last else (high if step else start)
        if not low <= start <= end <= high:
            raise ValueError(f"field {text!r} must lie within {low} to {high}")
        allowed.update(range(start, end + 1, int(step or 1)))
    return frozenset(allowed)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + low
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number; L, W and # are not supported here")
    return int(text)
