"""Errors as AWS sends them.

Codes are those of "Error codes for the Amazon EC2 API" (errors-overview.html) and, for the other
services, the errors section of each operation's API reference page.
"""

from collections.abc import Iterable
from typing import Any

_STATUS_BY_CODE = {
    "DryRunOperation": 412,
    "UnauthorizedOperation": 403,
    "NoSuchEntity": 404,
    # EC2 counts missing capacity among its server errors.
    "InsufficientInstanceCapacity": 500,
    "InsufficientFreeAddressesInSubnet": 400,
}


class AwsError(Exception):
    """A refusal that the caller's SDK raises as ClientError with this code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = _STATUS_BY_CODE.get(code, 400)

    def reply(self, request_id: str) -> dict[str, Any]:
        """The parsed reply that botocore turns into ClientError."""
        return {
            "Error": {"Code": self.code, "Message": self.message},
            "ResponseMetadata": {
                "RequestId": request_id,
                "HTTPStatusCode": self.status,
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        }


class NotModelled(NotImplementedError):
    """The simulator has no model of this operation or parameter: said loudly, never guessed."""


def reject_unmodelled(operation: str, params: Iterable[str], modelled: Iterable[str]) -> None:
    """Raise NotModelled for the first parameter that the simulator would silently ignore."""
    known = set(modelled) | {"DryRun"}
    for name in params:
        if name not in known:
            raise NotModelled(
                f"{operation}: parameter {name!r} is not modelled; modelled are {sorted(known)}"
            )
