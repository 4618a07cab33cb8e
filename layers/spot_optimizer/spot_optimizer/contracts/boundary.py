"""Base and common types of all contracts.

Contracts are frozen and forbid unknown fields: a field that nobody reads is a mistake somewhere.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from spot_optimizer.contracts.patterns import ENGINE_NAME, INSTANCE_ID, TYPE_NAME, ZONE_NAME
from spot_optimizer.contracts.refusals import refusals_of
from spot_optimizer.vocabulary import VERSION_PATTERN

SCHEMA_VERSION = 1
"""Version of all payloads. An order of another version is refused."""


WorkloadId = Annotated[str, Field(min_length=1, max_length=128)]


InstanceId = Annotated[str, Field(pattern=INSTANCE_ID)]


TypeName = Annotated[str, Field(pattern=TYPE_NAME)]


ZoneName = Annotated[str, Field(pattern=ZONE_NAME)]
"""A name such as ``us-east-1a`` or ``us-west-2-lax-1a`` (Local Zone); not a zone id (``use1-az1``)."""


EngineName = Annotated[str, Field(pattern=ENGINE_NAME)]


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


def parse(
    contract: type[Contract] | Any, payload: object, names: Mapping[str, str] | None = None
) -> Contract:
    """``payload`` as ``contract``, or InvalidRequest that names every invalid field, by ``names`` if the
    user wrote another name."""
    try:
        parsed: Contract = TypeAdapter(contract).validate_python(payload)
    except ValidationError as error:
        raise InvalidRequest("; ".join(refusals_of(error, payload, names))) from error
    return parsed
