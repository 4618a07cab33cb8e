"""Random runs: several workloads and faults, duplicates, delays, and interfering users."""

import pytest

from simulator.trials.plans import seeded_runs
from simulator.trials.pool import Servers
from simulator.trials.run import RunResult
from tests.faults.shares import violations

SEEDS = 100
TWICE = 8


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    """The runs of the seeds from 1 on."""
    with Servers(1) as servers:
        return list(servers.run(seeded_runs(SEEDS)))


def test_no_invariant_is_violated(results: list[RunResult]) -> None:
    """In any combination, every workload ends on one healthy instance."""
    assert len(results) == SEEDS
    assert violations(results) == []


def test_seed_repeats_its_run(results: list[RunResult]) -> None:
    """Every call at the same moment and the same ledger at the end, in another process too."""
    first = {result.spec.seed: result.trace for result in results if result.spec.seed <= TWICE}
    with Servers(1) as servers:
        second = {r.spec.seed: r.trace for r in servers.run(seeded_runs(TWICE))}
    assert second == first
    assert len(set(first.values())) == TWICE


def test_switches_happen_and_faults_meet_them(results: list[RunResult]) -> None:
    """Runs without events would prove nothing."""
    assert sum(len(result.outcomes) for result in results) > 2 * SEEDS
    assert sum(len(result.met) for result in results) > 2 * SEEDS
