"""A few chosen faults enter all that can be entered, and nothing of the product's breaks."""

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
    """Each that does is told with the command that repeats it."""
    assert len(results) == len(CHOSEN)
    assert [f"{r.spec.command}: {r.violation}" for r in results if r.violation] == []


def test_every_chosen_fault_happens(results: list[RunResult]) -> None:
    """One whose call is not made any more shows nothing."""
    missed = [r.spec.command for r in results if len(r.met) != len(r.spec.faults)]
    assert missed == []


def test_nothing_remains_unentered(results: list[RunResult]) -> None:
    """Every state, every Catch and every way out of a Choice of both state machines, and every kind of
    fault: what is missing is named, and needs a chosen run, or nobody needs it."""
    coverage = Coverage()
    for result in results:
        coverage.add(result)
    assert coverage.never_entered() == []


def test_what_no_run_enters_is_named(results: list[RunResult]) -> None:
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
