"""What the tables of a scenario file have in common, and what is said of a value that is not allowed."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from simulator.world.catalog import instance_types

SUBNETS_MAX = 3
"""In each zone."""
HOURS_MAX = 24 * 90
_CHARACTERS_MAX = 60
_EXPLAINED = "explained"
_Mark = TypeVar("_Mark")


class Allowed(NamedTuple):
    """What a field may hold, in words, where its type does not say it.

    ``whole``: a fault inside the value is reported with the whole value.
    """

    text: str
    whole: bool = False


class Table(BaseModel):
    """A mapping of the file: no type is converted, unknown keys are refused.

    A file uses a field's alias if it has one, code its name. A ValidationError has one message for each
    fault, to be read after its path (:func:`faults_of`).
    """

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            found: dict[tuple[int | str, ...], InitErrorDetails] = {}
            for fault in error.errors(include_url=False):
                explained = _explained(cls, given, fault)
                found.setdefault(explained["loc"], explained)
            raise ValidationError.from_exception_data(cls.__name__, [*found.values()]) from error


def faults_of(error: ValidationError) -> Iterator[str]:
    """One line for each fault of a table: key as the file has it, value, what is allowed."""
    for fault in error.errors(include_url=False):
        # The third part of an event's path is its kind, which is no key.
        loc = fault["loc"][:2] + fault["loc"][3 if fault["loc"][:1] == ("events",) else 2 :]
        yield f"{_path(loc) or 'the file'}{fault['msg']}"


def keys_of(table: type[Table]) -> dict[str, FieldInfo]:
    """Key of the file -> its field."""
    return {_keys(name, field)[0]: field for name, field in table.model_fields.items()}


def allowed_in(field: FieldInfo) -> str:
    """What a field may hold, in words."""
    mark = next(_marks(Allowed, field), None)
    if mark is not None:
        return mark.text
    if words := _words(field.annotation):
        return ", ".join(words)
    lowest, highest = next(_marks(Ge, field), None), next(_marks(Le, field), None)
    if lowest is not None:
        return f"{lowest.ge} to {highest.le}" if highest else f"{lowest.ge} or more"
    return "text"


def as_json(value: object) -> str:
    """A value as the file has it, cut."""
    try:
        text = json.dumps(value, default=str)
    except ValueError:  # it contains itself, by an anchor
        text = str(value)
    return cut(text)


def cut(text: str) -> str:
    """As much of a text as fits in a line."""
    return text if len(text) <= _CHARACTERS_MAX else f"{text[: _CHARACTERS_MAX - 3]}..."


def _explained(table: type[Table], given: Any, fault: ErrorDetails) -> InitErrorDetails:
    """The fault with the message for the author of the file."""
    loc, value, text = fault["loc"], fault["input"], fault["msg"]
    fields = table.model_fields.items()
    field = next((f for name, f in fields if loc and loc[0] in _keys(name, f)), None)
    if fault["type"] == "extra_forbidden":
        text = f": unknown key; allowed are {', '.join(keys_of(table))}"
    elif field is None or fault["type"] == "model_attributes_type":
        text = f" = {as_json(value)}: a mapping of keys is needed"
    elif fault["type"] != _EXPLAINED:
        reason = f" ({fault['ctx']['error']})" if fault["type"] == "value_error" else ""
        if len(loc) > 1 and any(mark.whole for mark in _marks(Allowed, field)):
            value = given[loc[0]]
            reason = f" ({_reason(fault)})" if isinstance(value, list | dict) else ""
            loc = loc[:1]
        text = _refusal(fault, value, field) + reason
    explained = PydanticCustomError(_EXPLAINED, "{text}", {"text": text})
    return InitErrorDetails(type=explained, loc=loc, input=value)


def _refusal(fault: ErrorDetails, value: Any, field: FieldInfo) -> str:
    match fault["type"]:
        case "missing":
            return f" is missing; allowed is {allowed_in(field)}"
        case "union_tag_not_found":
            words = ", ".join(_words(field.annotation))
            return f": the key event is missing; allowed is one of {words}"
        case "union_tag_invalid":
            words = ", ".join(_words(field.annotation))
            return f".event = {as_json(value['event'])}: allowed is one of {words}"
    return f" = {as_json(value)}: allowed is {allowed_in(field)}"


def _reason(fault: ErrorDetails) -> str:
    """What is wrong inside a value that is reported as a whole."""
    what = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else f": {fault['msg']}"
    if fault["loc"][-1] == "[key]":
        return what.removeprefix(": ")
    return f"{_path(fault['loc'][1:])} = {fault['input']!r}{what}"


def _path(loc: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _keys(name: str, field: FieldInfo) -> list[str]:
    """The keys by which the file may name a field; the first is the documented one."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias or name)]


def _marks(kind: type[_Mark], field: FieldInfo) -> Iterator[_Mark]:
    """What a field's annotation holds of a kind, outermost first."""
    waiting = [*field.metadata, *get_args(field.annotation)]
    for each in waiting:
        if isinstance(each, kind):
            yield each
        waiting += get_args(each)


def _words(annotation: Any) -> list[str]:
    """The words of a Literal or a bool, None aside; of events, those in their key ``event``."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return _words(annotation.model_fields["event"].annotation)
    return [word for each in get_args(annotation) for word in _words(each)]


# --- values of several tables --------------------------------------------------------------------


def _known_type(name: str) -> str:
    if name not in instance_types():
        near = get_close_matches(name, instance_types())
        raise ValueError(f"near are {', '.join(near)}" if near else "EC2 has no type like it")
    return name


def _known_types(pattern: str) -> str:
    if not any(fnmatchcase(name, pattern) for name in instance_types()):
        raise ValueError("no type fits")
    return pattern


Hour = Annotated[float, Field(ge=0, le=HOURS_MAX)]
Lifecycle = Literal["spot", "on-demand"]
TypeName = Annotated[str, AfterValidator(_known_type), Allowed("an instance type")]
TypeGlob = Annotated[str, AfterValidator(_known_types), Allowed("a type name with * and ?")]
ZoneGlob = Annotated[str, Allowed("a zone name with * and ?")]
