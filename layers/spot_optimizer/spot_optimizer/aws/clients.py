"""boto3 clients, made once per execution environment."""

import os
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from spot_optimizer.switching.error_table import TRANSIENT
from spot_optimizer.telemetry import metrics

_CONFIG = Config(
    # Standard mode retries throttling and 5xx with jitter; what remains is for the caller to see.
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
)
_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
_INVOCATION = Config(
    # The answer comes when the invoked function has ended; to ask again would run it twice.
    retries={"total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=310,
)


def client(service: str, region: str | None = None, *, once: bool = False) -> Any:
    """The client of a service in the function's own region, or in ``region``.

    ``once``: without the SDK's retries, for a caller that has better ones.
    """
    return _client(service, region or os.environ["AWS_REGION"], once)


@cache
def _client(service: str, region: str, once: bool = False) -> Any:
    config = _INVOCATION if service == "lambda" else _ONCE if once else _CONFIG
    made = boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]
    made.meta.events.register("needs-retry", _count_throttled)
    return made


def _count_throttled(response: tuple[Any, dict[str, Any]] | None = None, **_: Any) -> None:
    """Count an answer of "too many calls", also one that the SDK's next try makes good.

    botocore asks after every try whether to make another one (``endpoint.py``, ``_needs_retry``).
    """
    if response is not None and response[1].get("Error", {}).get("Code") in _THROTTLED:
        metrics.add_metric("CallsThrottled", "Count", 1)


_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
"""AWS SDKs and Tools Reference Guide, "Retry behavior", error codes of throttling; S3's "SlowDown"."""


class TryAgain(Exception):
    """AWS was busy or out of order for a moment; the state machine tries the step again."""


_TRANSIENT = TRANSIENT | {"InternalServerError", "TransactionConflictException"}
"""What passes on EC2 and, by DynamoDB's developer guide, "Error handling", on a table: one on demand
throttles too, and a single write that meets a transaction is refused."""

_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def error_code(error: ClientError) -> str:
    """AWS's code of an error, such as ``InsufficientInstanceCapacity``."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def http_status(error: ClientError) -> int:
    """HTTP status of an error's reply; 0 where that is not known.

    Where an empty body, or HTML that a proxy has sent, names no code, botocore takes the status for it
    (``parsers.py``, ``_do_generic_error_parse``).
    """
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(code if code.isdigit() else status)


def is_transient(error: Exception) -> bool:
    """Whether trying the same call again later may succeed: AWS has failed or was busy, or its reply
    could not be read, so that the call may have had its effect.

    EC2 counts missing capacity among its failures ("Error codes for the Amazon EC2 API", server
    errors): who launches looks at the table of refusals first.
    """
    if isinstance(error, ClientError):
        status = http_status(error)
        return (
            error_code(error) in _TRANSIENT
            or status == _TOO_MANY_REQUESTS
            or status >= _SERVER_ERROR
        )
    return isinstance(error, BotoCoreError | ResponseParserError)


_Answer = TypeVar("_Answer")
_Arguments = ParamSpec("_Arguments")


def transient_as_try_again(
    handler: Callable[_Arguments, _Answer],
) -> Callable[_Arguments, _Answer]:
    """Give what passes by itself one name, so that the state machine can retry only that."""

    @wraps(handler)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return handler(*args, **kwargs)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            if is_transient(error):
                raise TryAgain(str(error)) from error
            raise

    return wrapped
