"""A decision of a scenario, explained after a run of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import typer

from cli.moments import moment_of
from cli.simulate import market_of, planned_run
from simulator.markets import Market
from simulator.simulation import Simulation, silent
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.services.explain.explanation import Explained, explain_decision


def explained_in_run(
    name: str, seed: int | None, workload: str, decision: str | None, at: datetime | None
) -> Explained:
    """Run the scenario up to ``at`` and explain. Raises InvalidRequest; a message and exit code 2 for an
    unknown scenario or workload."""
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
    until = moment_of(at, market.start)
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
