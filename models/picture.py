"""Draw an evaluation: skill by horizon, and reliability."""

from datetime import datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from models.evaluation import Report

_SKILLS = (
    ("squared_error", "squared error"),
    ("absolute_error", "absolute error (median)"),
    ("pinball", "pinball (5, 50, 95 %)"),
)


def draw(report: Report, path: Path) -> None:
    """Write a PNG. Raises OSError."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_skill(left, report)
    _draw_reliability(right, report)
    data = report["data"]
    first, last = (f"{datetime.fromisoformat(data[key]):%Y-%m-%d}" for key in ("from", "until"))
    figure.suptitle(f"{report['model']} on {', '.join(data['regions'])}, {first} to {last}")
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _draw_skill(axes: Any, report: Report) -> None:
    horizons = {name: h for name, h in report["horizons"].items() if h["rows"]}
    hours = [int(name.removesuffix("h")) for name in horizons]
    for key, label in _SKILLS:
        parts = [h[key] for h in horizons.values()]
        line = axes.plot(hours, [p["skill"] for p in parts], marker="o", label=label)[0]
        bounds = [[p["skill_90"][side] for p in parts] for side in (0, 1)]
        if all(bound is not None for side in bounds for bound in side):
            axes.fill_between(hours, *bounds, alpha=0.15, color=line.get_color())
    drift = [h["squared_error"]["rules"]["drift of 24 h"] for h in horizons.values()]
    axes.plot(hours, drift, linestyle=":", color="grey", label="rule: drift of 24 h (squared)")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="hours ahead", ylabel="skill", xticks=hours)
    axes.set_title("Skill over the last price (pinball: over empirical quantiles)")
    axes.legend(fontsize=8)


def _draw_reliability(axes: Any, report: Report) -> None:
    for name, h in report["horizons"].items():
        if h["rows"] and "reliability" in h["change"]:
            bins = h["change"]["reliability"]
            axes.plot(
                [b["said"] for b in bins],
                [b["happened"] for b in bins],
                marker="o",
                markersize=4,
                label=f"changes within {name}",
            )
    for name, rise in report["instability"].items():
        if "reliability" in rise:
            axes.plot(
                [b["said"] for b in rise["reliability"]],
                [b["happened"] for b in rise["reliability"]],
                marker="s",
                markersize=4,
                linestyle="--",
                label=f"{name.replace('_', ' by ')} % within 12 h",
            )
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    axes.set(xlabel="predicted probability", ylabel="share that happened", title="Reliability")
    axes.legend(fontsize=8)
