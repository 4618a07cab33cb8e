"""The figures of a backtest on a terminal: verdict first, 80 columns."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from backtest.results import Figures, Row
from cli.backtest_rows import MAIN, MORE, ON_FRONT, Column, telling

_NAMES_MAX = 6


def print_figures(
    figures: Sequence[Figures], about: Mapping[str, Any], console: Console, *, all_rows: bool
) -> None:
    """A verdict and a table per cost of an interruption, then what they are of."""
    for each in figures:
        console.print(verdict_of(each))
        if about["interval_warning"]:
            console.print(about["interval_warning"], style="yellow")
        console.print()
        console.print(f"{title_of(each)}.")
        rows = each.rows if all_rows else telling(each.rows)
        console.print(_table(rows, MAIN, marked=all_rows))
        if all_rows:
            _print_more(each, console)
        console.print()
    _print_terms(console, all_rows)
    if not all_rows:
        left = len(figures[0].rows) - len(telling(figures[0].rows))
        policies = f"{left} more {'policy' if left == 1 else 'policies'} and " if left else ""
        console.print(f"--all has {policies}{sum(map(len, MORE))} more figures of each.")
    console.print()
    for line in head_lines(about):
        console.print(line)


def verdict_of(figures: Figures) -> str:
    """The value of further switches in words."""
    return f"{figures.verdict} All costs are simulated."


def title_of(figures: Figures) -> str:
    """What an interruption costs in this table."""
    cost = figures.interruption_hours
    if cost is None:
        return "An interruption costs what each workload's settings say"
    return f"An interruption costs {cost:g} instance-hour{'' if cost == 1 else 's'}"


def head_lines(about: Mapping[str, Any]) -> list[str]:
    """What was replayed, in words."""
    names = about["workloads"]
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    runs, days, draws = about["runs"], about["run_days"], about["draws"]
    return [
        f"Replayed: {', '.join(names[:_NAMES_MAX])}{more} in {', '.join(about['regions'])},"
        f" {_time(about['from'])} to {_time(about['until'])} UTC.",
        f"{_count(runs, 'run')} of up to {_count(round(days, 1), 'day')} in"
        f" {_count(about['types'], 'type')}, a decision every hour. Interruptions:"
        f" {_rates(about['hazard'])}, drawn {'once' if draws == 1 else f'{draws} times'} for each run."
        f" Seed {about['seed']}.",
        *about["remarks"],
    ]


def _rates(hazard: str) -> str:
    if hazard == "advisor":
        return "by the Spot Advisor's rates"
    return f"{hazard} of the instances a month"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}{'' if number == 1 else 's'}"


def value_rows(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """What the forecasts are worth: of what, simulated USD per workload and month, 90 % interval."""
    for value in figures.forecast_values:
        low, high = value.usd_per_month_90
        yield value.what, _signed(value.usd_per_month), f"{_signed(low)} to {_signed(high)}"


def _signed(usd: float) -> str:
    value = round(usd, 3) + 0.0
    return f"{value:+.3f}" if value else "0.000"


def _table(rows: Sequence[Row], columns: Sequence[Column], *, marked: bool) -> Table:
    table = _with_columns("policy", *(column.name for column in columns))
    for row in rows:
        mark = " *" if marked and row.on_front else ""
        table.add_row(row.policy + mark, *(column.text(row) for column in columns))
    return table


def _with_columns(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name.replace(" ", "\n", 1), justify="right", overflow="fold")
    return table


def _print_more(figures: Figures, console: Console) -> None:
    for group in MORE:
        console.print()
        console.print(_table(figures.rows, group, marked=True))
    if figures.forecast_values:
        table = _with_columns("saved by a better forecast", "USD per month", "90 % interval")
        for row in value_rows(figures):
            table.add_row(*row)
        console.print()
        console.print(table)


def _print_terms(console: Console, all_rows: bool) -> None:
    groups = (MAIN, *MORE) if all_rows else (MAIN,)
    columns = [column for group in groups for column in group if column.meaning]
    for column in columns:
        console.print(f"{column.name}: {column.meaning}.")
    if all_rows:
        console.print(f"*: {ON_FRONT}.")
    else:
        console.print("clairvoyant optimum: the least cost possible, with the future known.")
