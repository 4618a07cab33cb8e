"""Options that several commands have."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

StackOption = Annotated[
    str | None, typer.Option(help="Name of a deployed stack; needs AWS credentials.")
]
RegionOption = Annotated[
    str | None, typer.Option(help="Region of --stack; default: that of your AWS configuration.")
]
ProfileOption = Annotated[
    str | None, typer.Option(help="Profile of your AWS configuration; default: its default.")
]
PricesOption = Annotated[
    Path | None,
    typer.Option(
        help="Recorded spot prices: parquet, CSV, or JSON as `aws ec2 describe-spot-price-history`"
        " prints it. Without it a built-in market is generated.",
    ),
]
OnDemandOption = Annotated[
    Path | None,
    typer.Option(help="On-demand prices for --prices, CSV or JSON."),
]
OnDemandByRegionOption = Annotated[
    Path | None,
    typer.Option(
        help="On-demand prices, CSV or JSON, with a region column if there are several regions. A"
        " column on_demand_price in the price files wins.",
    ),
]
AdvisorOption = Annotated[
    Path | None,
    typer.Option(
        help="A copy of AWS's spot-advisor-data.json, for --prices.", exists=True, dir_okay=False
    ),
]
AtOption = Annotated[
    datetime | None,
    typer.Option(
        help="Time within --prices, UTC; default: its end.", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"]
    ),
]
EngineOption = Annotated[
    str | None, typer.Option(help="Engine that judges; default: the stack's, or expected_cost.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, help="Seed of market and world; same seed, same run.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
