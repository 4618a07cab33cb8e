"""The tests run with the versions that run in Lambda."""

from pathlib import Path

import pytest

from tests.house.repository import ROOT

REQUIREMENTS = sorted((ROOT / "layers").glob("*/requirements.txt"))


def _pins(path: Path) -> dict[str, str]:
    """Package to version of the lines ``package==version``; every line must be one."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, separator, version = line.partition("==")
            assert separator, f"{path.parent.name}/{path.name}: {line!r} pins no exact version"
            pins[name.strip().lower().replace("_", "-")] = version.strip()
    return pins


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: str(path.parent.name))
def test_layer_has_the_versions_of_the_constraints(path: Path) -> None:
    """A layer's package has the version that constraints.txt pins for the tests."""
    constraints = _pins(ROOT / "constraints.txt")
    for name, version in _pins(path).items():
        assert constraints[name] == version, name
