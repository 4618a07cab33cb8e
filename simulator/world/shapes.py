"""Checks replies against botocore's own output shapes, and copies them on the way.

The copy keeps callers from changing the world through a reply. A member whose value is None is
left out, as AWS leaves out what does not apply.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

Check = Callable[[Any, str], Any]

_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "double": (int, float),
    "float": (int, float),
    "timestamp": (datetime,),
    "blob": (bytes,),
}


# Recorded answers of AWS may be newer than the installed service model: values may be added.
_OPEN_ENUMERATIONS = frozenset({"DescribeInstanceTypes"})


class InvalidReply(AssertionError):
    """The world built a reply that AWS's service model does not allow: a fault of the world."""


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service, loaded once per process."""
    return botocore.session.get_session().get_service_model(service)


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    """botocore's model of one operation."""
    return service_model(service).operation_model(operation)


def checked_reply(service: str, operation: str, reply: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of `reply`; raise InvalidReply naming the path that does not fit."""
    check = _output_check(service, operation)
    if check is None:
        if reply:
            raise InvalidReply(f"{operation}: has no output members, got {sorted(reply)}")
        return {}
    copied: dict[str, Any] = check(reply, operation)
    return copied


@cache
def _output_check(service: str, operation: str) -> Check | None:
    shape = operation_model(service, operation).output_shape
    if shape is None:
        return None
    return _compile(shape, {}, closed=operation not in _OPEN_ENUMERATIONS)


def _compile(shape: Shape, seen: dict[str, Check], *, closed: bool) -> Check:
    # Shapes may contain themselves: the entry is made before the members are compiled.
    if shape.name in seen:
        return seen[shape.name]
    if isinstance(shape, StructureShape):
        return _structure(shape, seen, closed=closed)
    if isinstance(shape, ListShape):
        return _list(_compile(shape.member, seen, closed=closed))
    if isinstance(shape, MapShape):
        return _map(_compile(shape.value, seen, closed=closed))
    return _scalar(shape, closed=closed)


def _structure(shape: StructureShape, seen: dict[str, Check], *, closed: bool) -> Check:
    members: dict[str, Check] = {}

    def check(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise InvalidReply(f"{path}: expected a structure, got {value!r}")
        copy = {}
        for name, member in value.items():
            if member is None:
                continue
            checker = members.get(name)
            if checker is None:
                raise InvalidReply(f"{path}: has no member {name!r}; allowed {sorted(members)}")
            copy[name] = checker(member, name)
        return copy

    seen[shape.name] = check
    for name, member in shape.members.items():
        members[name] = _compile(member, seen, closed=closed)
    return check


def _list(member: Check) -> Check:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, (list, tuple)):
            raise InvalidReply(f"{path}: expected a list, got {value!r}")
        return [member(item, path) for item in value]

    return check


def _map(member: Check) -> Check:
    def check(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise InvalidReply(f"{path}: expected a map, got {value!r}")
        return {key: member(item, path) for key, item in value.items()}

    return check


def _scalar(shape: Shape, *, closed: bool) -> Check:
    types = _SCALARS[shape.type_name]
    allowed = frozenset(getattr(shape, "enum", None) or ()) if closed else frozenset()
    numeric = shape.type_name in ("integer", "long", "double", "float")

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, types) or (numeric and isinstance(value, bool)):
            raise InvalidReply(f"{path}: expected {shape.type_name}, got {value!r}")
        if allowed and value not in allowed:
            raise InvalidReply(f"{path}: {value!r} is not one of {sorted(allowed)}")
        return value

    return check
