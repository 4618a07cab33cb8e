"""``spot-optimizer judge``."""

from typing import Annotated

import typer

from cli.options import (
    AdvisorOption,
    AtOption,
    EngineOption,
    JsonOption,
    OnDemandOption,
    PricesOption,
    ProfileOption,
    RegionOption,
    SeedOption,
    StackOption,
)


def judge(
    instance_type: Annotated[str, typer.Argument(help="Such as m5.large.")],
    zone: Annotated[str, typer.Argument(help="Such as us-east-1a.")],
    engine: EngineOption = None,
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
    """Judge one spot pool: what would be decided about an instance of this type that runs there.

    Uses a deployed stack (--stack), a price file (--prices), or the built-in market.
    """

    from cli.ask import judge_pool

    judge_pool(
        instance_type=instance_type,
        zone=zone,
        engine=engine,
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
