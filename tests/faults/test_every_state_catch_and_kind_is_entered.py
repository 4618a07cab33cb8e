"""A few chosen faults enter every state and every Catch, and break no invariant."""

import pytest

from simulator.trials.chosen import CHOSEN
from simulator.trials.coverage import Coverage
from simulator.trials.pool import Servers
from simulator.trials.run import RunResult


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    """Every chosen run."""
    with Servers(2) as servers:
        return list(servers.run(CHOSEN))


def test_no_chosen_fault_breaks_an_invariant(results: list[RunResult]) -> None:
    """A violation is printed with the command that repeats it."""
    assert len(results) == len(CHOSEN)
    assert [f"{r.spec.command}: {r.violation}" for r in results if r.violation] == []


def test_every_chosen_fault_happens(results: list[RunResult]) -> None:
    """A fault whose call no longer exists shows nothing."""
    missed = [r.spec.command for r in results if len(r.met) != len(r.spec.faults)]
    assert missed == []


def test_every_state_catch_choice_and_kind_is_entered(results: list[RunResult]) -> None:
    """Every state, Catch and exit of a Choice of both state machines, and every kind of fault: a missing
    one needs a chosen run, or is superfluous."""
    coverage = Coverage()
    for result in results:
        coverage.add(result)
    assert coverage.never_entered() == []


def test_unentered_parts_are_named(results: list[RunResult]) -> None:
    """Without the runs that enter them."""
    coverage = Coverage()
    for result in results:
        if not any("RecordHealthy" in fault or "stale" in fault for fault in result.spec.faults):
            coverage.add(result)
    missing = coverage.never_entered()
    assert "catch SwitchInstance/RecordHealthy!AbandonSwitch" in missing
    assert "fault stale" in missing
    everything = Coverage().never_entered()
    assert {"state FailOver/NotClaimed", "choice FailOver/OriginalGone?>WaitForTermination"} <= set(
        everything
    )
