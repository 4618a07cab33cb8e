"""Axes have round times, and no label is drawn outside of its frame or over another."""

import itertools
import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cli.html_report.markup import joined, tag
from cli.html_report.scales import LEFT, RIGHT, TimeScale, ValueScale, line_names, steps
from simulator.record import PriceChange

STARTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
SPANS = st.timedeltas(timedelta(minutes=30), timedelta(days=90))
PRICES = st.floats(0.0001, 100)


@given(STARTS, SPANS)
def test_a_time_axis_names_a_few_round_times_within_its_span(
    start: datetime, span: timedelta
) -> None:
    """Between two and fourteen of them, ascending."""
    scale = TimeScale(start, start + span)
    times = [at for at, _ in scale.ticks()]
    assert 2 <= len(times) <= 14
    assert times == sorted(times)
    assert start <= times[0]
    assert times[-1] <= start + span
    assert all(at.second == 0 and at.minute % 5 == 0 for at in times)


@given(STARTS, SPANS, st.lists(st.tuples(SPANS, PRICES), min_size=1, max_size=9), PRICES)
def test_a_price_line_holds_its_price_and_stays_within_the_frame(
    start: datetime, span: timedelta, changes: list[tuple[timedelta, float]], largest: float
) -> None:
    """Every piece is level or upright, whatever the price and the time."""
    time, usd = TimeScale(start, start + span), ValueScale(largest, 20, 120)
    ordered = [PriceChange(start + after, price) for after, price in sorted(changes)]
    points = steps(ordered, start + span, time, usd.y)
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        assert x == next_x or y == next_y
    assert all(LEFT <= x <= RIGHT and 20 <= y <= 120 for x, y in points)


@given(st.lists(st.tuples(st.floats(0, 200), st.just("name"), st.just("")), max_size=9))
def test_names_of_lines_do_not_overlap(names: list[tuple[float, str, str]]) -> None:
    """They lie a line's height apart."""
    heights = [float(y) for y in re.findall(r' y="([\d.]+)"', line_names(names))]
    assert len(heights) == len(names)
    assert all(low + 12.8 <= high for low, high in itertools.pairwise(heights))


@given(st.text(), st.text())
def test_only_markup_is_markup(text: str, value: str) -> None:
    """No text and no attribute can open an element or end a quotation."""
    drawn = tag("p", text, title=value)
    assert drawn.count("<") == drawn.count(">") == 2
    assert drawn.count('"') == 2
    assert "<" not in joined(text)
