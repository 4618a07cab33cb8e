"""What ships is read module by module: each has one idea, and each function fits on a screen."""

import ast
from pathlib import Path

import pytest

from tests.house.repository import FUNCTIONS, ROOT

MODULE_LINES_MAX = 400
BODY_LINES_MAX = 60

SHIPPED = sorted([*(ROOT / "layers").rglob("*.py"), *FUNCTIONS.rglob("*.py")])


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_module_has_at_most_400_lines(path: Path) -> None:
    """A longer module holds more than one idea."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES_MAX, f"{_name(path)} has {lines} lines"


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_function_bodies_have_at_most_60_lines(path: Path) -> None:
    """A longer body holds steps that deserve a name; the docstring does not count."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert lines <= BODY_LINES_MAX, f"{_name(path)}: {node.name} has {lines} lines"
