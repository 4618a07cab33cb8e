"""What is said of a payload that violates its contract: field, value and what is allowed.

The library's own messages name its types and patterns. These words are for the person who wrote the
payload. The kinds of faults are those of https://docs.pydantic.dev/latest/errors/validation_errors/.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spot_optimizer.contracts.patterns import IN_WORDS

_CHARACTERS_MAX = 80


def refusals_of(
    error: ValidationError, payload: object, names: Mapping[str, str] | None = None
) -> list[str]:
    """A text for each field that is refused.

    ``names``: a field -> its name where the user wrote it, such as an option of a command, which has its
    value, or all of a list, in one text.
    """
    found: dict[str, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        path = _path(fault, payload)
        field = (names or {}).get(path.partition(".")[0], path)
        found.setdefault(field, []).append(fault)
    return [_refusal(field or "the whole", faults) for field, faults in found.items()]


def _path(fault: ErrorDetails, payload: object) -> str:
    """Where the fault is in the payload: without the parts that name a member of a union."""
    parts: list[str] = []
    for part in fault["loc"]:
        here = dict(enumerate(payload)) if isinstance(payload, list | tuple) else payload
        if isinstance(here, Mapping) and part in here:
            payload = here[part]
        elif fault["type"] != "missing" or part != fault["loc"][-1]:
            continue
        parts.append(str(part))
    if fault["type"].startswith("union_tag"):
        parts.append(str(fault["ctx"]["discriminator"]).strip("'"))
    return ".".join(parts)


def _refusal(field: str, faults: list[ErrorDetails]) -> str:
    """Several faults of one field are those of a union's members: any of them may be allowed."""
    first = faults[0]
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{field} is missing"
    if first["type"] == "extra_forbidden":
        return f"{field} is unknown"
    value = first["ctx"]["tag"] if first["type"] == "union_tag_invalid" else first["input"]
    if first["type"] == "value_error":  # a sentence of the contract itself
        return f"{field} = {_shortened(value)}: {first['ctx']['error']}"
    allowed = ", or ".join(dict.fromkeys(allowed_by(fault) for fault in faults))
    return f"{field} = {_shortened(value)}: allowed is {allowed}"


_LIMITS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"{ctx['ge']:g} or more",
    "less_than": lambda ctx: f"less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"{ctx['le']:g} or less",
    "string_too_short": lambda ctx: f"a text of {ctx['min_length']} or more characters",
    "string_too_long": lambda ctx: f"a text of up to {ctx['max_length']} characters",
    "too_short": lambda ctx: f"a list of {ctx['min_length']} or more",
    "too_long": lambda ctx: f"a list of up to {ctx['max_length']}",
    "string_pattern_mismatch": lambda ctx: IN_WORDS[ctx["pattern"]],
    "literal_error": lambda ctx: _listed(ctx["expected"]),
    "enum": lambda ctx: _listed(ctx["expected"]),
    "union_tag_invalid": lambda ctx: _listed(ctx["expected_tags"]),
}
"""Kind of fault -> what is allowed."""
_SHAPES = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "datetime": "a time such as 2026-01-31T12:00:00Z",
    "timezone": "a time with its zone, such as 2026-01-31T12:00:00Z",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "none": "null",
}
"""First word of a kind of fault -> what is allowed."""


def allowed_by(fault: ErrorDetails) -> str:
    """What would be allowed instead, in words."""
    kind = fault["type"]
    if kind in _LIMITS:
        return _LIMITS[kind](fault["ctx"])
    return _SHAPES.get(kind.partition("_")[0], "another value")


def _listed(words: str) -> str:
    """Words as the library lists them, without its quotes."""
    return words.replace("'", "").replace(" or ", ", ")


def _shortened(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _CHARACTERS_MAX else f"{text[: _CHARACTERS_MAX - 3]}..."
