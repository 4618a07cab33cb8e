"""The page of a backtest: one HTML file with its pictures in it."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from backtest.results import Figures, Row, knows_the_future
from backtest.runs import Replayed
from cli.backtest_plots import draw_costs, draw_example, draw_front, draw_over_optimum
from cli.backtest_tables import LEGEND, head_lines, title_of, value_lines
from cli.html_report.markup import Markup, joined, tag

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 20px 48px; background: #f5f6f8; color: #1b2430;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 38px 0 6px; }
.about, .legend { color: #5a6675; margin: 2px 0; max-width: 110ch; }
.verdict { background: #fff; border-left: 5px solid #1f6fb2; padding: 12px 16px; margin: 14px 0;
  font-size: 16px; max-width: 100ch; }
.scroll { overflow-x: auto; background: #fff; border: 1px solid #dfe3e8; border-radius: 8px;
  margin: 12px 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 5px 9px; text-align: right; border-bottom: 1px solid #e9ecf0; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.engine td:first-child { font-weight: 600; }
tr.future { color: #7b8694; } .simulated { border: 1.5px solid #8a6100; color: #8a6100;
  border-radius: 4px; padding: 0 8px; font-size: 12px; font-weight: 700; text-transform: uppercase;
  margin-left: 10px; }
img { display: block; width: 100%; background: #fff; border: 1px solid #dfe3e8; border-radius: 8px;
  margin: 12px 0; }
"""
_HEAD = (
    "policy", "USD/month", "(expected)", "vs on-demand", "over optimum [90 %]", "p95", "blind",
    "headroom", "switches", "interruptions", "availability", "first hour", "worst pool",
)  # fmt: skip


def write_page(
    path: Path, figures: Sequence[Figures], replayed: Replayed, about: Mapping[str, Any]
) -> None:
    """Write the page. Raises OSError."""
    body = joined(
        tag("h1", "Backtest", tag("span", "simulated costs", class_="simulated")),
        *(tag("p", line, class_="about") for line in head_lines(about)),
        *(_section(each) for each in figures),
        tag("h2", "One run as an example"),
        tag(
            "p",
            f"{replayed.starts[0].case.requirement.name}, the first run: what each hour costs.",
            class_="about",
        ),
        _image(draw_example(replayed), "price per hour of one run by policy"),
        tag("h2", "How to read it"),
        tag("p", LEGEND, class_="legend"),
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Backtest</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _section(figures: Figures) -> Markup:
    return joined(
        tag("h2", title_of(figures)),
        tag("p", figures.verdict, class_="verdict"),
        _image(draw_costs(figures), "cost of each policy"),
        _image(draw_over_optimum(figures), "cost of each policy over the optimum"),
        _image(draw_front(figures), "bill against interruptions"),
        tag("div", _table(figures.rows), class_="scroll"),
        *(tag("p", line, class_="about") for line in value_lines(figures)),
    )


def _table(rows: Sequence[Row]) -> Markup:
    head = tag("tr", *(tag("th", name) for name in _HEAD))
    return tag("table", tag("thead", head), tag("tbody", *(_line(row) for row in rows)))


def _line(row: Row) -> Markup:
    low, high = row.over_optimum_mean_90
    cells = (
        row.policy + (" *" if row.on_front else ""),
        f"{row.usd_per_month:.2f}",
        f"{row.usd_expected_per_month:.2f}",
        f"{100 * row.against_on_demand:+.1f} %",
        f"{100 * row.over_optimum_mean:.2f} % [{100 * low:.2f}, {100 * high:.2f}]",
        f"{100 * row.over_optimum_p95:.2f} %",
        f"{100 * row.over_blind_optimum_mean:.2f} %",
        _percent(row.headroom_share),
        f"{row.switches:.2f} / {row.optimum_switches:.2f}",
        f"{row.interruptions:.3f}",
        f"{100 * row.availability:.3f} %",
        _percent(row.first_hour_share),
        f"{row.worst_pool} {100 * row.worst_pool_over_optimum:.2f} %",
    )
    kind = "future" if knows_the_future(row.policy) else "engine" if ", " in row.policy else None
    return tag("tr", *(tag("td", cell) for cell in cells), class_=kind)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _image(figure: Figure, label: str) -> Markup:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt=label)
