"""Results are kept as they come: a soak that was stopped runs only what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.trials.results import OtherCode, ResultFile, identity_of_code
from simulator.trials.run import RunResult, RunSpec

RESULT = RunResult(
    spec=RunSpec("switch", 3, ("17:lost-reply",)),
    violation=None,
    calls=(("1 ec2:RunInstances", "error"),),
    deliveries=1,
    met=("17:lost-reply",),
    states=("SwitchInstance/HandOver",),
    edges=("SwitchInstance/HandOver>HandedOver?",),
    outcomes=("web DONE",),
    settled_s=12.5,
    trace="abc",
    real_s=0.5,
)


def test_kept_results_are_known_again(tmp_path: Path) -> None:
    """All of a result but its long list of calls."""
    path = tmp_path / "soak.jsonl"
    with ResultFile(path) as kept:
        assert kept.known == {}
        kept.keep(RESULT)
    assert ResultFile(path).known == {RESULT.spec: replace(RESULT, calls=())}


def test_result_that_a_stop_cut_off_is_run_again(tmp_path: Path) -> None:
    """The others are known, and what is kept afterwards is too."""
    path = tmp_path / "soak.jsonl"
    cut, later = RunSpec("switch", 4), RunSpec("switch", 5)
    with ResultFile(path) as kept:
        kept.keep(RESULT)
        kept.keep(replace(RESULT, spec=cut))
    path.write_bytes(path.read_bytes()[:-40])
    with ResultFile(path) as kept:
        assert set(kept.known) == {RESULT.spec}
        kept.keep(replace(RESULT, spec=later))
    assert set(ResultFile(path).known) == {RESULT.spec, later}


@pytest.mark.parametrize("first", [json.dumps({"code": "0" * 24}), "[1]", "no results at all"])
def test_results_of_other_code_are_refused(tmp_path: Path, first: str) -> None:
    """They prove nothing about this code; the file is left as it is."""
    path = tmp_path / "soak.jsonl"
    path.write_text(first + "\n")
    assert first != identity_of_code()
    with pytest.raises(OtherCode, match=r"soak\.jsonl has results of other code"):
        ResultFile(path)
    assert path.read_text() == first + "\n"
