"""``spot-optimizer explain``."""

from datetime import datetime
from typing import Annotated

import typer

from cli.options import JsonOption, ProfileOption, RegionOption, StackOption


def explain(
    workload: Annotated[str, typer.Argument(help="Id of the workload.")],
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Run a scenario (a file, or a name from `simulate --list`) and explain a decision of it."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed for --scenario; default: the scenario's own.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Id of a decision, as on the ledger and in executions.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            help="The last decision up to this time, in UTC. A time without a date is of today, in a"
            " scenario of its first day. Default: the last decision.",
            formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%H:%M"],
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain the last decision about a workload.

    Shows the inputs, the thresholds and where each comes from, the guards, the best rivals, every
    rejected pool by reason, and what would have changed the decision, each tried with the engine that
    decided.
    """

    from cli.explain import explain_last

    explain_last(
        workload=workload,
        stack=stack,
        region=region,
        profile=profile,
        scenario=scenario,
        seed=seed,
        decision=decision,
        at=at,
        as_json=as_json,
    )
