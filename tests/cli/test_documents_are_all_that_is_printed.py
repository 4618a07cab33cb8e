"""Every command has --json, which prints one document and nothing else."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.main import COMMANDS, app
from tests.cli.printed import document_of

RUN = CliRunner()


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_has_the_option(name: str) -> None:
    """By the same name everywhere."""
    group = typer.main.get_command(app)
    options = [option for each in group.commands[name].params for option in each.opts]  # type: ignore[attr-defined]
    assert "--json" in options


def test_converted_file_is_named(tmp_path: Path) -> None:
    """With its size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, out = tmp_path / "a.parquet", tmp_path / "a.csv"
    pq.write_table(pa.table({"price": [0.1]}), source)
    result = RUN.invoke(app, ["convert", str(source), str(out), "--json"])
    assert document_of(result) == {"file": str(out), "bytes": out.stat().st_size}


def test_scenarios_are_listed() -> None:
    """As the list for people has them."""
    listed = document_of(RUN.invoke(app, ["simulate", "--list", "--json"]))
    shown = RUN.invoke(app, ["simulate", "--list"]).output
    assert listed
    assert all(each["name"] in shown and each["hours"] > 0 for each in listed)


def test_a_run_with_a_fault_has_its_calls_and_its_command() -> None:
    """And whether it violated something."""
    asked = ["soak", "--trial", "undo", "--fault", "9:error", "--json"]
    document = document_of(RUN.invoke(app, asked))
    assert document["violation"] is None
    assert document["met"]
    assert len(document["calls"]) > 9
    assert document["command"].startswith("spot-optimizer soak --trial undo --fault 9:error")


def test_a_soak_has_what_no_run_entered() -> None:
    """Progress and violations are on standard error."""
    result = RUN.invoke(
        app, ["soak", "--trial", "undo", "--every", "199", "--seeds", "0", "--jobs", "1", "--json"]
    )
    document = document_of(result)
    assert document["runs"]["undo"] > 1
    assert document["single_fault_runs"] == document["runs"]["undo"] - 1
    assert document["violations"] == []
    assert document["never_entered"] == []  # it is asked of a soak of all trials
