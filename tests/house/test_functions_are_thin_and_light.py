"""A handler parses, makes one call and dumps; its function loads only what its layers contain."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.house.repository import HANDLERS, PACKAGE, ROOT, imports_of, resources

LINES_MAX = 60
USABLE = ("contracts", "services", "telemetry", "aws.environment", "aws.clients")
HEAVY = {"lightgbm", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn"}
RUNTIME = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
"""What the managed Python runtime includes (AWS Lambda Developer Guide, "Runtime-included SDK")."""

_IMPORT_NAMES = {"aws-lambda-powertools": "aws_lambda_powertools", "aws-xray-sdk": "aws_xray_sdk"}
_LOAD = """
import json, runpy, sys
held = set(json.loads(sys.argv[2])) | set(sys.stdlib_module_names)
class OnlyWhatIsHeld:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in held and not top.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r} in Lambda", name=name)
sys.meta_path.insert(0, OnlyWhatIsHeld())
runpy.run_path(sys.argv[1])
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def _name(path: Path) -> str:
    return path.parent.name


@cache
def _loaded_in_lambda(handler: Path) -> frozenset[str]:
    """Top-level modules after importing the handler where only its layers and the runtime are."""
    held = {"spot_optimizer"} | RUNTIME | _provided("spot_optimizer")
    for folder in _layers_beside_the_shared_one(handler):
        held |= _provided(folder)
    answer = subprocess.run(
        [sys.executable, "-c", _LOAD, str(handler), json.dumps(sorted(held))],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "AWS_DEFAULT_REGION": "us-east-1"},
    )
    assert answer.returncode == 0, answer.stderr
    return frozenset(json.loads(answer.stdout))


def _provided(layer: str) -> set[str]:
    """Import names of what a layer's requirements install."""
    lines = (ROOT / "layers" / layer / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0].strip() for line in lines if "==" in line]
    return {_IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def _layers_beside_the_shared_one(handler: Path) -> list[str]:
    """Folders of the layers that a function's own properties name."""
    properties = next(
        properties
        for properties in resources("AWS::Serverless::Function").values()
        if Path(properties["CodeUri"]).name == handler.parent.name
    )
    layers = resources("AWS::Serverless::LayerVersion")
    return [Path(layers[each["Ref"]]["ContentUri"]).name for each in properties.get("Layers", [])]


def test_every_function_has_one_file_and_every_file_a_function() -> None:
    """Each folder of functions/ is one function of the template and contains only its handler."""
    uris = [p["CodeUri"] for p in resources("AWS::Serverless::Function").values()]
    assert sorted(uris) == [f"functions/{_name(path)}/" for path in HANDLERS]
    for handler in HANDLERS:
        others = {path.name for path in handler.parent.iterdir()} - {"app.py", "__pycache__"}
        assert not others, f"{_name(handler)} holds {sorted(others)} beside app.py"


@pytest.mark.parametrize("handler", HANDLERS, ids=_name)
def test_handler_is_short(handler: Path) -> None:
    """Logic belongs into the package, not into the handler."""
    lines = handler.read_text(encoding="utf-8").splitlines()
    assert len(lines) < LINES_MAX


@pytest.mark.parametrize("handler", HANDLERS, ids=_name)
def test_handler_imports_only_the_packages_entry_points(handler: Path) -> None:
    """A handler imports only contracts, its service, telemetry and the environment."""
    for name in imports_of(handler):
        if name.startswith("spot_optimizer"):
            inner = name.removeprefix("spot_optimizer.")
            assert any(inner == door or inner.startswith(f"{door}.") for door in USABLE), name


@pytest.mark.parametrize("handler", HANDLERS, ids=_name)
def test_handler_loads_where_only_its_layers_and_the_runtime_are(handler: Path) -> None:
    """A package that is installed locally but in no layer would fail only in Lambda."""
    assert "spot_optimizer" in _loaded_in_lambda(handler)


@pytest.mark.parametrize("handler", HANDLERS, ids=_name)
def test_handler_loads_nothing_heavy(handler: Path) -> None:
    """Model libraries and data frames add seconds to a cold start: no function loads them on import."""
    assert not _loaded_in_lambda(handler) & HEAVY
