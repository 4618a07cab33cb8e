"""The bars of a backtest's page: what each policy costs, and how far it is from the optimum."""

import math
from collections.abc import Callable, Iterator, Sequence

from backtest.results import Row
from backtest.runs import SEEING
from cli.backtest_rows import kind_of, percent
from cli.html_report.markup import Markup, hint, joined, svg, tag
from cli.html_report.scales import WIDTH, round_step

_LEFT, _RIGHT = 300.0, 930.0
_TOP, _ROW, _BAR = 8.0, 26.0, 15.0
_LEAST = 1e-4
"""0.01 %: what lies below is drawn at the left edge of the logarithmic axis."""

Place = Callable[[float], float]


def cost_bars(rows: Sequence[Row]) -> Markup:
    """Cost in percent of on-demand, with its interval and its value."""
    largest = max(max(1 + r.against_on_demand, 1 + _finite(r)[1]) for r in rows)
    step = round_step(largest, 6)

    def x(share: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(max(share / largest, 0.0), 1.0)

    ticks = [(count * step, percent(count * step, 0)) for count in range(int(largest / step) + 1)]
    bars = (_cost(row, number, x) for number, row in enumerate(rows))
    return _drawing("Cost of each policy in percent of on-demand", rows, ticks, x, bars)


def _finite(row: Row) -> tuple[float, float]:
    low, high = row.against_on_demand_90
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    return row.against_on_demand, row.against_on_demand


def _cost(row: Row, number: int, x: Place) -> Markup:
    y = _TOP + number * _ROW + _ROW / 2
    share = 1 + row.against_on_demand
    low, high = (1 + bound for bound in _finite(row))
    text = f"{percent(share)}, {row.usd_per_month:.2f} USD"
    said = f"{row.policy}\n{text} per workload and month\n90 %: {percent(low)} to {percent(high)}"
    return tag(
        "g",
        hint(said),
        tag(
            "rect", class_=f"bar {kind_of(row)}", x=_LEFT, y=y - _BAR / 2, height=_BAR, rx=3,
            width=max(x(share) - _LEFT, 1.0),
        ),
        tag(
            "path", class_="whisker",
            d=f"M{x(low):.1f} {y - 4}v8m0 -4H{x(high):.1f}m0 -4v8",
        ),
        tag("text", text, class_="value", x=max(x(high), x(share)) + 10, y=y + 4),
        class_="hinted",
    )  # fmt: skip


def distance_bars(rows: Sequence[Row]) -> Markup:
    """Mean and 95th percentile of the cost over the optimum, on a logarithmic axis."""
    shown = [row for row in rows if row.policy != SEEING]
    largest = max(_LEAST * 100, *(row.over_optimum_p95 for row in shown))
    decades = math.ceil(math.log10(largest / _LEAST))

    def x(share: float) -> float:
        part = math.log10(max(share, _LEAST) / _LEAST) / decades
        return _LEFT + (_RIGHT - _LEFT) * min(part, 1.0)

    ticks = [(_LEAST * 10**n, f"{100 * _LEAST * 10**n:g} %") for n in range(decades + 1)]
    spans = (_distance(row, number, x) for number, row in enumerate(shown))
    label = "Cost of each policy over the optimum: mean and 95th percentile"
    return _drawing(label, shown, ticks, x, spans)


def _distance(row: Row, number: int, x: Place) -> Markup:
    y = _TOP + number * _ROW + _ROW / 2
    mean, p95, kind = row.over_optimum_mean, row.over_optimum_p95, kind_of(row)
    text = f"{percent(mean, 2)}, 95th {percent(p95, 2)}"
    low, high = row.over_optimum_mean_90
    said = f"{row.policy}\nmean {percent(mean, 2)} (90 %: {percent(low, 2)} to {percent(high, 2)})"
    return tag(
        "g",
        hint(f"{said}\n95th percentile {percent(p95, 2)}"),
        tag("line", class_=f"span {kind}", x1=x(mean), x2=x(p95), y1=y, y2=y),
        tag("circle", class_=f"dot p95 {kind}", cx=x(p95), cy=y, r=4.5),
        tag("circle", class_=f"dot {kind}", cx=x(mean), cy=y, r=5.5),
        tag("text", text, class_="value", x=max(x(mean), x(p95)) + 12, y=y + 4),
        class_="hinted",
    )


def _drawing(
    label: str,
    rows: Sequence[Row],
    ticks: Sequence[tuple[float, str]],
    x: Place,
    drawn: Iterator[Markup],
) -> Markup:
    bottom = _TOP + len(rows) * _ROW
    grid = []
    for value, name in ticks:
        at = x(value)
        grid.append(tag("line", class_="grid", x1=at, x2=at, y1=_TOP, y2=bottom))
        grid.append(tag("text", name, class_="tick", x=at, y=bottom + 15, text_anchor="middle"))
    names = (
        tag(
            "text", row.policy, class_="row-name", x=_LEFT - 12,
            y=_TOP + number * _ROW + _ROW / 2 + 4.5, text_anchor="end",
        )
        for number, row in enumerate(rows)
    )  # fmt: skip
    return svg(WIDTH, bottom + 24, label, joined(*grid), *names, *drawn)
