"""Times that a user writes."""

from datetime import UTC, datetime

_NO_DATE = 1900
"""The year that the parser gives a time of day without a date."""


def moment_of(at: datetime | None, day: datetime) -> datetime | None:
    """A time in UTC; one without a date is of ``day``."""
    if at is None:
        return None
    if at.year == _NO_DATE:
        at = at.replace(year=day.year, month=day.month, day=day.day)
    return at.replace(tzinfo=UTC)
