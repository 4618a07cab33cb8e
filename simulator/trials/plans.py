"""All runs: every single fault of every trial, and those drawn from seeds."""

from collections.abc import Iterable, Iterator

from simulator.faults.kinds import FaultKind
from simulator.trials.run import RunResult, RunSpec
from simulator.trials.trials import RANDOM, TRIALS

OF_DELIVERIES = tuple(kind for kind in FaultKind if kind.of_delivery)


def clean_runs(trials: Iterable[str], seed: int) -> list[RunSpec]:
    """One run of each trial without a fault, to learn its calls."""
    return [RunSpec(trial, seed) for trial in trials]


def single_faults(clean: RunResult) -> Iterator[RunSpec]:
    """Every call of a clean run x every kind of fault possible for it; the same for every delivery."""
    trial, seed = clean.spec.trial, clean.spec.seed
    for number, (_, *kinds) in enumerate(clean.calls, start=1):
        for kind in kinds:
            if kind == FaultKind.DENIED or not TRIALS[trial].double:
                yield RunSpec(trial, seed, (f"{number}:{kind}",))
    for number in range(1, clean.deliveries + 1 if not TRIALS[trial].double else 1):
        for kind in OF_DELIVERIES:
            yield RunSpec(trial, seed, (f"{number}:{kind.value}",))


def seeded_runs(count: int, first: int = 1) -> list[RunSpec]:
    """Random runs of so many seeds."""
    return [RunSpec(RANDOM, seed) for seed in range(first, first + count)]
