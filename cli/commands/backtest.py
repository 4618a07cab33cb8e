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
            " it. Give the option once for each file. Left out: the account's own history, of"
            " --region.",
        ),
    ] = None,
    instance_type: Annotated[
        list[str] | None,
        typer.Option(help="What the workload runs on; several for several workloads."),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, max=200, help="Draw this many types from the files instead.")
    ] = 0,
    flexible: Annotated[
        bool, typer.Option("--flexible", help="Every type that fits may be used.")
    ] = False,
    types: Annotated[
        str | None,
        typer.Option(help="Types that may be used, with * and ?, separated by commas."),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Engines to replay; default: all bundled engines.")
    ] = None,
    forecast: Annotated[
        list[str] | None,
        typer.Option(help="Forecasters of the engines: last-price, model, perfect; default: all."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help="Number of days at the end; default: all but the first eight."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Day before which to stop, UTC.")] = None,
    hazard: Annotated[
        str,
        typer.Option(help="Interruptions: advisor, or N% of the instances a month in every pool."),
    ] = "advisor",
    advisor: Annotated[
        Path | None,
        typer.Option(
            help="The Spot Advisor file; default: read from AWS.", exists=True, dir_okay=False
        ),
    ] = None,
    interruption_cost: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=168,
            help="Work that an interruption loses, instance-hours; several for a table each. Left"
            " out: what the settings say, half an hour unless a workload's tag says otherwise.",
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
        typer.Option(help="One region of the files; without files, the account's to read."),
    ] = None,
    stack: Annotated[
        str,
        typer.Option("--stack", "--stack-name", help="Whose workloads to read from the account."),
    ] = "spot-optimizer",
    profile: ProfileOption = None,
    runs: Annotated[
        int,
        typer.Option(min=1, max=RUNS_MAX, help="Runs of each workload, begun at different times."),
    ] = 12,
    draws: Annotated[
        int,
        typer.Option(
            min=1,
            max=DRAWS_MAX,
            help="How often each is repeated with other interruptions: less luck.",
        ),
    ] = 10,
    seed: Annotated[
        int, typer.Option(min=0, help="Of draws and starts; same seed, same figures.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with pictures.", dir_okay=False)
    ] = None,
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
        as_json=as_json,
    )
