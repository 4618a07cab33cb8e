"""The simulator judges the product by what AWS would show: calls, items, objects, events.

What it shared with the product it could not find wrong.
"""

from pathlib import Path

import pytest

from tests.house.repository import ROOT, imports_of

SIMULATOR = ROOT / "simulator"
AWS = ("world", "account", "permissions", "market")
"""Folders that stand for AWS: they do not know the product at all, not even by its tags."""

MAY_IMPORT = {
    "simulator/scenario_schema.py": {
        "spot_optimizer.contracts.boundary",
        "spot_optimizer.contracts.command",
    },
    "simulator/scenario_file.py": {"spot_optimizer.vocabulary"},
    "simulator/scripted.py": {"spot_optimizer.vocabulary"},
    "simulator/trials/ground.py": {
        "spot_optimizer.aws.ledger.codec",
        "spot_optimizer.aws.ledger.keys",
    },
}
"""Module -> what of the product it may import. Each writes a request or an item and reads none."""


def _of_product(path: Path) -> set[str]:
    return {
        name for name in imports_of(path) if name.split(".")[0] in ("spot_optimizer", "functions")
    }


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sorted(SIMULATOR.rglob("*.py")), ids=_name)
def test_module_imports_of_the_product_only_what_is_listed(path: Path) -> None:
    """Nothing, with the exceptions above."""
    assert _of_product(path) == MAY_IMPORT.get(_name(path), set())


@pytest.mark.parametrize("folder", AWS)
def test_simulated_aws_knows_nothing_of_the_product(folder: str) -> None:
    """Neither by an import nor by the name of its package or of its tags."""
    for path in (SIMULATOR / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "spot_optimizer" not in text, f"{_name(path)} names the product's package"
        assert "spot-optimizer" not in text, f"{_name(path)} names the product's tags"
