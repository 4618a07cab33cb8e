"""`simulate` takes a name or a path, checks it first, and judges the run by the file's expectations."""

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


def test_expectations_that_come_true_end_well(tmp_path: Path) -> None:
    """Exit code 0; the pools are those of the file's region and zone."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "0")))
    assert result.exit_code == 0, result.output
    assert "m5.large/eu-west-1b spot" in result.output
    assert "Not as expected" not in result.output


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["story", "json"])
def test_expectations_that_do_not_come_true_are_told(tmp_path: Path, options: list[str]) -> None:
    """Exit code 1 and a line for each."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "3")), *options)
    assert result.exit_code == 1, result.output
    assert "Not as expected: shop: done is 0, expected 3" in result.stderr


def test_a_run_that_options_change_is_not_judged(tmp_path: Path) -> None:
    """It is another run than the file's."""
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "3")), "--seed", "2")
    assert result.exit_code == 0, result.output
    assert "Expectations are not checked" in result.output


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvariantViolated("invariant 9:\nit broke"), "Violated: invariant 9: it broke (scenario "),
        (StillRunning("due later"), "Never quiet: due later (scenario "),
    ],
)
def test_a_run_that_breaks_off_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    """Exit code 1, with what repeats it, and no traceback."""

    def breaks_off(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cli.simulate.run_simulation", breaks_off)
    result = simulate(scenario(tmp_path, SCENARIO.replace("DONE", "0")))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(told)
    assert line.endswith("mine.yaml, seed 1)")


def test_all_that_come_along_are_listed() -> None:
    """By name, with what they show."""
    result = simulate("--list")
    assert result.exit_code == 0, result.output
    listed = {line.split()[0] for line in result.output.splitlines() if not line.startswith(" ")}
    assert set(builtin_names()) <= listed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SCENARIO, 'expect.workloads.shop.done = "DONE": allowed is a number, or [least, most]'),
        (SCENARIO.replace("DONE", "0").replace("hours", "hour"), "hour: unknown key; allowed are"),
        ("schema: [", "line 1, column"),
    ],
    ids=["value", "key", "yaml"],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, text: str, told: str) -> None:
    """Exit code 2, nothing is run."""
    result = simulate(scenario(tmp_path, text))
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("mine.yaml: ")
    assert told in line


@pytest.mark.parametrize(
    ("argument", "told"),
    [("dmeo", "one of advisor_turns_on_a_family"), ("none/mine.yaml", "No such file")],
    ids=["name", "path"],
)
def test_what_is_not_there_is_told(argument: str, told: str) -> None:
    """Exit code 2; a name is told with those that there are."""
    result = simulate(argument)
    assert result.exit_code == 2
    assert told in result.output


def test_a_market_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The path is looked for from the scenario's folder."""
    text = SCENARIO.replace("DONE", "0").replace("region: eu-west-1", "market: {prices: no.csv}")
    result = simulate(scenario(tmp_path, text))
    assert result.exit_code == 2
    assert "no.csv" in result.output
    assert "Traceback" not in result.output
