"""The command line's help needs nothing of the product, and the base install no extra."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.main import COMMANDS, Command, app

ROOT = Path(__file__).parents[2]
RUN = CliRunner()
OURS = {"backtest", "models", "price_files", "simulator", "spot_optimizer"}
HEAVY = {
    "boto3",
    "botocore",
    "lightgbm",
    "matplotlib",
    "moto",
    "numpy",
    "pyarrow",
    "pydantic",
    "scipy",
}


def test_help_imports_neither_the_product_nor_its_libraries() -> None:
    """A command imports its work when it runs."""
    script = "import sys, cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "typer" in loaded
    assert not set(loaded) & (OURS | HEAVY)


def test_simulator_needs_neither_parquet_nor_pictures() -> None:
    """The demo runs with the extra ``simulator`` alone."""
    parts = "simulate", "invoke", "soak", "cost", "markets_at_rest", "scenario_decisions"
    script = (
        "import importlib, sys; sys.modules.update(pyarrow=None, matplotlib=None);"
        f"[importlib.import_module(f'cli.{{part}}') for part in {parts}]"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "spot_optimizer")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


def test_a_backtest_draws_its_page_without_a_picture_library() -> None:
    """Its charts are SVG."""
    script = (
        "import sys; sys.modules.update(matplotlib=None); import cli.backtest, cli.backtest_page"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "spot_optimizer")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_is_in_the_help_with_its_group(option: str) -> None:
    """Both spellings; each command has one line."""
    result = RUN.invoke(app, [option])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command.name in result.output
        assert command.group in result.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_a_command_has_an_example_that_parses(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are those of the repository, or the user's own."""
    monkeypatch.chdir(ROOT)
    result = RUN.invoke(app, [command.name, "-h"])
    assert result.exit_code == 0
    assert f"Example: spot-optimizer {command.example}" in " ".join(result.output.split())
    name, *arguments = command.example.split()
    group = typer.main.get_command(app)
    group.commands[name].make_context(name, arguments)  # type: ignore[attr-defined]


def test_version_is_that_of_the_package() -> None:
    """One line."""
    result = RUN.invoke(app, ["--version"])
    assert result.output.split() == ["spot-optimizer", "0.1.0"]
