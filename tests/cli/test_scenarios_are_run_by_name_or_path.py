"""`simulate` takes a name or a path, validates the scenario, and checks its expectations."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from simulator.account.account import StillRunning
from simulator.invariants import InvariantViolated
from simulator.scenario_file import builtin_names

RUN = CliRunner()
SCENARIO = """
schema: 1
shows: half an hour in Ireland
region: eu-west-1
hours: 0.5
workloads:
  - {name: shop, type: m5.large, lifecycle: spot, zone: eu-west-1b, cpu_vcpu: 1, tags: {state: stateless}}
expect:
  workloads:
    shop: {done: DONE, status: managed}
"""


def simulate(*arguments: str) -> Result:
    return RUN.invoke(app, ["simulate", *arguments])


def scenario(tmp_path: Path, text: str = SCENARIO) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_fulfilled_expectations_end_with_exit_code_0(tmp_path: Path) -> None:
    """The run uses the pools of the file's region and zone."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "0")))
    assert result.exit_code == 0, result.output
    assert "m5.large/eu-west-1b spot" in result.output
    assert "Not as expected" not in result.output


def test_workload_that_is_held_says_which_tag_it_lacks(tmp_path: Path) -> None:
    """Nothing of it is moved: who forgot the tag in a scenario sees why."""
    text = SCENARIO.replace("DONE", "0").replace(", tags: {state: stateless}", "")
    result = simulate(scenario(tmp_path, text))
    assert "tag it spot-optimizer:state = stateless" in " ".join(result.output.split())


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["story", "json"])
def test_unfulfilled_expectations_are_reported(tmp_path: Path, options: list[str]) -> None:
    """The exit code is 1, and each has a line."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "3")), *options)
    assert result.exit_code == 1, result.output
    assert "Not as expected: shop: done is 0, expected 3" in result.stderr


def test_run_changed_by_options_is_not_checked(tmp_path: Path) -> None:
    """Expectations hold for the unchanged file only."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "3")), "--seed", "2")
    assert result.exit_code == 0, result.output
    assert "Expectations are not checked" in result.output


@pytest.mark.parametrize(
    ("error", "line_start"),
    [
        (InvariantViolated("invariant 9:\nit broke"), "Violated: invariant 9: it broke (scenario "),
        (StillRunning("due later"), "Never quiet: due later (scenario "),
    ],
)
def test_aborted_run_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, line_start: str
) -> None:
    """The exit code is 1; the line has the scenario and the seed, and no traceback follows."""

    def aborts(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cli.simulate.run_simulation", aborts)
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "0")))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(line_start)
    assert line.endswith("mine.yaml, seed 1)")


def test_all_bundled_scenarios_are_listed() -> None:
    """Each has its name and a summary."""
    result = simulate("--list")
    assert result.exit_code == 0, result.output
    listed = {line.split()[0] for line in result.output.splitlines() if not line.startswith(" ")}
    assert set(builtin_names()) <= listed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SCENARIO, 'expect.workloads.shop.done = "DONE": allowed is a number, or [least, most]'),
        (SCENARIO.replace("DONE", "0").replace("hours", "hour"), "hour: unknown key; allowed are"),
        ("schema: [", "line 1, column"),
    ],
    ids=["value", "key", "yaml"],
)
def test_invalid_file_is_reported_in_one_line(tmp_path: Path, text: str, fault: str) -> None:
    """The exit code is 2, and nothing runs."""
    result = simulate(scenario(tmp_path, text))
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("mine.yaml: ")
    assert fault in line


@pytest.mark.parametrize(
    ("argument", "message"),
    [("dmeo", "one of advisor_turns_on_a_family"), ("none/mine.yaml", "No such file")],
    ids=["name", "path"],
)
def test_missing_scenario_is_reported(argument: str, message: str) -> None:
    """The exit code is 2; an unknown name is reported with the known ones."""
    result = simulate(argument)
    assert result.exit_code == 2
    assert message in result.output


def test_missing_market_file_is_reported(tmp_path: Path) -> None:
    """Its path is relative to the scenario's folder."""
    text = SCENARIO.replace("DONE", "0").replace("region: eu-west-1", "market: {prices: no.csv}")
    result = simulate(scenario(tmp_path, text))
    assert result.exit_code == 2
    assert "no.csv" in result.output
    assert "Traceback" not in result.output
