"""``spot-optimizer backtest``: what each engine would have cost on recorded prices."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from cli.progress import waiting
from cli.stacks import use_profile
from cli.train import day_s, on_demand_prices
from price_files.files import UnreadableFile
from spot_optimizer.settings import Settings

if TYPE_CHECKING:
    from backtest.inputs import Hazard
    from backtest.runs import Market, Replayed, Task

_FORECASTS = {"last-price": "last price", "model": "model", "perfect": "perfect 1 h forecast"}
RUNS_AND_DRAWS_MAX = 5_000
"""Of all draws together: a draw takes a byte per pool and hour."""


def replay_prices(
    *,
    prices: list[Path] | None,
    instance_type: list[str] | None,
    sample: int,
    flexible: bool,
    types: str | None,
    engine: list[str] | None,
    forecast: list[str] | None,
    days: float | None,
    until: str | None,
    hazard: str,
    advisor: Path | None,
    interruption_cost: list[float] | None,
    on_demand: Path | None,
    region: str | None,
    stack: str,
    profile: str | None,
    runs: int,
    draws: int,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Replay recorded prices hour by hour: each engine beside simple rules and the optimum."""
    _check(prices, instance_type, sample, flexible, types, until, region, report)
    if runs * draws > RUNS_AND_DRAWS_MAX:
        raise typer.BadParameter(
            f"--runs {runs} x --draws {draws}: allowed are {RUNS_AND_DRAWS_MAX} in all"
        )
    console = Console(highlight=False, stderr=True)
    # What follows takes a second to import: boto3, LightGBM, moto's catalog.
    from botocore.exceptions import BotoCoreError, ClientError

    from spot_optimizer.forecast.model_artifact import UnusableModel

    with waiting(console, quiet=as_json) as bar:
        shown = bar.add_task("reading", total=None)

        def tick(done: int, steps: int, what: str) -> None:
            bar.update(shown, completed=done, total=steps if steps > 1 else None, description=what)

        try:
            remarks: list[str] = []
            task = _task(engine, forecast, interruption_cost, runs, draws, seed)
            source = _hazard(hazard, advisor, remarks)
            globs = _globs(types, flexible)
            if prices:
                markets = _of_files(
                    prices, on_demand, region, instance_type, sample, globs, source, days, until,
                    seed, remarks,
                )  # fmt: skip
            else:
                assert region is not None
                use_profile(profile)
                markets = _of_account(
                    region, stack, instance_type, globs, source, days, tick, remarks
                )
            from backtest.results import as_document, figures_of
            from backtest.runs import replay

            replayed = replay(markets, task, tick)
            tick(0, 1, "intervals")
            figures = [figures_of(replayed, cost, seed) for cost in task.interruption_hours]
        except (UnreadableFile, UnusableModel, ValueError, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(code=2) from error
        except (ClientError, BotoCoreError) as error:
            typer.echo(f"AWS: {error}", err=True)
            raise typer.Exit(code=1) from error
    about = _about(markets, replayed, task, hazard, remarks)
    if report is not None:
        from cli.backtest_page import write_page

        write_page(report, figures, replayed, about)
    if as_json:
        typer.echo(json.dumps(as_document(figures, about)))
    else:
        from cli.backtest_tables import print_figures

        print_figures(figures, about)


def _check(
    prices: list[Path] | None,
    instance_type: list[str] | None,
    sample: int,
    flexible: bool,
    types: str | None,
    until: str | None,
    region: str | None,
    report: Path | None,
) -> None:
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
    if report is not None and not report.parent.is_dir():
        raise typer.BadParameter(f"--report {report}: there is no folder {report.parent}")


def _task(
    engine: list[str] | None,
    forecast: list[str] | None,
    interruption_cost: list[float] | None,
    runs: int,
    draws: int,
    seed: int,
) -> "Task":
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


def _globs(types: str | None, flexible: bool) -> tuple[str, ...] | None:
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


def _hazard(text: str, advisor: Path | None, remarks: list[str]) -> "Hazard":
    from backtest.inputs import Hazard
    from spot_optimizer.aws.reference_data import read_spot_advisor

    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    if match and float(match[1]) < 100:
        return Hazard(share=float(match[1]) / 100)
    if text != "advisor":
        raise ValueError(f"--hazard {text}: allowed are advisor, and 0% to below 100%")
    if advisor is not None:
        return Hazard(advisor=advisor.read_bytes())
    try:
        return Hazard(advisor=read_spot_advisor().body)
    except OSError as error:
        remarks.append(
            f"The Spot Advisor could not be read ({error}): every pool counts as one without an entry,"
            " 12.5 % interrupted a month."
        )
        return Hazard()


def _of_files(
    prices: list[Path],
    on_demand: Path | None,
    region: str | None,
    instance_type: list[str] | None,
    sample: int,
    globs: tuple[str, ...] | None,
    source: "Hazard",
    days: float | None,
    until: str | None,
    seed: int,
    remarks: list[str],
) -> "list[Market]":
    from backtest.inputs import Wanted, file_markets, known_types, markets_of

    until_s = None if until is None else day_s("--until", until)
    markets, dropped = file_markets(prices, on_demand_prices(on_demand), region)
    if dropped:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        remarks.append(f"Ignored rows of the files: {left}.")
    wanted = Wanted(tuple(dict.fromkeys(instance_type or ())), sample, globs)
    return markets_of(
        markets, known_types(), wanted, Settings(), source, days=days, until_s=until_s, seed=seed
    )


def _of_account(
    region: str,
    stack_name: str,
    instance_type: list[str] | None,
    globs: tuple[str, ...] | None,
    source: "Hazard",
    days: float | None,
    tick: Any,
    remarks: list[str],
) -> "list[Market]":
    from backtest.account import read_account
    from backtest.requirements import Requirement

    asked = [
        Requirement(name, name, (name,) if globs is None else globs, Settings())
        for name in instance_type or ()
    ]
    found = read_account(
        region,
        stack_name,
        asked,
        Settings(),
        source,
        days=days,
        now=datetime.now(UTC),
        progress=tick,
    )
    remarks.extend(f"Left out: {text}." for text in found.left_out)
    return [found.market]


def _about(
    markets: "list[Market]",
    replayed: "Replayed",
    task: "Task",
    hazard: str,
    remarks: list[str],
) -> dict[str, Any]:
    """What the figures are of, for the head of a table, a page or a document."""
    from backtest.requirements import fitting_types

    cases = [starts.case for starts in replayed.starts]
    begin = min(m.period.start_s for m in markets)
    end = max(m.period.at_s(m.period.hours) for m in markets)
    return {
        "regions": [m.period.region for m in markets],
        "from": f"{datetime.fromtimestamp(begin, UTC):%Y-%m-%d %H:%M}",
        "until": f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M}",
        "workloads": [case.requirement.name for case in cases],
        "types": fitting_types(cases),
        "pools": sum(case.on_demand for case in cases),
        "runs": task.runs * len(cases),
        "draws": task.draws,
        "run_days": max(starts.hours for starts in replayed.starts) / 24,
        "step_hours": 1,
        "hazard": hazard,
        "seed": task.seed,
        "remarks": remarks,
    }
