"""``spot-optimizer explain``: why a decision was made, and what would have changed it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from cli.explanation_view import print_explained
from cli.moments import moment_of
from cli.plain import print_json
from cli.stacks import outputs_of
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.services.explain.explanation import Explained, explain_decision


def explain_last(
    *,
    workload: str,
    stack: str | None,
    region: str | None,
    profile: str | None,
    scenario: str | None,
    seed: int | None,
    decision: str | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Explain the last decision about a workload."""
    if (stack is None) == (scenario is None):
        raise typer.BadParameter("allowed is one of --stack and --scenario")
    if at is not None and decision is not None:
        raise typer.BadParameter("--at is not allowed with --decision, whose id has its time")
    try:
        if scenario is not None:
            from cli.scenario_decisions import explained_in_run

            explained = explained_in_run(scenario, seed, workload, decision, at)
        else:
            assert stack is not None
            explained = _of_stack(stack, region, profile, workload, decision, at)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error
    except (ClientError, BotoCoreError) as error:
        typer.echo(f"AWS: {error}", err=True)
        raise typer.Exit(code=1) from error
    if as_json:
        print_json(replace(explained, recorded=_with_iso_time(explained.recorded)))
    else:
        print_explained(explained, Console(highlight=False))


def _with_iso_time(recorded: dict[str, Any]) -> dict[str, Any]:
    """The archive writes a time with a space, as Athena reads it."""
    if "at" not in recorded:
        return recorded
    return {**recorded, "at": datetime.fromisoformat(recorded["at"])}


def _of_stack(
    stack: str,
    region: str | None,
    profile: str | None,
    workload: str,
    decision: str | None,
    at: datetime | None,
) -> Explained:
    outputs = outputs_of(stack, region, profile)
    now = datetime.now(UTC)
    return explain_decision(
        DataBucket(outputs["DataBucket"]),
        Ledger(outputs["LedgerTable"]),
        workload,
        until=moment_of(at, now) or now,
        decision_id=decision,
    )
