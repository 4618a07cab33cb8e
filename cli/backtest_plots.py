"""The pictures of a backtest."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from backtest.results import Figures, Row, knows_the_future
from backtest.runs import SEEING, Replayed

_SIMPLE, _ENGINE, _FUTURE = "#98a3b0", "#1f6fb2", "#d9a441"
_EXAMPLE_LINES_MAX = 7


def draw_costs(figures: Figures) -> Figure:
    """What each policy costs against on-demand, with 90 % intervals."""
    rows = figures.rows
    values = [100 * (1 + row.against_on_demand) for row in rows]
    spread = [
        [100 * (row.against_on_demand - row.against_on_demand_90[0]) for row in rows],
        [100 * (row.against_on_demand_90[1] - row.against_on_demand) for row in rows],
    ]
    return _bars(rows, values, np.maximum(spread, 0.0), "% of on-demand (line: 90 % interval)")


def draw_over_optimum(figures: Figures) -> Figure:
    """Mean and 95th percentile over the optimum."""
    rows = [row for row in figures.rows if row.policy != SEEING]
    figure = _bars(
        rows,
        [max(100 * row.over_optimum_mean, 1e-3) for row in rows],
        None,
        "% over the clairvoyant optimum (bar: mean, dot: 95th percentile), logarithmic",
    )
    axes = figure.axes[0]
    places = range(len(rows))[::-1]
    p95 = [max(100 * row.over_optimum_p95, 1e-3) for row in rows]
    axes.plot(p95, list(places), "o", color="#1b2430", markersize=4)
    axes.set_xscale("log")
    axes.set_xlim(left=1e-3)
    return figure


def draw_front(figures: Figures) -> Figure:
    """Bill against interruptions: nobody is below and left of the front."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    axes = figure.subplots()
    taken: list[tuple[float, float]] = []
    for row in figures.rows:
        if row.policy == "always on-demand":
            continue
        x, y = row.interruptions_expected, 100 * (1 + row.against_on_demand)
        axes.plot(x, y, "D" if row.on_front else "o", color=_colour(row), markersize=8, alpha=0.85)
        if not any(abs(x - a) < 0.002 and abs(y - b) < 1.0 for a, b in taken):
            axes.annotate(row.policy, (x, y), xytext=(7, 4), textcoords="offset points", fontsize=8)
            taken.append((x, y))
    axes.set(
        xlabel="interruptions per run, by the rates of the pools (diamond: on the front as drawn)",
        ylabel="cost, % of on-demand",
    )
    axes.grid(alpha=0.25)
    axes.margins(x=0.15, y=0.12)
    return figure


def draw_example(replayed: Replayed) -> Figure:
    """What each hour of the first run costs, by policy, and where it switches."""
    starts = replayed.starts[0]
    steps = starts.steps[0]
    at = [datetime.fromtimestamp(starts.case.period.at_s(int(h)), UTC) for h in steps]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    axes: Any = figure.subplots()
    drawn: dict[bytes, str] = {}
    for name, paths in replayed.example.items():
        key = paths.place[0].tobytes()
        if key not in drawn and len(drawn) < _EXAMPLE_LINES_MAX:
            drawn[key] = name
            usd = starts.case.billed[steps, paths.place[0]]
            line = axes.plot(at, usd, drawstyle="steps-post", linewidth=1.4, label=name)[0]
            moved = np.flatnonzero(paths.left[0] >= 0)
            axes.plot([at[m] for m in moved], usd[moved], "v", color=line.get_color(), markersize=6)
    axes.set(ylabel="USD per hour (mark: planned switch)")
    dates: Any = ConciseDateFormatter
    axes.xaxis.set_major_formatter(dates(axes.xaxis.get_major_locator()))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, title="of policies that went the same way only the first")
    return figure


def _bars(rows: Any, values: list[float], spread: Any, label: str) -> Figure:
    figure = Figure(figsize=(11, 0.32 * len(rows) + 1.1), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(rows)))[::-1]
    axes.barh(
        places, values, xerr=spread, color=[_colour(row) for row in rows], height=0.66,
        error_kw={"linewidth": 1, "ecolor": "#1b2430"},
    )  # fmt: skip
    axes.set_yticks(places, [row.policy for row in rows], fontsize=9)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)
    return figure


def _colour(row: Row) -> str:
    if knows_the_future(row.policy):
        return _FUTURE
    return _ENGINE if ", " in row.policy else _SIMPLE
