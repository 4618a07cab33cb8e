"""``spot-optimizer soak``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption


def soak(
    seeds: Annotated[
        int, typer.Option(min=0, help="Number of runs in which the seed decides everything.")
    ] = 100,
    every: Annotated[
        int,
        typer.Option(
            min=1, help="Run every n-th single fault only; a prime number covers all kinds."
        ),
    ] = 1,
    trial: Annotated[
        str | None, typer.Option(help="Only this trial; an unknown name lists them all.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="NUMBER:KIND, such as 17:lost-reply, or SERVICE:OPERATION@CALLER/STATE=WORKLOAD#N:KIND;"
            " one run of --trial with these faults."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="One run of --trial with this seed.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; default: one per processor.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File that keeps each result: a soak that was stopped goes on from it. It is for one"
            " version of the code.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Inject faults into every AWS call of small whole runs, and assert the invariants.

    First each single fault: every call of a clean run of each trial x every kind of fault possible for
    it. Then chosen faults that complete the coverage, and seeded runs with several workloads, several
    faults and people who act at the same time.

    Exit code 1: an invariant was violated, or a state, a Catch or an exit of a Choice was never entered.
    """

    from cli.soak import inject_faults

    inject_faults(
        seeds=seeds,
        every=every,
        trial=trial,
        fault=fault,
        seed=seed,
        jobs=jobs,
        results=results,
        as_json=as_json,
    )
