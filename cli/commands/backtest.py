"""``spot-optimizer backtest``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, ProfileOption

RUNS_MAX = 500
DRAWS_MAX = 100


def backtest(
    prices: Annotated[
        list[Path] | None,
        typer.Option(
            help="Price files: parquet, CSV or JSON as `aws ec2 describe-spot-price-history` prints"
            " it. Repeat the option for several files. Default: the account's own history, of"
            " --region.",
        ),
    ] = None,
    instance_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Type that the workload runs on. Repeat the option for several workloads."
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, max=200, help="Number of types to draw from the files instead.")
    ] = 0,
    flexible: Annotated[bool, typer.Option("--flexible", help="Use every type that fits.")] = False,
    types: Annotated[
        str | None,
        typer.Option(help="Types that may be used, with * and ?, separated by commas."),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Engine to replay; default: all bundled engines.")
    ] = None,
    forecast: Annotated[
        list[str] | None,
        typer.Option(help="Forecast of the engines: last-price, model or perfect; default: all."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help="Number of days at the end; default: all but the first eight."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Day before which to stop, UTC.")] = None,
    hazard: Annotated[
        str,
        typer.Option(
            help="Interruptions: advisor, or a share such as 5%: of the instances of every pool, a month."
        ),
    ] = "advisor",
    advisor: Annotated[
        Path | None,
        typer.Option(
            help="A copy of AWS's spot-advisor-data.json, for --hazard advisor; default: read from AWS.",
        ),
    ] = None,
    interruption_cost: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=168,
            help="Work that an interruption loses, instance-hours; repeat the option for a table each."
            " Default: the workload's tag, or half an hour.",
        ),
    ] = None,
    on_demand: Annotated[
        Path | None,
        typer.Option(
            help="On-demand prices, CSV or JSON, of the same time as the spot prices; default:"
            " a column of the price files, else the bundled ones of us-east-1.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="One region of the files; without files, the region of the account to read."
        ),
    ] = None,
    stack: Annotated[
        str,
        typer.Option(
            "--stack", "--stack-name", help="Stack whose workloads to read from the account."
        ),
    ] = "spot-optimizer",
    profile: ProfileOption = None,
    runs: Annotated[
        int,
        typer.Option(
            min=1, max=RUNS_MAX, help="Number of runs of each workload, begun at different times."
        ),
    ] = 12,
    draws: Annotated[
        int,
        typer.Option(
            min=1,
            max=DRAWS_MAX,
            help="Number of times that each run is repeated with other interruptions: less luck.",
        ),
    ] = 10,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of draws and starts; same seed, same figures.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with charts: one HTML file.")
    ] = None,
    all_rows: Annotated[
        bool, typer.Option("--all", help="Print all policies and all figures of each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay recorded prices hour by hour: each engine beside simple rules and the optimum.

    Engines decide by their real rules and guards, with only the past known. Costs are simulated.
    """

    from cli.backtest import replay_prices

    replay_prices(
        prices=prices,
        instance_type=instance_type,
        sample=sample,
        flexible=flexible,
        types=types,
        engine=engine,
        forecast=forecast,
        days=days,
        until=until,
        hazard=hazard,
        advisor=advisor,
        interruption_cost=interruption_cost,
        on_demand=on_demand,
        region=region,
        stack=stack,
        profile=profile,
        runs=runs,
        draws=draws,
        seed=seed,
        report=report,
        all_rows=all_rows,
        as_json=as_json,
    )
