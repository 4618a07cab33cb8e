"""``spot-optimizer cost``."""

from typing import Annotated

import typer

from cli.options import JsonOption, SeedOption


def cost(
    workloads: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many workloads the stack manages.")
    ],
    days: Annotated[
        float, typer.Option(min=0.25, max=31, help="Days that represent the rest of the month.")
    ] = 1.0,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Count every call of a month and price it: us-east-1, list prices, no free tier.

    The real template, handlers and state machines run for the first eight hours and then for --days in
    the embedded account; those days represent the rest of the month. The cost of the managed instances
    is not included.
    """

    from cli.cost import price_a_month

    price_a_month(workloads=workloads, days=days, seed=seed, as_json=as_json)
