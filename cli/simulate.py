"""``spot-optimizer simulate``: the main job, on a built-in or a recorded market."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.happenings import line
from cli.html_report.page import html_page
from cli.report import print_summary
from simulator.demo import DEMO
from simulator.market.columns import UnreadableFile
from simulator.markets import Market, NoMarket, builtin_market, recorded_market
from simulator.record import simulate_and_record
from simulator.simulation import Observer, silent
from simulator.simulation import simulate as run_simulation
from simulator.summary import Summary

PricesOption = Annotated[
    Path | None,
    typer.Option(
        help="Recorded spot prices: parquet, CSV, or JSON as `aws ec2 describe-spot-price-history`"
        " prints it. Without it a built-in market is generated.",
        exists=True,
        dir_okay=False,
    ),
]
OnDemandOption = Annotated[
    Path | None,
    typer.Option(help="On-demand prices for --prices, CSV or JSON.", exists=True, dir_okay=False),
]
StartOption = Annotated[
    datetime | None,
    typer.Option(help="Start of the simulated time, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
]
SeedOption = Annotated[int, typer.Option(help="Seed of market and world; same seed, same run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        help="Write an HTML page of the run: one file that loads nothing.", dir_okay=False
    ),
]


def simulate(
    prices: PricesOption = None,
    on_demand: OnDemandOption = None,
    start: StartOption = None,
    hours: Annotated[float, typer.Option(min=0.5, max=24 * 90, help="Virtual hours to run.")] = 24,
    seed: SeedOption = 1,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the real template, handlers and state machine in an embedded AWS account.

    Eight workloads live through the given hours of a spot market. All money shown is simulated.
    """
    market = market_of(prices, on_demand, start, hours, seed)
    # A run takes a minute: what cannot be written is said before.
    if report and not report.parent.is_dir():
        raise typer.BadParameter(f"--report {report}: there is no folder {report.parent}")
    if as_json:
        typer.echo(_run(market, seed, silent(), report).to_json())
        return
    console = Console(highlight=False)
    _run_and_tell(market, seed, report, console)
    if report:
        console.print(f"[bold]Report[/] {report}", soft_wrap=True)


def _run_and_tell(market: Market, seed: int, report: Path | None, console: Console) -> None:
    span = f"{market.start:%Y-%m-%d %H:%M} to {market.end:%Y-%m-%d %H:%M} UTC"
    console.print(f"[bold]Simulating[/] {span} on {market.source}", soft_wrap=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("deploying", total=(market.end - market.start).total_seconds())

        def tick(now: datetime) -> None:
            done_s = (now - market.start).total_seconds()
            progress.update(task, completed=done_s, description=f"{now:%a %H:%M}")

        observer = Observer(tick, lambda happening: console.print(line(happening)))
        summary = _run(market, seed, observer, report)
    print_summary(summary, console)


def _run(market: Market, seed: int, observer: Observer, report: Path | None) -> Summary:
    if report is None:
        return run_simulation(DEMO, market, seed=seed, observer=observer)
    record = simulate_and_record(DEMO, market, seed=seed, observer=observer)
    report.write_text(html_page(record), encoding="utf-8")
    return record.summary


def market_of(
    prices: Path | None,
    on_demand: Path | None,
    start: datetime | None,
    hours: float,
    seed: int,
) -> Market:
    """The market that the options ask for; a message and exit code 2 for one that cannot be."""
    begin = start.replace(tzinfo=UTC) if start else None
    if on_demand and not prices:
        raise typer.BadParameter("--on-demand goes with --prices; the built-in market has its own")
    try:
        if prices is None:
            return builtin_market(seed, begin, hours)
        return recorded_market(prices, on_demand, begin, hours)
    except (UnreadableFile, NoMarket) as error:
        raise typer.BadParameter(str(error)) from error
