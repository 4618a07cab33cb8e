"""``spot-optimizer simulate``: a scenario on a built-in or a recorded market."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from cli.happenings import is_step, print_happening
from cli.html_report.page import html_page
from cli.plain import print_json
from cli.progress import measuring
from cli.report import counted, print_summary
from price_files.files import UnreadableFile
from simulator.account.account import StillRunning
from simulator.collector import collect_seldom
from simulator.expectations import Expectations, disappointments
from simulator.happenings import Happening
from simulator.invariants import InvariantViolated
from simulator.markets import BUILTIN_REGION, Market, NoMarket, builtin_market, recorded_market
from simulator.record import simulate_and_record
from simulator.scenario_fields import HOURS_MAX
from simulator.scenario_file import (
    InvalidScenario,
    builtin_names,
    builtin_run,
    read_scenario,
)
from simulator.scenario_schema import PlannedRun
from simulator.simulation import Observer, silent
from simulator.simulation import simulate as run_simulation
from simulator.summary import Summary
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.command import CommandRequest


def run_scenario(
    *,
    scenario: str,
    prices: Path | None,
    on_demand: Path | None,
    start: datetime | None,
    hours: float | None,
    seed: int | None,
    report: Path | None,
    verbose: bool,
    as_json: bool,
    list_scenarios: bool,
) -> None:
    """Run the real template, handlers and state machine in an embedded AWS account."""
    if list_scenarios:
        print_scenarios(as_json=as_json)
        return
    if hours is not None and hours > HOURS_MAX:
        raise typer.BadParameter(f"--hours {hours:g}: allowed are at most {HOURS_MAX}")
    # A run takes a minute: a report that cannot be written is refused before it.
    if report and not report.parent.is_dir():
        raise typer.BadParameter(f"--report {report}: there is no folder {report.parent}")
    planned = planned_run(scenario)
    as_written = not any((prices, on_demand, start, hours, seed is not None))
    number = planned.seed if seed is None else seed
    market = _market(planned, prices, on_demand, start, hours, number)
    try:
        if as_json:
            summary = _run(planned, market, number, silent(), report)
            print_json(summary.document())
        else:
            summary = _shown(planned, market, number, report, verbose=verbose)
    except (InvariantViolated, StillRunning) as error:
        word = "Violated" if isinstance(error, InvariantViolated) else "Never quiet"
        text = " ".join(str(error).split())
        typer.echo(f"{word}: {text} (scenario {scenario}, seed {number})", err=True)
        raise typer.Exit(code=1) from error
    if as_written:
        _judge(planned, summary)
    elif planned.expected != Expectations() and not as_json:
        typer.echo("Expectations are not checked: options changed the run")


def planned_run(scenario: str) -> PlannedRun:
    """The scenario of that path or name; a message and exit code 2 if it is invalid."""
    path = Path(scenario)
    try:
        is_path = path.suffix in (".yaml", ".yml") or len(path.parts) > 1
        return read_scenario(path, _accept_request) if is_path else builtin_run(scenario)
    except InvalidScenario as error:
        for fault in str(error).splitlines():
            typer.echo(fault, err=True)
        raise typer.Exit(code=2) from error


def _accept_request(request: object) -> None:
    parse(CommandRequest, request)


def print_scenarios(*, as_json: bool) -> None:
    """Name, length and purpose of each bundled scenario."""
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "hours": planned.hours,
            "workloads": len(planned.scenario.workloads),
            "shows": planned.shows,
        }
        for name, planned in ((name, builtin_run(name)) for name in builtin_names())
    ]
    if as_json:
        print_json(found)
        return
    console = Console(highlight=False)
    for each in found:
        workloads = counted(each["workloads"], "workload", "workloads")
        console.print(f"[bold]{each['name']}[/]  {each['hours']:g} h, {workloads}")
        console.print(f"  {each['shows']}")


def _market(
    planned: PlannedRun,
    prices: Path | None,
    on_demand: Path | None,
    start: datetime | None,
    hours: float | None,
    seed: int,
) -> Market:
    """The scenario's market, changed by the options."""
    if prices is None and on_demand is None:
        prices, on_demand = planned.prices, planned.on_demand
    begin = start.replace(tzinfo=UTC) if start else planned.start
    return market_of(prices, on_demand, begin, hours or planned.hours, seed, planned.region)


def _shown(
    planned: PlannedRun, market: Market, seed: int, report: Path | None, *, verbose: bool
) -> Summary:
    """Run it, print each happening, and print the summary."""
    console = Console(highlight=False)
    span = f"{market.start:%Y-%m-%d %H:%M} to {market.end:%Y-%m-%d %H:%M} UTC"
    console.print(f"[bold]Simulating[/] {planned.scenario.name}, {span}")
    console.print(f"in an embedded account, on the {market.source}; nothing is called in AWS\n")
    with measuring(console) as progress:
        task = progress.add_task("deploying", total=(market.end - market.start).total_seconds())

        def tick(now: datetime) -> None:
            done_s = (now - market.start).total_seconds()
            progress.update(task, completed=done_s, description=f"{now:%a %H:%M}")

        def tell(happening: Happening) -> None:
            if verbose or not is_step(happening):
                print_happening(happening, console, whole=verbose)

        observer = Observer(tick, tell)
        summary = _run(planned, market, seed, observer, report)
    print_summary(summary, console, verbose=verbose)
    if report:
        console.print(f"[bold]Report[/] {report}", soft_wrap=True)
    return summary


def _judge(planned: PlannedRun, summary: Summary) -> None:
    """Report expectations that did not come true; exit code 1 if there are any."""
    found = disappointments(planned.expected, summary)
    for each in found:
        typer.echo(f"Not as expected: {each}", err=True)
    if found:
        raise typer.Exit(code=1)


def _run(
    planned: PlannedRun, market: Market, seed: int, observer: Observer, report: Path | None
) -> Summary:
    collect_seldom()
    scenario = planned.scenario
    if report is None:
        return run_simulation(scenario, market, seed=seed, observer=observer)
    record = simulate_and_record(scenario, market, seed=seed, observer=observer)
    report.write_text(html_page(record), encoding="utf-8")
    return record.summary


def market_of(
    prices: Path | None,
    on_demand: Path | None,
    start: datetime | None,
    hours: float,
    seed: int,
    region: str | None,
) -> Market:
    """The requested market; a message and exit code 2 if it does not exist."""
    if on_demand and not prices:
        raise typer.BadParameter(
            "--on-demand needs --prices; the built-in market has its own prices"
        )
    try:
        if prices is None:
            return builtin_market(seed, start, hours, region or BUILTIN_REGION)
        return recorded_market(prices, on_demand, start, hours)
    except (UnreadableFile, NoMarket) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=2) from error
