"""The other charts of a backtest's page: bill against interruptions, and one run as an example."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from backtest.policies.simple import ON_DEMAND, STAY
from backtest.results import Figures, Row
from backtest.runs import SEEING, Replayed
from cli.backtest_rows import kind_of, percent, telling
from cli.html_report.markup import Markup, hint, joined, path, svg, tag
from cli.html_report.scales import (
    LEFT,
    RIGHT,
    WIDTH,
    TimeScale,
    ValueScale,
    line_names,
    round_step,
    shortened,
    steps,
)
from cli.html_report.shapes import mark
from simulator.record import PriceChange

_TOP, _BOTTOM = 18.0, 300.0
_NEAR = 7.0
"""Points within this distance share a name."""
_NAME_LETTERS, _BOLD_NAME_LETTERS = 24, 21
_ON_TOP = ("future", "simple", "engine")
_STYLES = {ON_DEMAND: "on-demand", STAY: "still", SEEING: "future"}


def front(rows: Sequence[Row]) -> Markup:
    """Bill against interruptions: no point is below and left of the front."""
    shown = [row for row in rows if row.policy != ON_DEMAND]
    largest = max(*(row.interruptions_expected for row in shown), 1e-3) * 1.08
    cost = ValueScale(100 * 1.1 * max(1 + row.against_on_demand for row in shown), _TOP, _BOTTOM)
    points = [
        (
            LEFT + (RIGHT - LEFT) * row.interruptions_expected / largest,
            cost.y(100 * (1 + row.against_on_demand)),
            row,
        )
        # Those that could be switched on are drawn last, on top.
        for row in sorted(shown, key=lambda row: _ON_TOP.index(kind_of(row)))
    ]
    return svg(
        WIDTH,
        _BOTTOM + 44,
        "Bill against interruptions of each policy",
        _interruption_axis(largest),
        cost.axis(0),
        tag("text", "% of on-demand", class_="tick", x=LEFT - 8, y=_TOP - 6, text_anchor="end"),
        *(_point(x, y, row) for x, y, row in points),
        *_point_names(points),
    )


def _interruption_axis(largest: float) -> Markup:
    step = round_step(largest, 8)
    parts = []
    for count in range(int(largest / step) + 1):
        x = LEFT + (RIGHT - LEFT) * count * step / largest
        name = f"{count * step:g}"
        parts.append(tag("line", class_="grid", x1=x, x2=x, y1=_TOP, y2=_BOTTOM))
        parts.append(tag("text", name, class_="tick", x=x, y=_BOTTOM + 15, text_anchor="middle"))
    what, middle = "interruptions per run, by the pools' rates", (LEFT + RIGHT) / 2
    parts.append(tag("text", what, class_="tick", x=middle, y=_BOTTOM + 34, text_anchor="middle"))
    return joined(*parts)


def _point(x: float, y: float, row: Row) -> Markup:
    front_text = "\non the front" if row.on_front else ""
    said = (
        f"{row.policy}\n{row.interruptions_expected:.3f} interruptions per run,"
        f" {percent(1 + row.against_on_demand)} of on-demand{front_text}"
    )
    size = 7.0 if row.on_front else 5.0
    shape = f"M0 {-size}L{size} 0L0 {size}L{-size} 0Z" if row.on_front else ""
    if shape:
        place = f"translate({x:.1f} {y:.1f})"
        return tag(
            "path", hint(said), class_=f"dot hinted {kind_of(row)}", d=shape, transform=place
        )
    return tag("circle", hint(said), class_=f"dot hinted {kind_of(row)}", cx=x, cy=y, r=size)


def _point_names(points: Sequence[tuple[float, float, Row]]) -> Iterator[Markup]:
    """One name for points that lie together, right of the frame, with a line to them."""
    groups: list[tuple[float, float, list[str]]] = []
    for x, y, row in reversed(points):
        near = (g for g in groups if abs(g[0] - x) <= _NEAR and abs(g[1] - y) <= _NEAR)
        if group := next(near, None):
            group[2].append(row.policy)
        else:
            groups.append((x, y, [row.policy]))
    lowest = _TOP - 14.0
    for x, y, names in sorted(groups, key=lambda group: group[1]):
        lowest = max(y, lowest + 14.0)
        more = f" +{len(names) - 1}" if len(names) > 1 else ""
        name = shortened(names[0], _NAME_LETTERS - len(more)) + more
        yield tag(
            "path", class_="whisker leader", d=f"M{x + 8:.1f} {y:.1f}L{RIGHT + 6} {lowest:.1f}"
        )
        text = tag("text", name, hint("\n".join(names)), class_="name", x=RIGHT + 10, y=lowest + 4)
        yield tag("g", text, hint("\n".join(names)), class_="hinted")


def example(replayed: Replayed, figures: Figures) -> Markup:
    """What each hour of the first run costs by the policies that matter, and where they switch."""
    starts = replayed.starts[0]
    at = [datetime.fromtimestamp(starts.case.period.at_s(int(h)), UTC) for h in starts.steps[0]]
    time = TimeScale(at[0], at[-1])
    rows = [row for row in telling(figures.rows) if row.policy in replayed.example]
    lines: dict[bytes, list[Row]] = {}
    for row in rows:
        lines.setdefault(replayed.example[row.policy].place[0].tobytes(), []).append(row)
    prices = {
        key: starts.case.billed[starts.steps[0], replayed.example[same[0].policy].place[0]]
        for key, same in lines.items()
    }
    usd = ValueScale(1.08 * max(float(np.nanmax(each)) for each in prices.values()), _TOP, _BOTTOM)
    drawn: list[Markup] = []
    names: list[tuple[float, str, str]] = []
    for key, same in lines.items():
        style = _style(same[-1])
        changes = [PriceChange(t, float(p)) for t, p in zip(at, prices[key], strict=True)]
        drawn.append(path(steps(changes, at[-1], time, usd.y), class_=f"curve {style}"))
        for hour in np.flatnonzero(replayed.example[same[0].policy].left[0] >= 0).tolist():
            said = f"{at[hour]:%d %b %H:%M} switch\n" + "\n".join(row.policy for row in same)
            drawn.append(mark("done", time.x(at[hour]), usd.y(changes[hour].usd_per_hour), said))
        more = f" +{len(same) - 1}" if len(same) > 1 else ""
        name = shortened(same[0].policy, _BOLD_NAME_LETTERS - len(more)) + more
        names.append((usd.y(changes[-1].usd_per_hour), name, style))
    return svg(
        WIDTH,
        _BOTTOM + 26,
        "Price per hour of one run by policy",
        time.axis(_TOP, _BOTTOM),
        usd.axis(3 if usd.largest < 0.4 else 2),
        *drawn,
        line_names(names),
    )


def _style(row: Row) -> str:
    if row.policy in _STYLES:
        return _STYLES[row.policy]
    return "spot" if kind_of(row) == "engine" else "rule"
