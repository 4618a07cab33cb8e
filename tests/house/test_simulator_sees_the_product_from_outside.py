"""The simulator judges the product by what AWS would show: calls, items, objects, events.

What it shared with the product it could not find wrong.
"""

from pathlib import Path

import pytest

from tests.house.repository import ROOT, imports_of

SIMULATOR = ROOT / "simulator"
AWS = ("world", "account", "permissions", "market")
"""Folders that stand for AWS: they do not know the product at all, not even by its tags."""


def _of_product(path: Path) -> set[str]:
    return {
        name for name in imports_of(path) if name.split(".")[0] in ("spot_optimizer", "functions")
    }


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sorted(SIMULATOR.rglob("*.py")), ids=_name)
def test_simulator_imports_nothing_of_the_product(path: Path) -> None:
    """It reads raw items, objects and calls, and states itself what it needs of the vocabulary."""
    assert _of_product(path) == set()


@pytest.mark.parametrize("folder", AWS)
def test_simulated_aws_knows_nothing_of_the_product(folder: str) -> None:
    """Neither by an import nor by the name of its package or of its tags."""
    for path in (SIMULATOR / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "spot_optimizer" not in text, f"{_name(path)} names the product's package"
        assert "spot-optimizer" not in text, f"{_name(path)} names the product's tags"
