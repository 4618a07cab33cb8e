"""``spot-optimizer invoke``: invoke a function with an event in the embedded account."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import typer
from rich.console import Console

from cli.happenings import print_happening
from cli.plain import print_json
from simulator.account.account import FunctionFailed
from simulator.demo import demo
from simulator.happenings import Happening
from simulator.markets import builtin_market
from simulator.simulation import Observer, Simulation

_WARM_UP = timedelta(minutes=18)
"""Three cycles: adoption, prices, decisions."""
_AFTERWARDS = timedelta(minutes=12)
_HISTORY_OF_MODELS_DAYS = 24.0
"""Models are compared over one week and use the prices of two weeks before."""
_FILLS = 2


def invoke_function(
    *,
    function: str,
    event: Path,
    model: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Invoke a function of the template in an embedded account, and show what happens afterwards."""
    payload = _read(event)
    seen: list[Happening] = []
    history_days = 9.0 if model is None else _HISTORY_OF_MODELS_DAYS
    market = builtin_market(seed, None, 1, history_days=history_days)
    with Simulation(
        demo(), market, seed=seed, observer=Observer(_ignore, seen.append)
    ) as simulation:
        logical_id = _logical_id(function, simulation)
        simulation.pass_time(_WARM_UP)
        if model is not None:
            _upload(model, simulation)
        seen.clear()
        try:
            answer: Any = simulation.account.invoke(logical_id, payload)
            error = None
            simulation.pass_time(_AFTERWARDS)
        except FunctionFailed as failure:
            answer, error = None, f"{failure.error_type}: {failure.message}"
    if as_json:
        afterwards = [
            {"time": h.time, "workload": h.workload_id, "what": h.kind, "text": h.text}
            for h in seen
        ]
        document = {"answer": answer, "error": error, "afterwards": afterwards}
        print_json(document)
    elif error is None:
        _show(answer, seen)
    if error is not None:
        typer.echo(error, err=True)
        raise typer.Exit(code=1)


def _upload(model: Path, simulation: Simulation) -> None:
    """Upload as a user would, once there are enough prices to compare the model."""
    for _ in range(_FILLS):
        simulation.account.invoke("RefreshMarket", {"task": "fill"})
    bucket = simulation.account.outputs["DataBucket"]
    name = model.resolve().name
    for path in sorted(path for path in model.iterdir() if path.is_file()):
        boto3.client("s3").put_object(
            Bucket=bucket, Key=f"models/uploads/{name}/{path.name}", Body=path.read_bytes()
        )
    simulation.pass_time(timedelta(minutes=1))


def _show(answer: Any, seen: list[Happening]) -> None:
    console = Console(highlight=False)
    console.print("[bold]Answer[/] of the embedded account; nothing was called in AWS")
    console.print_json(json.dumps(answer))
    console.print(f"\n[bold]The next {_AFTERWARDS.total_seconds() / 60:.0f} minutes[/]")
    for happening in seen:
        print_happening(happening, console, whole=True)
    if not seen:
        console.print("  nothing new")


def _read(event: Path) -> Any:
    try:
        return json.loads(event.read_text())
    except ValueError as error:
        raise typer.BadParameter(f"{event} is not valid JSON: {error}") from error


def _logical_id(function: str, simulation: Simulation) -> str:
    """``launch_replacement`` or ``LaunchReplacement`` as the template's logical id."""
    known = {f.logical_id for f in simulation.account.stack.functions}
    wanted = "".join(part[:1].upper() + part[1:] for part in function.split("_"))
    if wanted not in known:
        names = ", ".join(sorted(known))
        raise typer.BadParameter(
            f"function '{function}' is not in the template; allowed are {names}"
        )
    return wanted


def _ignore(_now: object) -> None:
    return None
