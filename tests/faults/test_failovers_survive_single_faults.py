"""A fault at one call of a rescue, also of one during a switch, breaks no invariant."""

import pytest

from simulator.trials.run import RunResult
from tests.faults.shares import FAILOVERS, share_of, violations


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    """Every 197th single fault of these trials, and the trials without any."""
    return share_of(FAILOVERS)


def test_no_invariant_is_violated(results: list[RunResult]) -> None:
    """Asserted after every event; and afterwards nothing is lost, and nothing is left over."""
    assert violations(results) == []


def test_every_trial_is_met(results: list[RunResult]) -> None:
    """Each without a fault, and most with some."""
    assert {result.spec.trial for result in results} == set(FAILOVERS)
    faulty = {result.spec.trial for result in results if result.spec.faults}
    print(len(results), "runs, faults in", len(faulty), "of", len(FAILOVERS), "trials")
    assert len(faulty) > len(FAILOVERS) / 2


def test_every_fault_happens(results: list[RunResult]) -> None:
    """Up to its fault a run is the clean one, so no fault waits in vain."""
    assert [r.spec.command for r in results if r.spec.faults and not r.met] == []
