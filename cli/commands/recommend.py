"""``spot-optimizer recommend``."""

from typing import Annotated

import typer

from cli.options import (
    AdvisorOption,
    AtOption,
    JsonOption,
    OnDemandOption,
    PricesOption,
    ProfileOption,
    RegionOption,
    SeedOption,
    StackOption,
)


def recommend_pools(
    vcpu: Annotated[float, typer.Option(help="vCPU per instance.", min=0.001)],
    memory: Annotated[float, typer.Option(help="GiB of memory per instance.", min=0.001)],
    count: Annotated[int, typer.Option(help="Number of instances.", min=1, max=10_000)] = 1,
    architecture: Annotated[str, typer.Option(help="x86_64 or arm64.")] = "x86_64",
    types: Annotated[str, typer.Option(help="Type names with * and ?, separated by commas.")] = "*",
    zones: Annotated[str, typer.Option(help="Zones, separated by commas; default: all.")] = "",
    interruption_cost_minutes: Annotated[
        float | None,
        typer.Option(help="Work lost by an interruption; default: the stack's, or 30."),
    ] = None,
    burstable: Annotated[
        bool | None,
        typer.Option("--burstable/--no-burstable", help="Whether burstable types are allowed."),
    ] = None,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    prices: PricesOption = None,
    on_demand: OnDemandOption = None,
    advisor: AdvisorOption = None,
    at: AtOption = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Where instances of this size should run: ranked pools, a plan, and its saving.

    Uses a deployed stack (--stack), which collects prices of types that can host one of its workloads, a
    price file (--prices), or the built-in market.
    """

    from cli.ask import recommend_places

    recommend_places(
        vcpu=vcpu,
        memory=memory,
        count=count,
        architecture=architecture,
        types=types,
        zones=zones,
        interruption_cost_minutes=interruption_cost_minutes,
        burstable=burstable,
        stack=stack,
        region=region,
        profile=profile,
        prices=prices,
        on_demand=on_demand,
        advisor=advisor,
        at=at,
        seed=seed,
        as_json=as_json,
    )
