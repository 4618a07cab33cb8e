"""``spot-optimizer train``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, OnDemandByRegionOption


def train(
    prices: Annotated[
        list[str],
        typer.Option(
            help="Price file: parquet, CSV or JSON. FILE@2021-05-11 uses only rows before that day"
            " (UTC). Repeat the option for several files."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model's files.", file_okay=False)],
    on_demand: OnDemandByRegionOption = None,
    name: Annotated[str, typer.Option(help="Name of the model in decisions.")] = "lightgbm",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, files and threads: same bytes.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of LightGBM.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Train and validate a model for prices and instability; write its files and model card.

    The last 14 % of each file are for validation: thresholds, initial corrections and the figures of
    the model card come from them.
    """

    from cli.train import train_and_describe

    train_and_describe(
        prices=prices,
        out=out,
        on_demand=on_demand,
        name=name,
        seed=seed,
        threads=threads,
        as_json=as_json,
    )
