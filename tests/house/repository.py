"""The repository as text: where files are, what they import, what the template contains."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "layers" / "spot_optimizer" / "spot_optimizer"
FUNCTIONS = ROOT / "functions"
HANDLERS = sorted(FUNCTIONS.glob("*/app.py"))
STATE_MACHINES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))

_MADE_BY_TOOLS = {
    ".aws-sam",
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
}


def repository_files() -> Iterator[Path]:
    """Every file of a checkout, without files that tools create."""
    todo = [ROOT]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            if path.name in _MADE_BY_TOOLS or path.suffix == ".egg-info":
                continue
            if path.is_dir():
                todo.append(path)
            else:
                yield path


def imports_of(path: Path) -> list[str]:
    """Full dotted names of the modules that a file imports anywhere.

    ``from spot_optimizer.aws import clients`` counts as ``spot_optimizer.aws.clients``; a relative
    import keeps its leading dots.
    """
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names += _modules_among(module, [alias.name for alias in node.names])
    return names


def _modules_among(module: str, names: list[str]) -> list[str]:
    """``from package import module`` names modules, ``from module import thing`` names one."""
    if not module.startswith("spot_optimizer"):
        return [module]
    folder = PACKAGE.parent.joinpath(*module.split("."))
    inner = [
        name for name in names if (folder / name).is_dir() or (folder / f"{name}.py").is_file()
    ]
    return [f"{module}.{name}" for name in inner] or [module]


@cache
def template() -> dict[str, Any]:
    """template.yaml with its intrinsic functions in long form; do not change it."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return parsed


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id to properties of the template's resources of one type."""
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def state_machine(path: Path) -> dict[str, Any]:
    """A state machine's definition, its substitutions still in place."""
    definition: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return definition
