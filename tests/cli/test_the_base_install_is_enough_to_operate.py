"""The wheel without an extra, among nothing but what it requires."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("backtest", "cli", "models", "price_files", "simulator")
FORBIDDEN = {"lightgbm", "matplotlib", "moto", "pyarrow", "scipy"}
ASKED = [
    ("explain", "web", "--stack", "mine"),
    ("judge", "m5.large", "us-east-1a", "--stack", "mine"),
    ("recommend", "--vcpu", "2", "--memory", "8", "--stack", "mine"),
]
"""Commands that need no extra, up to the missing region."""
EXTRA = {
    ("simulate",): "simulator",
    ("judge", "m5.large", "us-east-1a"): "simulator",
    ("cost", "--workloads", "1"): "simulator",
    ("soak",): "simulator",
    ("convert", "a.parquet", "b.csv"): "backtest",
    ("train", "--prices", "wheels", "--out", "model"): "train",
    ("backtest", "--prices", "a.parquet", "--instance-type", "m5.large"): "backtest",
}
"""Commands whose extra is missing."""
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from typer.testing import CliRunner
from cli.main import app
for arguments in json.loads(sys.argv[2]):
    ran = CliRunner().invoke(app, arguments)
    print(json.dumps([ran.exit_code, ran.stdout, ran.stderr]))
"""
Base = dict[tuple[str, ...], tuple[int, str, str]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Exit code and both outputs of commands, as the base install has them, without any configuration of
    AWS."""
    folder = tmp_path_factory.mktemp("base")
    installed = _install_wheel(folder)
    (wheel,) = metadata.distributions(path=[str(installed)])
    required = _required_by(wheel)
    assert not required & FORBIDDEN  # what an operator does not need is in an extra
    for name in required:
        for path in _top_level(name):
            (installed / path.name).symlink_to(path)
    (folder / "a.parquet").write_bytes(b"PAR1")
    commands = [*((command.name, "--help") for command in COMMANDS), *ASKED, *EXTRA]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT, str(installed), json.dumps(commands)],
        cwd=folder,
        env={"HOME": str(folder), "COLUMNS": "200"},
        check=True,
        capture_output=True,
        text=True,
    )
    printed = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    return dict(zip(commands, printed, strict=True))


def _install_wheel(folder: Path) -> Path:
    """Build it from a copy, so that nothing appears in the repository."""
    source, wheels, installed = folder / "source", folder / "wheels", folder / "installed"
    without = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (*PACKAGES, "layers/spot_optimizer/spot_optimizer"):
        shutil.copytree(ROOT / name, source / name, ignore=without)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w"]
    subprocess.run([sys.executable, "-m", "pip", *build, wheels, source], check=True)
    (wheel,) = wheels.iterdir()
    shutil.unpack_archive(wheel, installed, "zip")
    return installed


def _required_by(dist: metadata.Distribution) -> set[str]:
    """What a distribution without extras requires here, directly or not."""
    found: set[str] = set()
    todo: list[tuple[metadata.Distribution, set[str]]] = [(dist, {""})]
    while todo:
        dist, extras = todo.pop()
        for each in map(Requirement, dist.requires or ()):
            applies = each.marker is None or any(each.marker.evaluate({"extra": x}) for x in extras)
            if applies and each.name.lower() not in found:
                found.add(each.name.lower())
                todo.append((metadata.distribution(each.name), each.extras or {""}))
    return found


def _top_level(name: str) -> Iterator[Path]:
    dist = metadata.distribution(name)
    names = {
        file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")
    }
    for each in sorted(names):
        yield Path(str(dist.locate_file(each)))


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_shows_its_help(base: Base, name: str) -> None:
    """Also one whose extra is missing."""
    code, stdout, stderr = base[name, "--help"]
    assert code == 0, stderr
    assert "Example: spot-optimizer" in stdout


@pytest.mark.parametrize("arguments", ASKED, ids=lambda arguments: arguments[0])
def test_a_stack_is_asked_without_an_extra(base: Base, arguments: tuple[str, ...]) -> None:
    """Up to the missing region."""
    code, _, stderr = base[arguments]
    assert code == 2
    assert "your AWS configuration has none" in " ".join(stderr.split())


@pytest.mark.parametrize("arguments", EXTRA, ids=lambda arguments: arguments[0])
def test_missing_extra_is_named_in_one_line(base: Base, arguments: tuple[str, ...]) -> None:
    """What is missing, and the command that installs it."""
    code, _, stderr = base[arguments]
    assert code == 1
    (line,) = stderr.splitlines()
    install = rf"pip install 'spot-optimizer\[{EXTRA[arguments]}\]'"
    assert re.fullmatch(rf"{arguments[0]} needs [\w.]+: {install}", line)
