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
