"""A file of results, so that a soak that was stopped goes on where it stopped.

The first line identifies the code, each further line is a result. Results of other code prove nothing
about this one, so a file of other code is refused.
"""

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.trials.run import RunResult, RunSpec

_ROOT = Path(__file__).parents[2]
_CODE = ("functions", "layers/spot_optimizer", "simulator", "statemachines", "template.yaml")
_SUFFIXES = (".py", ".yaml")


class OtherCode(ValueError):
    """The results are of another version of the code, or the file is no file of results."""


class ResultFile:
    """Keeps each result as soon as it is there. A line that was cut off by a stop is run again.

    Raises OtherCode; OSError if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.known: dict[RunSpec, RunResult] = {}
        """What earlier runs have left."""
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and _identity(lines[0]) != identity_of_code():
            raise OtherCode(
                f"{path} has results of other code, or of no soak: name another file, or delete it"
            )
        for line in lines[1:]:
            try:
                result = RunResult.from_json(line)
            except (TypeError, ValueError, KeyError):
                continue
            self.known[result.spec] = result
        self._file = path.open("a")
        if not lines:
            self._write({"code": identity_of_code()})
        elif not path.read_bytes().endswith(b"\n"):
            self._file.write("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def keep(self, result: RunResult) -> None:
        """Append a result, without the list of its calls, which is long."""
        self._file.write(replace(result, calls=()).to_json() + "\n")
        self._file.flush()

    def _write(self, row: dict[str, str]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def _identity(line: str) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        return ""
    return str(row.get("code", "")) if isinstance(row, dict) else ""


@cache
def identity_of_code() -> str:
    """Digest of everything that a run depends on: product, template, state machines and simulator."""
    digest = hashlib.blake2b(digest_size=12)
    for name in _CODE:
        top = _ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
