"""``spot-optimizer backtest``: what each engine would have cost on recorded prices."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from cli.backtest_request import check_options, globs_of, hazard_of, task_of
from cli.few_blocks import few_blocks
from cli.plain import print_json
from cli.plain_errors import check_file_to_write, not_written
from cli.progress import waiting
from cli.stacks import use_profile
from cli.train import day_s, on_demand_prices
from price_files.files import UnreadableFile
from spot_optimizer.settings import Settings

if TYPE_CHECKING:
    from backtest.inputs import Hazard
    from backtest.results import Figures
    from backtest.runs import Market, Replayed, Task

_ADVISOR = "Spot Advisor: "


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
    all_rows: bool,
    as_json: bool,
) -> None:
    """Replay recorded prices hour by hour: each engine beside simple rules and the optimum."""
    check_options(
        prices=prices, instance_type=instance_type, sample=sample, flexible=flexible, types=types,
        until=until, region=region, runs=runs, draws=draws,
    )  # fmt: skip
    check_file_to_write("--report", report)
    options = {
        "--prices": ", ".join(map(str, prices or ())),
        "--types": types,
        "--until": until,
        "--region": region,
        "--advisor": advisor,
    }
    with waiting(Console(highlight=False, stderr=True), quiet=as_json) as bar:
        shown = bar.add_task("reading", total=None)

        def tick(done: int, steps: int, what: str) -> None:
            bar.update(shown, completed=done, total=steps if steps > 1 else None, description=what)

        with _refused(options):
            remarks: list[str] = []
            task = task_of(engine, forecast, interruption_cost, runs, draws, seed)
            source = hazard_of(hazard, advisor, remarks)
            globs = globs_of(types, flexible)
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
            from backtest.results import figures_of
            from backtest.runs import replay

            replayed = replay(markets, task, tick)
            tick(0, 1, "intervals")
            figures = [figures_of(replayed, cost, seed) for cost in task.interruption_hours]
    about = _about(markets, replayed, task, hazard, remarks)
    _show(figures, replayed, about, report, all_rows, as_json)


@contextmanager
def _refused(options: Mapping[str, object]) -> Iterator[None]:
    """One line and an exit code for what cannot be replayed: 2 for inputs, 1 for an account."""
    # These take a second to import: boto3, LightGBM.
    from botocore.exceptions import BotoCoreError, ClientError

    from spot_optimizer.forecast.model_artifact import UnusableModel

    try:
        yield
    # Some of botocore's errors are ValueErrors too.
    except (ClientError, BotoCoreError) as error:
        from cli.aws_refusals import refused_by_account

        typer.echo(refused_by_account(error, str(options["--region"])), err=True)
        raise typer.Exit(code=1) from error
    except (UnreadableFile, UnusableModel) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=2) from error
    except ValueError as error:
        typer.echo(_with_options(str(error), options), err=True)
        raise typer.Exit(code=2) from error


def _with_options(text: str, options: Mapping[str, object]) -> str:
    """A refusal with the options that it is about, if it names none."""
    if text.startswith("--"):
        return text
    if text.startswith(_ADVISOR):
        source = options["--advisor"] or "the file of AWS"
        return f"--advisor {source}: {text.removeprefix(_ADVISOR)}"
    names = ("--prices", "--types", "--until") if options["--prices"] else ("--region", "--types")
    given = " ".join(f"{name} {options[name]}" for name in names if options[name])
    return f"{given}: {text}"


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


def _show(
    figures: "list[Figures]",
    replayed: "Replayed",
    about: dict[str, Any],
    report: Path | None,
    all_rows: bool,
    as_json: bool,
) -> None:
    if report is not None:
        from cli.backtest_page import write_page

        try:
            write_page(report, figures, replayed, about)
        except OSError as error:
            raise not_written("--report", report, error) from error
    if as_json:
        from backtest.results import as_document

        print_json(as_document(figures, about))
    else:
        from cli.backtest_tables import print_figures

        console = Console(highlight=False, markup=False, emoji=False)
        print_figures(figures, about, console, all_rows=all_rows)


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
    begun = task.runs * len(cases)
    blocks = min(begun, _workload_weeks(replayed))
    return {
        "regions": [m.period.region for m in markets],
        "from": datetime.fromtimestamp(begin, UTC),
        "until": datetime.fromtimestamp(end, UTC),
        "workloads": [case.requirement.name for case in cases],
        "types": fitting_types(cases),
        "pools": sum(case.on_demand for case in cases),
        "runs": begun,
        "draws": task.draws,
        "run_days": max(starts.hours for starts in replayed.starts) / 24,
        "step_hours": 1,
        "hazard": hazard,
        "seed": task.seed,
        "remarks": remarks,
        "interval_blocks": blocks,
        "interval_warning": few_blocks(blocks, _rest_on(blocks, begun, len(cases))),
    }


def _workload_weeks(replayed: "Replayed") -> int:
    """Number of weeks of a workload that the runs consist of: intervals are drawn from these."""
    any_policy = next(iter(next(iter(replayed.tallies.values())).values()))
    return len(
        {
            (workload, week)
            for workload, usd in zip(
                any_policy.requirement.tolist(), any_policy.weekly_usd.tolist(), strict=True
            )
            for week, spent in enumerate(usd)
            if spent > 0
        }
    )


def _rest_on(blocks: int, begun: int, workloads: int) -> str:
    """The smaller of runs and weeks, which limits the intervals."""
    of = f"of {workloads} workload{'' if workloads == 1 else 's'}"
    runs = f"{begun} run{'' if begun == 1 else 's'}"
    if blocks == begun:
        return f"{runs} {of}"
    return f"{blocks} week{'' if blocks == 1 else 's'} {of} ({runs} that overlap)"
