"""The share of all single faults that a test run carries out; ``spot-optimizer soak`` runs all."""

from simulator.trials.plans import clean_runs, single_faults
from simulator.trials.pool import Servers
from simulator.trials.run import RunResult
from simulator.trials.trials import SINGLE

SEED = 1
EVERY = 397
"""A prime: no kind and no sort of call is always skipped. Kinds, states and Catches that it misses are
in ``simulator/trials/chosen.py``."""

FAILOVERS = tuple(name for name in SINGLE if "failover" in name)
SWITCHES = tuple(name for name in SINGLE if name not in FAILOVERS)


def share_of(trials: tuple[str, ...]) -> list[RunResult]:
    """The clean runs of these trials, and every 397th of their single faults."""
    with Servers(1) as servers:
        clean = list(servers.run(clean_runs(trials, SEED)))
        specs = [spec for each in clean for spec in single_faults(each)]
        return [*clean, *servers.run(specs[::EVERY])]


def violations(results: list[RunResult]) -> list[str]:
    """Trial, faults, seed, the command that repeats it, and what it violated."""
    return [
        f"{result.spec.command}\n    met {', '.join(result.met)}\n    {result.violation}"
        for result in results
        if result.violation
    ]
