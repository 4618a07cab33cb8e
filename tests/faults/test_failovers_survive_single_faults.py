"""A fault at one call of a failover, also of one during a switch, breaks no invariant."""

import pytest

from simulator.trials.run import RunResult
from tests.faults.shares import FAILOVERS, share_of, violations


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    """Every 397th single fault of these trials, and the trials without any."""
    return share_of(FAILOVERS)


def test_no_invariant_is_violated(results: list[RunResult]) -> None:
    """Asserted after every event; at the end nothing is lost and there are no leftovers."""
    assert violations(results) == []


def test_every_trial_has_faults(results: list[RunResult]) -> None:
    """Each without a fault, and most with some."""
    assert {result.spec.trial for result in results} == set(FAILOVERS)
    faulty = {result.spec.trial for result in results if result.spec.faults}
    print(len(results), "runs, faults in", len(faulty), "of", len(FAILOVERS), "trials")
    assert len(faulty) > len(FAILOVERS) / 2


def test_every_fault_happens(results: list[RunResult]) -> None:
    """Up to its fault a run equals the clean one, so every fault meets its call."""
    assert [r.spec.command for r in results if r.spec.faults and not r.met] == []
