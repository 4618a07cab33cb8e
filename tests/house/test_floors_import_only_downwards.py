"""An upper floor of the shared package imports a lower one, never the reverse."""

from pathlib import Path

import pytest

from tests.house.repository import FUNCTIONS, PACKAGE, ROOT, imports_of

FLOORS = (
    "vocabulary",
    "settings",
    "setting_precedence",
    "codec",
    "contracts",
    "telemetry",
    "market",
    "usage",
    "forecast",
    "decision",
    "switching",
    "aws",
    "workflow",
    "services",
)
"""Bottom to top."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
SHIPPED = sorted([*(ROOT / "layers").rglob("*.py"), *FUNCTIONS.rglob("*.py")])


def _floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_lies_on_a_floor() -> None:
    """The list of floors is the package's whole content, so that no module escapes the rule."""
    assert {_floor(path) for path in MODULES} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_imports_only_its_own_floor_and_lower_ones(path: Path) -> None:
    """No module imports a floor above its own, and none by a relative name."""
    own = FLOORS.index(_floor(path))
    for name in imports_of(path):
        assert not name.startswith("."), f"{_name(path)} imports {name} by a relative name"
        parts = name.split(".")
        if parts[0] == "spot_optimizer":
            assert FLOORS.index(parts[1]) <= own, f"{_name(path)} imports {name} from above"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_imports_no_other_functions_folder(path: Path) -> None:
    """Code that two functions share is on a lower floor."""
    own = path.relative_to(PACKAGE).parts
    for name in imports_of(path):
        parts = name.split(".")
        if own[0] == "services" and parts[:2] == ["spot_optimizer", "services"]:
            assert parts[2] == own[1], f"{_name(path)} imports {name} of another function"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_aws_floor_imports_the_sdk(path: Path) -> None:
    """The AWS SDK is imported on the aws floor alone; services may name the SDK's exceptions."""
    sdk = {name for name in imports_of(path) if name.split(".")[0] in {"boto3", "botocore"}}
    allowed = {
        "services": {"botocore.exceptions"},
        "workflow": {"botocore.exceptions"},
        "aws": sdk,
    }.get(_floor(path), set())
    assert sdk <= allowed, f"{_name(path)} imports {sorted(sdk - allowed)}"


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_shipped_code_imports_only_shipped_code(path: Path) -> None:
    """Layers and functions never import the simulator, the command line, tests or benchmarks."""
    foreign = {
        "backtest",
        "benchmarks",
        "cli",
        "moto",
        "pytest",
        "samtranslator",
        "simulator",
        "tests",
    }
    imported = {name.split(".")[0] for name in imports_of(path)}
    assert not imported & foreign, f"{_name(path)} imports {sorted(imported & foreign)}"
