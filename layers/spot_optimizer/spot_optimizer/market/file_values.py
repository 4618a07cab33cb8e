"""Read a time or a price as people and tools write them."""

import re
from datetime import UTC, datetime

TIMES = "ISO 8601 such as 2026-02-10T20:07:04+00:00 (UTC without an offset), and epoch numbers"
"""What is read as a time, in words."""
PRICES = "USD per hour such as 0.0265 or $0.0265"
"""What is read as a price, in words."""

_EPOCH = re.compile(r"\d{9,19}(\.\d*)?")
_EPOCH_UNITS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))
"""From which number on an epoch time counts nanoseconds, microseconds, milliseconds."""
_UTC_WORD = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)
_USD = re.compile(
    r"(?:usd|us\$|\$)?\s*(\d*\.?\d+(?:e-?\d+)?)\s*(?:usd)?\s*(?:/\s*h(?:r|our)?|per hour|hourly)?"
)
_DECIMAL_COMMA = re.compile(r"0,\d+|\d+,(?:\d{1,2}|\d{4,})")
"""A comma that groups thousands is followed by three digits, and nothing is grouped after a 0."""


def read_time(text: str) -> tuple[int, bool] | None:
    """Epoch seconds, and whether the text says its offset; None if it is not a time.

    A time without an offset is taken as UTC, as AWS prints it.
    """
    try:
        try:
            moment = _iso(text)
        except ValueError:
            text = text.strip()
            if _EPOCH.fullmatch(text):
                whole = int(text.partition(".")[0])
                unit = next((unit for least, unit in _EPOCH_UNITS if whole >= least), 1)
                return whole // unit, True
            moment = _iso(_UTC_WORD.sub("Z", text))
        if moment.tzinfo is None:
            return int(moment.replace(tzinfo=UTC).timestamp() // 1), False
        return int(moment.timestamp() // 1), True
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> datetime:
    """ISO 8601 with hyphens: without them it could be an epoch number."""
    if text[4:5] != "-":
        raise ValueError(text)
    return datetime.fromisoformat(text)


def read_usd(text: str) -> float:
    """USD per hour; NaN if the text is not a number of them."""
    try:
        return float(text)
    except ValueError:
        pass
    text = text.strip()
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    match = _USD.fullmatch(text.lower())
    return float(match[1]) if match else float("nan")
