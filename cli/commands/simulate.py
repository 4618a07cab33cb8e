"""``spot-optimizer simulate``."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, OnDemandOption, PricesOption


def simulate(
    scenario: Annotated[
        str, typer.Argument(help="A scenario file, or the name of a bundled one (--list).")
    ] = "demo",
    prices: PricesOption = None,
    on_demand: OnDemandOption = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            help="Start of the simulated time, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
        ),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.5, help="Virtual hours to run; at most 2160, 90 days.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of market and world; same seed, same run.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write an HTML report of the run: one self-contained file.", dir_okay=False
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Show every decision and launch, whole reasons and the states of switches.",
        ),
    ] = False,
    as_json: JsonOption = False,
    list_scenarios: Annotated[
        bool, typer.Option("--list", help="List the bundled scenarios.")
    ] = False,
) -> None:
    """Run the real template, handlers and state machine in an embedded AWS account.

    The workloads of a scenario run through some hours of a spot market. Options override the
    scenario's own market, start, hours and seed. All amounts of money are simulated.

    Exit code 1: an expectation of the unchanged scenario did not come true, an invariant of the product
    was violated, or the stack never became quiet. Exit code 2: the file is not a valid scenario, or the
    options contradict each other.
    """
    from cli.simulate import run_scenario

    run_scenario(
        scenario=scenario,
        prices=prices,
        on_demand=on_demand,
        start=start,
        hours=hours,
        seed=seed,
        report=report,
        verbose=verbose,
        as_json=as_json,
        list_scenarios=list_scenarios,
    )
