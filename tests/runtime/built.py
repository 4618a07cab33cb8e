"""The output of ``make build``, and what is needed to run it locally."""

import platform
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.house.repository import ROOT

__all__ = [
    "BUILDS",
    "INSIDE",
    "RUNTIME",
    "built",
    "emulator",
    "local_architecture",
    "python313",
    "why_not_here",
]

BUILDS = {
    "arm64": ROOT / ".aws-sam" / "build",
    "x86_64": ROOT / ".aws-sam" / "x86_64" / "build",
}
RUNTIME = ROOT / ".aws-sam" / "runtime"
INSIDE = Path(__file__).parent / "inside"
_PROCESSORS = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "AMD64": "x86_64"}


def built(architecture: str) -> Path:
    """Folder of the build for an architecture (arm64, x86_64); without it the test fails."""
    folder = BUILDS[architecture]
    if not (folder / "template.yaml").is_file():
        pytest.fail(f"There is no {folder.relative_to(ROOT)}: run `make build`.", pytrace=False)
    return folder


def local_architecture() -> str:
    """The architecture that the local processor runs."""
    return _PROCESSORS[platform.machine()]


def emulator() -> Path:
    """The runtime interface emulator that aws-sam-cli bundles, for the local architecture."""
    spec = find_spec("samcli")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "local" / "rapid"
    return folder / f"aws-lambda-rie-{local_architecture()}"


@cache
def python313() -> str | None:
    """Path of a Python 3.13, or None."""
    found = subprocess.run(
        ["sh", ROOT / "layers" / "python313.sh"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


def why_not_here() -> str | None:
    """Why functions cannot be emulated locally, or None if they can."""
    if sys.platform != "linux":
        return f"the emulator of Lambda's runtime runs on Linux, this is {sys.platform}"
    if platform.machine() not in _PROCESSORS:
        return f"the emulator runs on {', '.join(_PROCESSORS)}, this is {platform.machine()}"
    if python313() is None:
        return (
            "no Python 3.13, the version of the functions' runtime (layers/python313.sh searches)"
        )
    return None
