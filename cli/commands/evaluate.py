"""``spot-optimizer evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, OnDemandByRegionOption


def evaluate(
    prices: Annotated[
        list[Path],
        typer.Option(
            help="Price file: parquet, CSV or JSON, of any regions and types. Repeat the option for"
            " several files.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of a model; default: the bundled one."),
    ] = None,
    on_demand: OnDemandByRegionOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", help="First day to score, UTC; default: after 8 days of each region."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop before this day, UTC.")] = None,
    every_hours: Annotated[int, typer.Option(min=1, max=24, help="Hours between forecasts.")] = 1,
    recalibrate: Annotated[
        bool, typer.Option(help="Correct the model every day, as the deployed function does.")
    ] = True,
    picture: Annotated[
        Path | None,
        typer.Option(help="Write a PNG of skill and reliability."),
    ] = None,
    all_figures: Annotated[bool, typer.Option("--all", help="Print all figures.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast a recorded market hour by hour, using only the past, and measure the forecasts.

    Every figure is shown with those of simple rules. Errors are of log prices; squared errors also of
    prices in dollars. Intervals in brackets are 90 %, drawn by week and family.
    """

    from cli.evaluate import evaluate_model

    evaluate_model(
        prices=prices,
        model=model,
        on_demand=on_demand,
        start=start,
        until=until,
        every_hours=every_hours,
        recalibrate=recalibrate,
        picture=picture,
        all_figures=all_figures,
        as_json=as_json,
    )
