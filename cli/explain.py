"""``spot-optimizer explain``: why a decision was made, and what would have changed it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from cli.explanation_view import print_explained
from cli.plain import to_json
from cli.simulate import JsonOption, market_of, planned_run
from cli.stacks import RegionOption, StackOption, outputs_of
from simulator.markets import Market
from simulator.simulation import Simulation, silent
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.services.explain.explanation import Explained, explain_decision

_NO_DATE = 1900
"""The year that the parser gives a time of day without a date."""


def explain(
    workload: Annotated[str, typer.Argument(help="Id of the workload.")],
    stack: StackOption = None,
    region: RegionOption = None,
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
    if (stack is None) == (scenario is None):
        raise typer.BadParameter("allowed is one of --stack and --scenario")
    if at is not None and decision is not None:
        raise typer.BadParameter("--at is not allowed with --decision, whose id has its time")
    try:
        if scenario is not None:
            explained = _of_scenario(scenario, seed, workload, decision, at)
        else:
            assert stack is not None
            explained = _of_stack(stack, region, workload, decision, at)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error
    except (ClientError, BotoCoreError) as error:
        typer.echo(f"AWS: {error}", err=True)
        raise typer.Exit(code=1) from error
    if as_json:
        typer.echo(to_json(explained))
    else:
        print_explained(explained, Console(highlight=False))


def _of_stack(
    stack: str, region: str | None, workload: str, decision: str | None, at: datetime | None
) -> Explained:
    outputs = outputs_of(stack, region)
    now = datetime.now(UTC)
    return explain_decision(
        DataBucket(outputs["DataBucket"]),
        Ledger(outputs["LedgerTable"]),
        workload,
        until=_moment(at, now) or now,
        decision_id=decision,
    )


def _of_scenario(
    name: str, seed: int | None, workload: str, decision: str | None, at: datetime | None
) -> Explained:
    planned = planned_run(name)
    known = sorted(spec.tags.get("workload", spec.name) for spec in planned.scenario.workloads)
    if workload not in known:
        raise typer.BadParameter(
            f"workload = '{workload}' is not in the scenario; known are {', '.join(known)}"
        )
    number = planned.seed if seed is None else seed
    market = market_of(
        planned.prices, planned.on_demand, planned.start, planned.hours, number, planned.region
    )
    until = _moment(at, market.start)
    with Simulation(
        planned.scenario, _shortened(market, until), seed=number, observer=silent()
    ) as simulation:
        simulation.run()
        outputs = simulation.account.outputs
        return explain_decision(
            DataBucket(outputs["DataBucket"]),
            Ledger(outputs["LedgerTable"]),
            workload,
            until=until or simulation.account.clock.now(),
            decision_id=decision,
        )


def _shortened(market: Market, until: datetime | None) -> Market:
    """The market up to the requested time: the rest of the run would not change the decision."""
    if until is None:
        return market
    if not market.start < until <= market.end:
        raise typer.BadParameter(
            f"--at {until:%Y-%m-%dT%H:%M} is outside the run, {market.start:%Y-%m-%dT%H:%M} to "
            f"{market.end:%Y-%m-%dT%H:%M}"
        )
    return replace(market, end=min(until + timedelta(minutes=1), market.end))


def _moment(at: datetime | None, day: datetime) -> datetime | None:
    if at is None:
        return None
    if at.year == _NO_DATE:
        at = at.replace(year=day.year, month=day.month, day=day.day)
    return at.replace(tzinfo=UTC)
