"""What is asked of a backtest: options, checked, as a task and its sources."""

import json
import re
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.plain_errors import reason_of
from spot_optimizer.settings import Settings

if TYPE_CHECKING:
    from backtest.inputs import Hazard
    from backtest.runs import Task

_FORECASTS = {"last-price": "last price", "model": "model", "perfect": "perfect 1 h forecast"}
RUNS_AND_DRAWS_MAX = 5_000
"""Of all draws together: a draw takes a byte per pool and hour."""


def check_options(
    *,
    prices: list[Path] | None,
    instance_type: list[str] | None,
    sample: int,
    flexible: bool,
    types: str | None,
    until: str | None,
    region: str | None,
    runs: int,
    draws: int,
) -> None:
    """Refuse options that do not go together. Raises typer.BadParameter."""
    if not prices and region is None:
        raise typer.BadParameter("give price files by --prices, or the account's --region")
    if prices and not instance_type and not sample:
        raise typer.BadParameter("with --prices say --instance-type, such as m5.large, or --sample")
    if instance_type and sample:
        raise typer.BadParameter("--instance-type and --sample: one or the other")
    if sample and not prices:
        raise typer.BadParameter("--sample draws from --prices")
    if flexible and types is not None:
        raise typer.BadParameter("--flexible and --types: one or the other")
    if until is not None and not prices:
        raise typer.BadParameter("--until is for --prices; an account is read up to now")
    if runs * draws > RUNS_AND_DRAWS_MAX:
        raise typer.BadParameter(
            f"--runs {runs} x --draws {draws}: allowed are {RUNS_AND_DRAWS_MAX} in all"
        )


def task_of(
    engine: list[str] | None,
    forecast: list[str] | None,
    interruption_cost: list[float] | None,
    runs: int,
    draws: int,
    seed: int,
) -> "Task":
    """What to replay. Raises ValueError for an unknown engine or forecast."""
    from backtest.runs import Task
    from spot_optimizer.decision.engines.registry import BUILT_IN
    from spot_optimizer.workflow.engines import UnknownEngine, require_engines

    names = tuple(dict.fromkeys(engine or BUILT_IN))
    try:
        engines = require_engines(names)
    except UnknownEngine as error:
        raise ValueError(f"--engine {error}") from error
    asked = tuple(dict.fromkeys(forecast or _FORECASTS))
    for name in asked:
        if name not in _FORECASTS:
            raise ValueError(f"--forecast {name}: allowed are {', '.join(_FORECASTS)}")
    return Task(
        engines=engines,
        engine_names=names,
        forecasts=tuple(_FORECASTS[name] for name in asked),
        interruption_hours=tuple(dict.fromkeys(interruption_cost or (None,))),
        confirm_safe_minutes=Settings().confirm_safe_minutes,
        runs=runs,
        draws=draws,
        seed=seed,
    )


def globs_of(types: str | None, flexible: bool) -> tuple[str, ...] | None:
    """The types that may be used; None: the workload's own. Raises ValueError."""
    if flexible:
        return ("*",)
    if types is None:
        return None
    globs = tuple(part for part in re.split(r"[,\s]+", types) if part)
    if not globs or not all(re.fullmatch(r"[a-z0-9*?.-]+", glob) for glob in globs):
        raise ValueError(
            f"--types {types}: allowed are type names with * and ?, separated by commas"
        )
    return globs


def hazard_of(text: str, advisor: Path | None, remarks: list[str]) -> "Hazard":
    """The source of interruption rates; a remark if AWS's file cannot be read. Raises ValueError."""
    from backtest.inputs import Hazard

    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    if match and float(match[1]) < 100:
        return Hazard(share=float(match[1]) / 100)
    if text != "advisor":
        raise ValueError(f"--hazard {text}: allowed are advisor, and 0% to below 100%")
    return Hazard(advisor=_of_aws(remarks) if advisor is None else _advisor_file(advisor))


def _advisor_file(path: Path) -> bytes:
    try:
        body = path.read_bytes()
        json.loads(body)
    except OSError as error:
        raise ValueError(f"--advisor {path}: {reason_of(error)}") from error
    except ValueError as error:  # also of bytes that are no text
        raise ValueError(
            f"--advisor {path}: it is not JSON; allowed is a copy of AWS's spot-advisor-data.json"
        ) from error
    return body


def _of_aws(remarks: list[str]) -> bytes | None:
    from spot_optimizer.aws.reference_data import read_spot_advisor

    try:
        return read_spot_advisor().body
    except OSError as error:
        answered = isinstance(error, urllib.error.HTTPError)
        why = f"AWS answered {error.code}" if answered else "AWS cannot be reached"  # type: ignore[attr-defined]
        remarks.append(
            f"The Spot Advisor file was not read ({why}): 12.5 % of the instances of every pool are"
            " interrupted a month, as for a pool without an entry. --advisor takes a copy of the file."
        )
        return None
