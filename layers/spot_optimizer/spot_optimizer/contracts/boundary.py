"""Base and common types of all contracts.

Contracts are frozen and forbid unknown fields: a field that nobody reads is a mistake somewhere.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from spot_optimizer.vocabulary import VERSION_PATTERN

SCHEMA_VERSION = 1
"""Version of all payloads. An order of another version is refused."""


WorkloadId = Annotated[str, Field(min_length=1, max_length=128)]


InstanceId = Annotated[str, Field(pattern=r"^i-[0-9a-f]{8,17}$")]


TypeName = Annotated[str, Field(pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")]


ZoneName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d(-[a-z]+-\d)?[a-z]$")]
"""A name such as ``us-east-1a`` or ``us-west-2-lax-1a`` (Local Zone); not a zone id (``use1-az1``)."""


EngineName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


ModelVersion = Annotated[str, Field(pattern=VERSION_PATTERN)]
"""Version of an uploaded model: the name of its folder."""


class Boundary(BaseModel):
    """Base of all contracts."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def stored_as(old: str, new: str, **options: Any) -> Any:
    """A field that is read as ``new`` or ``old`` and written as ``old``.

    For a field whose name in the code has changed. Older versions of the code, which run during a gradual
    deployment or after a rollback, know only the old name (docs/compatibility.md).
    """
    return Field(validation_alias=AliasChoices(new, old), serialization_alias=old, **options)


class InvalidRequest(ValueError):
    """A payload that violates its contract; the text names field, value and what is allowed."""


Contract = TypeVar("Contract")


def parse(contract: type[Contract] | Any, payload: object) -> Contract:
    """``payload`` as ``contract``, or InvalidRequest that names every invalid field."""
    try:
        parsed: Contract = TypeAdapter(contract).validate_python(payload)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'request'} = "
            f"{_shortened(problem['input'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise InvalidRequest("; ".join(lines)) from error
    return parsed


def _shortened(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
