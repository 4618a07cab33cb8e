"""``spot-optimizer soak``: what it prints, whole, repeated or interrupted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from simulator.trials.pool import Servers
from simulator.trials.run import RunResult, RunSpec
from tests.cli.printed import document_of

SOAK = ["soak", "--trial", "undo", "--every", "199", "--seeds", "0", "--jobs", "1"]
Kept = tuple[Result, list[RunResult]]


@pytest.fixture(scope="module")
def soaked() -> Kept:
    """One small soak, and the results of its runs."""
    run, results = Servers.run, []

    def keeping(self: Servers, specs: Iterable[RunSpec]) -> Iterator[RunResult]:
        for result in run(self, specs):
            results.append(result)
            yield result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Servers, "run", keeping)
        return CliRunner().invoke(app, [*SOAK, "--json"]), results


def _replayed(
    monkeypatch: pytest.MonkeyPatch, results: list[RunResult], end: BaseException | None = None
) -> None:
    """The same results without their processes."""
    waiting = iter(results)

    def replay(_self: Servers, specs: Iterable[RunSpec]) -> Iterator[RunResult]:
        for _, result in zip(specs, waiting, strict=False):
            yield result
        if end is not None and next(waiting, None) is None:
            raise end

    monkeypatch.setattr(Servers, "__enter__", lambda self: self)
    monkeypatch.setattr(Servers, "run", replay)


def test_document_has_what_no_run_entered(soaked: Kept) -> None:
    """Progress and violations are on standard error."""
    document = document_of(soaked[0])
    assert document["runs"]["undo"] > 1
    assert document["single_fault_runs"] == document["runs"]["undo"] - 1
    assert document["violations"] == []
    assert document["never_entered"] == []  # it is asked of a soak of all trials


def test_violation_has_its_command(soaked: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and what repeats it."""
    clean, faulty, *others = soaked[1]
    _replayed(monkeypatch, [clean, replace(faulty, violation="it was lost"), *others])
    result = CliRunner().invoke(app, [*SOAK, "--json"])
    assert result.exit_code == 1
    (found,) = document_of(result)["violations"]
    assert found["violation"] == "it was lost"
    assert found["command"] == faulty.spec.command


def test_one_run_has_its_calls(soaked: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether it violated something."""
    faulty = soaked[1][1]
    _replayed(monkeypatch, [faulty])
    asked = ["soak", "--trial", "undo", "--fault", faulty.spec.faults[0], "--json"]
    document = document_of(CliRunner().invoke(app, asked))
    assert document["violation"] is None
    assert document["met"] == list(faulty.met)
    assert len(document["calls"]) == len(faulty.calls)


def test_interrupted_soak_shows_what_it_has_so_far(
    soaked: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tables are printed before it ends."""
    _replayed(monkeypatch, soaked[1][:2], KeyboardInterrupt())
    result = CliRunner().invoke(app, SOAK)
    assert result.exit_code == 130
    assert "Runs by trial" in result.output
