"""The figures of a backtest on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from backtest.results import Difference, Figures, Row

_HEAD = (
    "policy", "USD/month", "(expected)", "vs on-demand", "over optimum", "p95", "blind", "headroom",
    "switches", "<= 1.5x+1", "interruptions", "(expected)", "availability", "first hour", "highest price",
    "worst pool",
)  # fmt: skip


def print_figures(figures: Sequence[Figures], about: Mapping[str, Any]) -> None:
    """One table per cost of an interruption, then a summary."""
    for line in head_lines(about):
        typer.echo(line)
    for each in figures:
        typer.echo(f"\n{title_of(each)}")
        _print_table([_HEAD, *(_cells(row) for row in each.rows)])
        for line in value_lines(each):
            typer.echo(line)
        typer.echo(each.verdict)
    typer.echo("\n" + LEGEND)


LEGEND = (
    "Over optimum: mean over the runs (p95: 95th percentile) of the cost over the clairvoyant optimum"
    " that sees interruptions coming; blind: over the one that sees prices alone. Headroom: share of"
    " what the optimum saves against staying. Switches: planned ones per run; <= 1.5x+1: share of the"
    " runs with at most 1.5 times the optimum's and one. Expected: with interruptions by the pools' rates"
    " instead of those drawn, which has less luck in it."
    " First hour: share of the saving that the cheapest pool offered at the start. Highest price:"
    " as a share of on-demand. Worst pool: where the runs began that ended the furthest above the"
    " optimum. * on the front of bill and interruptions. All costs are simulated."
)


def head_lines(about: Mapping[str, Any]) -> list[str]:
    """What was replayed, in words."""
    names = about["workloads"]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return [
        f"{', '.join(about['regions'])}, {about['from']} to {about['until']} UTC: {shown}",
        f"{about['runs']} runs of up to {about['run_days']:.0f} days, in {about['types']} types; a"
        f" decision every hour; interruptions: {about['hazard']}, each run with {about['draws']} draws of"
        f" them; seed {about['seed']}",
        *about["remarks"],
    ]


def title_of(figures: Figures) -> str:
    """What an interruption costs in this table."""
    cost = figures.interruption_hours
    if cost is None:
        return "An interruption costs what each workload's settings say"
    return f"An interruption costs {cost:g} instance-hours"


def value_lines(figures: Figures) -> list[str]:
    """What the forecasts are worth."""
    return [f"Value of the forecast, {_dollars(d)}" for d in figures.forecast_values]


def _dollars(value: Difference) -> str:
    low, high = value.usd_per_month_90
    money = f"{value.usd_per_month:+.3f} USD per workload and month"
    return f"{value.what}: {money} [{low:+.3f}, {high:+.3f}]"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.policy + (" *" if row.on_front else ""),
        f"{row.usd_per_month:.2f}",
        f"{row.usd_expected_per_month:.2f}",
        f"{100 * row.against_on_demand:+.1f} %",
        f"{100 * row.over_optimum_mean:.2f} %",
        f"{100 * row.over_optimum_p95:.2f} %",
        f"{100 * row.over_blind_optimum_mean:.2f} %",
        _percent(row.headroom_share),
        f"{row.switches:.2f}/{row.optimum_switches:.2f}",
        f"{100 * row.switches_within_limit:.0f} %",
        f"{row.interruptions:.3f}",
        f"{row.interruptions_expected:.3f}",
        f"{100 * row.availability:.3f} %",
        _percent(row.first_hour_share),
        f"{100 * row.highest_price_fraction:.1f} %",
        f"{row.worst_pool} {100 * row.worst_pool_over_optimum:.2f} %",
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = row
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        typer.echo("  ".join(cells))
