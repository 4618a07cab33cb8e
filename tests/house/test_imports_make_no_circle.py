"""No module of the repository imports itself through others, whatever the form of the imports."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house.repository import ROOT

ROOTS = {
    "spot_optimizer": ROOT / "layers" / "spot_optimizer" / "spot_optimizer",
    **{
        name: ROOT / name
        for name in (
            "functions", "simulator", "cli", "backtest", "models", "price_files", "benchmarks", "tests"
        )
    },
}  # fmt: skip
"""Package -> its folder."""


def modules_of(roots: Mapping[str, Path]) -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for package, folder in roots.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imported_by(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a module names in its imports: at any depth, under TYPE_CHECKING too.

    Importing ``a.b`` also runs ``a/__init__.py``; that arrow counts only where ``a`` itself is named,
    else no package could offer what its modules define.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(name, path, node)
            inner = [f"{module}.{alias.name}" for alias in node.names]
            yield from (each if each in modules else module for each in inner)


def _absolute(name: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def circle_among(modules: Mapping[str, Path]) -> list[str]:
    """One circle of imports, in its order; empty if there is none."""
    graph = {
        name: {each for each in imported_by(name, path, modules) if each in modules}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]
    return []


def test_imports_make_no_circle() -> None:
    """Late imports and those for types alone count: they hide a circle, they do not remove it."""
    assert circle_among(modules_of(ROOTS)) == []


@pytest.mark.parametrize(
    "back",
    [
        "from package.a import x",
        "import package.a",
        "from package import a",
        "from . import a",
        "def late():\n    from .a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.a import X",
    ],
)
def test_circle_is_found_in_every_form(tmp_path: Path, back: str) -> None:
    """Two modules that import each other, one of them in each form."""
    (tmp_path / "__init__.py").write_text("from package.a import x\n")
    (tmp_path / "a.py").write_text("from package import b\n")
    (tmp_path / "b.py").write_text(back + "\n")
    circle = circle_among(modules_of({"package": tmp_path}))
    assert {"package.a", "package.b"} <= set(circle)


def test_package_may_offer_what_its_modules_define(tmp_path: Path) -> None:
    """Its modules import each other by their own names."""
    (tmp_path / "__init__.py").write_text("from package.a import x\n")
    (tmp_path / "a.py").write_text("from package.b import y\n")
    (tmp_path / "b.py").write_text("y = 1\n")
    assert circle_among(modules_of({"package": tmp_path})) == []
