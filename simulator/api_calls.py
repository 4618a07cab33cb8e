"""Operations of AWS as scenarios name them: ``service:Operation``."""

from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from botocore.loaders import Loader

__all__ = ["SERVICES", "ApiCall", "parse_call"]

SERVICES = (
    "cloudwatch", "dynamodb", "ec2", "elb", "elbv2", "events", "lambda", "pricing", "s3", "sns",
    "stepfunctions",
)  # fmt: skip
"""Those that the product calls, by the names of the SDK and the AWS CLI."""

_NEAR_MAX = 3


class ApiCall(NamedTuple):
    """One operation of one service."""

    service: str
    operation: str

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


def parse_call(text: object) -> ApiCall:
    """``ec2:CreateFleet``. Raises ValueError with similar names."""
    service, colon, operation = str(text).partition(":")
    if not colon:
        raise ValueError("service and operation are needed, such as ec2:CreateFleet")
    if service not in SERVICES:
        raise ValueError(f"{service!r} is none of the services {', '.join(SERVICES)}")
    known = operations(service)
    if operation not in known:
        near = get_close_matches(operation, known, _NEAR_MAX)
        hint = f"near are {', '.join(near)}" if near else "no operation has a name like it"
        raise ValueError(f"{service} has no {operation!r}; {hint}")
    return ApiCall(service, operation)


@cache
def operations(service: str) -> tuple[str, ...]:
    """All operations of a service, from the SDK's own model of it."""
    return tuple(sorted(Loader().load_service_model(service, "service-2")["operations"]))
