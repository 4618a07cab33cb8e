"""JSONPath as Step Functions reads it.

A definite path leads to at most one value and yields that value; an indefinite one (wildcard,
slice, union, filter, descent) yields a list. Source: AWS Step Functions Developer Guide,
"Using JSONPath paths".
"""

import functools
import re
from typing import Any

from jsonpath_ng.ext.parser import parse
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

__all__ = ["extract_json"]

_NAME = r"[^.\[\]()*?@,\s'\"]+"
_DEFINITE = re.compile(rf"\$(?:\.{_NAME}|\[\d+\]|\['[^']*'\]|\[\"[^\"]*\"\])*")
_STEP = re.compile(rf"\.({_NAME})|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_ENDS_IN_INDEX = re.compile(r"\[\d+\]$")


def extract_json(path: str, data: Any) -> Any:
    """The value or values at ``path``.

    Raises:
        NoSuchJsonPathError: a definite path leads nowhere.
    """
    steps = _definite_steps(path)
    if steps is None:
        values = [match.value for match in _parsed(path).find(data)]
        # AWS unpacks the one element that an index at the end selects.
        return values[0] if len(values) == 1 and _ENDS_IN_INDEX.search(path) else values
    value = data
    for step in steps:
        try:
            if isinstance(value, list) != isinstance(step, int):
                raise KeyError(step)
            value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            raise NoSuchJsonPathError(json_path=path, data=data) from error
    return value


@functools.lru_cache(maxsize=4096)
def _definite_steps(path: str) -> tuple[str | int, ...] | None:
    if not _DEFINITE.fullmatch(path):
        return None
    steps: list[str | int] = []
    for name, index, single, double in _STEP.findall(path):
        steps.append(int(index) if index else name or single or double)
    return tuple(steps)


@functools.lru_cache(maxsize=4096)
def _parsed(path: str) -> Any:
    return parse(path)
