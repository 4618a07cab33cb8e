"""The page of a backtest: one HTML file that loads nothing, in the look of the run report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtest.results import Figures, Row
from backtest.runs import Replayed
from cli.backtest_bars import cost_bars, distance_bars
from cli.backtest_curves import example, front
from cli.backtest_rows import (
    MAIN,
    MORE,
    ON_FRONT,
    OVER_OPTIMUM,
    OVER_OPTIMUM_P95,
    Column,
    best_engine,
    kind_of,
    percent,
)
from cli.backtest_tables import head_lines, title_of, value_rows, verdict_of
from cli.html_report import template
from cli.html_report.markup import Markup, joined, tag
from cli.html_report.tables import table

_TEMPLATE = Path(template.__file__).with_name("backtest.html")
_TERMS = {
    "engine": "a way of the product to decide; its forecast follows its name",
    "simple rule": "a policy without forecasts, to compare with",
    "needs the future": "a policy that nobody can run, as it knows prices in advance: a bound for others",
    "90 % interval": "contains the true value in 90 of 100 cases if the data are enough; drawn by weeks"
    " and workloads",
    "*": ON_FRONT,
}


def write_page(
    path: Path, figures: Sequence[Figures], replayed: Replayed, about: Mapping[str, Any]
) -> None:
    """Write the page. Raises OSError."""
    what, *remarks = head_lines(about)
    workload = replayed.starts[0].case.requirement.name
    page = template.filled(
        _TEMPLATE,
        about=joined(what),
        costs=joined(*(_section(each, about) for each in figures)),
        example_is=joined(
            f"USD per hour of {workload} in its first run. Policies that went the same way share a line."
        ),
        example=example(replayed, figures[0]),
        terms=_terms(),
        remarks=joined(*(tag("p", line) for line in remarks)),
    )
    path.write_text(page, encoding="utf-8")


def _section(figures: Figures, about: Mapping[str, Any]) -> Markup:
    """Verdict first, then charts, then tables."""
    warning = about["interval_warning"]
    figures_shown = _figures((*MAIN, OVER_OPTIMUM, OVER_OPTIMUM_P95), figures.rows)
    careful = tag("p", warning, class_="warning") if warning else ""
    return joined(
        tag("p", verdict_of(figures), class_="verdict"),
        careful,
        _totals(figures),
        tag("h2", "What each policy costs"),
        tag("p", f"In percent of on-demand. {title_of(figures)}.", class_="lead"),
        _chart(_LEGEND_COST, cost_bars(figures.rows)),
        tag("h2", "How far each policy is from the optimum"),
        tag("p", "Cost over that of the clairvoyant optimum, on a logarithmic axis.", class_="lead"),
        _chart(_LEGEND_DISTANCE, distance_bars(figures.rows)),
        tag("h2", "Bill against interruptions"),
        tag("p", f"Diamond: {ON_FRONT}, as drawn.", class_="lead"),
        _chart(_LEGEND_KINDS, front(figures.rows)),
        tag("h2", "Figures of each policy"),
        careful,
        tag("div", figures_shown, class_="card figures"),
        *_details(figures),
    )  # fmt: skip


def _totals(figures: Figures) -> Markup:
    best = best_engine(figures)
    if best is None:
        return joined()
    low, high = best.against_on_demand_90
    switches, optimum = f"{best.switches:.2f}", f"{best.optimum_switches:.2f}"
    return tag(
        "dl",
        _total("best engine", f"{best.usd_per_month:.2f} USD", f"{best.policy}; per month"),
        _total(
            "against on-demand",
            percent(best.against_on_demand, sign=True).replace("-", "−"),
            f"90 % interval: {percent(low)} to {percent(high)}".replace("-", "−"),
        ),
        _total(
            "over the optimum",
            percent(best.over_optimum_mean, 2),
            f"95th percentile {percent(best.over_optimum_p95, 2)}",
        ),
        _total("planned switches per run", switches, f"optimum {optimum}"),
        _total(
            "interruptions per run",
            f"{best.interruptions:.3f}",
            f"{best.interruptions_expected:.3f} by the pools' rates",
        ),
        class_="totals",
    )


def _total(name: str, value: str, more: str) -> Markup:
    return tag(
        "div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)), class_="total"
    )


def _chart(legend: Markup, chart: Markup) -> Markup:
    return tag("div", legend, tag("div", chart, class_="scroll"), class_="card")


def _figures(columns: Sequence[Column], rows: Sequence[Row]) -> Markup:
    return table(
        ("policy", *(column.name for column in columns)),
        [
            tag(
                "tr",
                tag("td", row.policy + (" *" if row.on_front else ""), class_="who"),
                *(tag("td", column.text(row).replace("-", "−", 1)) for column in columns),
                class_=kind_of(row),
            )
            for row in rows
        ],
    )


def _details(figures: Figures) -> list[Markup]:
    """All other figures, folded."""
    (_, _, *of_optimum), of_luck, of_prices = MORE
    parts = [("More figures of each policy", (*of_optimum, *of_luck))]
    parts.append(("Prices and the worst place to begin", of_prices))
    made = [
        tag(
            "details",
            tag("summary", name),
            _figures(columns, figures.rows),
            class_="card figures",
        )
        for name, columns in parts
    ]
    values = [
        tag("tr", *(tag("td", cell.replace("-", "−")) for cell in row))
        for row in value_rows(figures)
    ]
    if values:
        worth = table(("engine: forecast", "USD per month saved", "90 % interval"), values)
        what = "What a better forecast is worth (simulated USD per workload and month)"
        made.append(tag("details", tag("summary", what), worth, class_="card figures"))
    return made


def _terms() -> Markup:
    columns = (column for group in (MAIN, *MORE) for column in group if column.meaning)
    terms = {**_TERMS, **{column.name: column.meaning for column in columns}}
    return joined(
        *(part for name, text in terms.items() for part in (tag("dt", name), tag("dd", f"{text}.")))
    )


def _legend(*entries: tuple[Markup, str]) -> Markup:
    items = (
        tag("li", Markup(f'<svg viewBox="0 0 22 14">{shape}</svg>'), name)
        for shape, name in entries
    )
    return tag("ul", *items, class_="legend")


def _box(kind: str) -> Markup:
    return tag("rect", class_=f"bar {kind}", x=1, y=1, width=20, height=12, rx=3)


def _dot(style: str) -> Markup:
    return tag("circle", class_=f"dot {style}", cx=11, cy=7, r=5)


_NAMES = (("engine", "engine"), ("simple", "simple rule"), ("future", "needs the future"))
_KINDS = tuple((_dot(kind), name) for kind, name in _NAMES)
_LEGEND_KINDS = _legend(*_KINDS)
_LEGEND_COST = _legend(
    *((_box(kind), name) for kind, name in _NAMES),
    (tag("path", class_="whisker", d="M2 3v8m0 -4H20m0 -4v8"), "90 % interval"),
)
_LEGEND_DISTANCE = _legend(
    *_KINDS, (_dot("p95 engine"), "hollow: 95th percentile of the runs; filled: their mean")
)
