"""Scenario files: read, and checked as a whole before anything runs.

Each fault is reported in one line: file, key, value and what is allowed.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from simulator.scenario_checks import contradictions
from simulator.scenario_fields import faults_of
from simulator.scenario_schema import PlannedRun
from simulator.scenario_yaml import UnreadableYaml, load_yaml

FOLDER = Path(__file__).parent / "scenarios"


class InvalidScenario(ValueError):
    """The file is no scenario; the text has one line for each fault."""


def builtin_names() -> list[str]:
    """Names of the bundled scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def builtin_run(name: str) -> PlannedRun:
    """One of the bundled scenarios; InvalidScenario lists them if there is none of that name."""
    if name not in builtin_names():
        raise InvalidScenario(
            f"scenario {name!r} is neither a file nor one of {', '.join(builtin_names())}"
        )
    return read_scenario(FOLDER / f"{name}.yaml")


def read_scenario(
    path: Path, accept_request: Callable[[object], object] | None = None
) -> PlannedRun:
    """Read and check a scenario file.

    accept_request: raises ValueError for a manual request that the function Command would refuse.

    Raises:
        InvalidScenario: with a line for each fault: file, key, value, what is allowed.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidScenario(f"{path}: {error.strerror}") from error
    except (UnreadableYaml, UnicodeDecodeError) as error:
        raise InvalidScenario(f"{path.name}: {error}") from error
    try:
        run = PlannedRun.model_validate(
            content, by_name=False, by_alias=True, context={"accept": accept_request}
        ).read_from(path)
    except ValidationError as error:
        raise _invalid(path, faults_of(error)) from error
    if faults := list(contradictions(run)):
        raise _invalid(path, faults)
    return run


def _invalid(path: Path, faults: Iterable[str]) -> InvalidScenario:
    return InvalidScenario("\n".join(f"{path.name}: {fault}" for fault in faults))
