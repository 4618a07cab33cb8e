"""Times and prices as positions on a drawing, and their axes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.html_report.markup import Markup, joined, tag
from simulator.record import PriceChange

WIDTH = 1160.0
LEFT = 128.0
RIGHT = 1000.0
"""The time axes of all drawings lie between these, so that they can be read one under the other."""

_STEPS = [
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14)),
]
_TICKS_MAX = 13
_LABEL_GAP = 13.0


@dataclass(frozen=True)
class TimeScale:
    """Time from left to right."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Position of a time; times outside lie on the edge."""
        share = (at - self.start) / (self.end - self.start)
        return LEFT + (RIGHT - LEFT) * min(max(share, 0.0), 1.0)

    def ticks(self) -> Iterator[tuple[datetime, str]]:
        """Round times with their names."""
        span = self.end - self.start
        step = next((s for s in _STEPS if span / s <= _TICKS_MAX), _STEPS[-1])
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + math.ceil((self.start - midnight) / step) * step
        while at <= self.end:
            is_day = at.hour == at.minute == 0
            yield at, f"{at.day} {at:%b}" if is_day else f"{at:%H:%M}"
            at += step

    def axis(self, top: float, bottom: float) -> Markup:
        """Grid lines from top to bottom with their names below."""
        parts = []
        for at, name in self.ticks():
            x = self.x(at)
            parts.append(tag("line", class_="grid", x1=x, x2=x, y1=top, y2=bottom))
            parts.append(tag("text", name, class_="tick", x=x, y=bottom + 15, text_anchor="middle"))
        return joined(*parts)


@dataclass(frozen=True)
class ValueScale:
    """USD from the bottom up, beginning at 0."""

    largest: float
    top: float
    bottom: float

    def y(self, value: float) -> float:
        """Position of a value; larger values lie on the edge."""
        return self.bottom - (self.bottom - self.top) * min(value / self.largest, 1.0)

    def axis(self, decimals: int) -> Markup:
        """Grid lines with their values on the left."""
        step = round_step(self.largest, 4)
        parts = []
        for count in range(int(self.largest / step) + 1):
            y, text = self.y(count * step), f"{count * step:.{decimals}f}"
            parts.append(tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y))
            parts.append(tag("text", text, class_="tick", x=LEFT - 8, y=y + 4, text_anchor="end"))
        return joined(*parts)


def round_step(largest: float, count: int) -> float:
    """1, 2, 5 or 10 times a power of ten, of which at most ``count`` fit below the largest value."""
    rough = largest / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * f for f in (1, 2, 5, 10) if power * f >= rough)


def steps(
    changes: Sequence[PriceChange],
    end: datetime,
    time: TimeScale,
    place: Callable[[float], float],
) -> list[tuple[float, float]]:
    """The line of a price, which holds until the next one; ``place`` is the height of a price."""
    points: list[tuple[float, float]] = []
    for change in changes:
        x, y = time.x(change.at), place(change.usd_per_hour)
        if points:
            points.append((x, points[-1][1]))
        points.append((x, y))
    return [*points, (time.x(end), points[-1][1])] if points else []


def line_names(names: list[tuple[float, str, str]]) -> Markup:
    """Names at the right end of lines: (y, name, class), pushed apart where they would overlap."""
    parts = []
    lowest = -math.inf
    for y, name, style in sorted(names):
        lowest = max(y + 4, lowest + _LABEL_GAP)
        parts.append(tag("text", name, class_=f"name {style}", x=RIGHT + 8, y=lowest))
    return joined(*parts)


def fitting(texts: list[str], width: float) -> str:
    """The first of the texts that fits the width, or nothing."""
    return next((text for text in texts if len(text) * 6.4 + 10 <= width), "")


def shortened(text: str, letters: int) -> str:
    """A text, cut with an ellipsis if it is longer."""
    return text if len(text) <= letters else text[: letters - 1] + "…"
