"""``spot-optimizer soak``: single and random faults at every AWS call, and their violations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from cli.plain import print_json
from cli.progress import counting
from simulator.faults.places import parse_fault
from simulator.trials.chosen import CHOSEN
from simulator.trials.coverage import Coverage
from simulator.trials.plans import clean_runs, seeded_runs, single_faults
from simulator.trials.pool import Servers
from simulator.trials.results import OtherCode, ResultFile
from simulator.trials.run import RunResult, RunSpec
from simulator.trials.trials import RANDOM, SINGLE, TRIALS

_SEED = 1


def inject_faults(
    *,
    seeds: int,
    every: int,
    trial: str | None,
    fault: list[str] | None,
    seed: int | None,
    jobs: int | None,
    results: Path | None,
    as_json: bool,
) -> None:
    """Inject faults into every AWS call of small whole runs, and assert the invariants."""
    console = Console(highlight=False, stderr=as_json)  # only the document is for standard output
    if trial is not None and trial not in TRIALS:
        raise typer.BadParameter(f"--trial {trial!r} is unknown; choose one of {', '.join(TRIALS)}")
    if fault or seed is not None:
        _repeat(_one_run(trial, fault or [], seed), console, as_json=as_json)
        return
    try:
        kept = ResultFile(results) if results is not None else None
    except (OtherCode, OSError) as error:
        raise typer.BadParameter(f"--results {error}") from error
    coverage = Coverage()
    chosen = [name for name in SINGLE if trial in (None, name)]
    with Servers(jobs) as servers:
        clean = [_checked(result, console) for result in servers.run(clean_runs(chosen, _SEED))]
        plan = [spec for each in clean for spec in single_faults(each)][::every]
        plan += CHOSEN if trial is None else ()
        if trial in (None, RANDOM):
            plan += seeded_runs(seeds)
        try:
            for result in _with_progress(_run(servers, plan, kept), len(plan), console):
                coverage.add(result)
        except KeyboardInterrupt:
            _report(coverage, None, console, as_json=as_json)
            raise
    for result in clean:
        coverage.add(result)
    missing = coverage.never_entered() if trial is None else []
    _report(coverage, missing, console, as_json=as_json)
    if missing or coverage.violated:
        raise typer.Exit(code=1)


def _run(servers: Servers, plan: Sequence[RunSpec], kept: ResultFile | None) -> Iterator[RunResult]:
    """The results that the file has, then the others as they end."""
    if kept is None:
        yield from servers.run(plan)
        return
    with kept:
        yield from (kept.known[spec] for spec in plan if spec in kept.known)
        for result in servers.run([spec for spec in plan if spec not in kept.known]):
            kept.keep(result)
            yield result


def _one_run(trial: str | None, faults: list[str], seed: int | None) -> RunSpec:
    if trial is None:
        raise typer.BadParameter("--fault and --seed need a --trial")
    for text in faults:
        try:
            parse_fault(text)
        except ValueError as error:
            raise typer.BadParameter(f"--fault {error}") from error
    return RunSpec(trial, _SEED if seed is None else seed, tuple(faults))


def _repeat(spec: RunSpec, console: Console, *, as_json: bool) -> None:
    """One run, with a list of all its calls."""
    with Servers(1) as servers:
        (result,) = servers.run([spec])
    if as_json:
        calls = [call for call, *_ in result.calls]
        print_json({**asdict(result), "calls": calls, "command": spec.command})
    else:
        _print_run(result, console)
    if result.violation:
        raise typer.Exit(code=1)


def _print_run(result: RunResult, console: Console) -> None:
    for call, *_ in result.calls:
        console.print(call, markup=False)
    console.print(f"faults: {', '.join(result.met) or 'none'}")
    console.print(f"switches: {', '.join(result.outcomes) or 'none'}")
    console.print(f"trace: {result.trace}")
    if result.violation:
        console.print(f"[red]violated[/] {result.violation}", soft_wrap=True)
    else:
        console.print("no violation")


def _checked(result: RunResult, console: Console) -> RunResult:
    """A clean run must not fail: runs with faults would prove nothing."""
    if result.violation:
        console.print(f"[red]{result.spec.trial} without a fault:[/] {result.violation}")
        raise typer.Exit(code=1)
    return result


def _with_progress(
    results: Iterable[RunResult], total: int, console: Console
) -> Iterator[RunResult]:
    with counting(console) as progress:
        task = progress.add_task("soaking", total=total)
        for result in results:
            progress.update(task, advance=1, description=result.spec.trial)
            if result.violation:
                console.print(f"[red]violated[/] {result.violation}", soft_wrap=True)
                console.print(
                    f"  trial {result.spec.trial}, seed {result.spec.seed},"
                    f" faults {', '.join(result.met) or 'none'}; repeat it with:",
                    soft_wrap=True,
                )
                console.print(f"  {result.spec.command}", soft_wrap=True)
            yield result


def _report(
    coverage: Coverage, missing: list[str] | None, console: Console, *, as_json: bool
) -> None:
    """``missing``: what no run has entered; None if the soak was interrupted."""
    if as_json:
        print_json(_document(coverage, missing))
        return
    _print_tables(coverage, console)
    for each in missing or ():
        console.print(f"[red]never entered[/] {each}")


def _document(coverage: Coverage, missing: list[str] | None) -> dict[str, Any]:
    return {
        "runs": dict(coverage.runs),
        "single_fault_runs": coverage.single,
        "seeded_runs": coverage.runs[RANDOM],
        "faults": dict(coverage.faults_by_kind()),
        "violations": [
            {"trial": r.spec.trial, "violation": r.violation, "command": r.spec.command}
            for r in coverage.violated
        ],
        "states_entered": coverage.states_entered,
        "catches_taken": coverage.catches_taken,
        "choices_made": coverage.choices_made,
        "never_entered": missing,
    }


def _print_tables(coverage: Coverage, console: Console) -> None:
    trials = Table(title="Runs by trial")
    kinds = Table(title="Faults that happened, by kind")
    for heading in ("trial", "runs", "faults", "violations"):
        trials.add_column(heading, justify="left" if heading == "trial" else "right")
    for name, runs in sorted(coverage.runs.items()):
        faults = sum(count for (trial, _), count in coverage.faults.items() if trial == name)
        violated = sum(result.spec.trial == name for result in coverage.violated)
        trials.add_row(name, str(runs), str(faults), str(violated))
    kinds.add_column("kind")
    kinds.add_column("faults", justify="right")
    for kind, happened in coverage.faults_by_kind().items():
        kinds.add_row(kind, str(happened))
    console.print(trials)
    console.print(kinds)
    console.print(
        f"{coverage.single} single-fault runs, {coverage.runs[RANDOM]} seeded runs,"
        f" {len(coverage.violated)} violations; states entered {coverage.states_entered},"
        f" Catches taken {coverage.catches_taken}, exits of Choices {coverage.choices_made}"
    )
    if coverage.slowest is not None:
        console.print(
            f"longest time from the last fault until quiet: {coverage.slowest.settled_s / 60:.0f} min,"
            f" {coverage.slowest.spec.command}"
        )
