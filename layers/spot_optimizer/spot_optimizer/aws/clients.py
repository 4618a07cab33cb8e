"""boto3 clients, made once per execution environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from spot_optimizer.switching.error_table import TRANSIENT
from spot_optimizer.telemetry import metrics

if TYPE_CHECKING:
    # Type stubs, for mypy alone: they are not in the layer.
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elb import ElasticLoadBalancingClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

_CONFIG = Config(
    # Standard mode retries throttling and 5xx with jitter; the caller sees errors that persist.
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
)
_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
_INVOCATION = Config(
    # The reply comes when the invoked function has ended; a retry would run it twice.
    retries={"total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=310,
)


@overload
def client(
    service: Literal["cloudwatch"], region: str | None = None, *, once: bool = False
) -> CloudWatchClient: ...
@overload
def client(
    service: Literal["dynamodb"], region: str | None = None, *, once: bool = False
) -> DynamoDBClient: ...
@overload
def client(
    service: Literal["ec2"], region: str | None = None, *, once: bool = False
) -> EC2Client: ...
@overload
def client(
    service: Literal["elb"], region: str | None = None, *, once: bool = False
) -> ElasticLoadBalancingClient: ...
@overload
def client(
    service: Literal["elbv2"], region: str | None = None, *, once: bool = False
) -> ElasticLoadBalancingv2Client: ...
@overload
def client(
    service: Literal["events"], region: str | None = None, *, once: bool = False
) -> EventBridgeClient: ...
@overload
def client(
    service: Literal["iam"], region: str | None = None, *, once: bool = False
) -> IAMClient: ...
@overload
def client(
    service: Literal["kms"], region: str | None = None, *, once: bool = False
) -> KMSClient: ...
@overload
def client(
    service: Literal["lambda"], region: str | None = None, *, once: bool = False
) -> LambdaClient: ...
@overload
def client(
    service: Literal["pricing"], region: str | None = None, *, once: bool = False
) -> PricingClient: ...
@overload
def client(
    service: Literal["s3"], region: str | None = None, *, once: bool = False
) -> S3Client: ...
@overload
def client(
    service: Literal["sns"], region: str | None = None, *, once: bool = False
) -> SNSClient: ...
@overload
def client(
    service: Literal["stepfunctions"], region: str | None = None, *, once: bool = False
) -> SFNClient: ...
def client(service: Any, region: str | None = None, *, once: bool = False) -> Any:
    """The client of a service in the function's own region, or in ``region``.

    ``once``: without the SDK's retries, for a caller that has better ones.
    """
    return _client(service, region or os.environ["AWS_REGION"], once)


@cache
def _client(service: Any, region: str, once: bool = False) -> Any:
    config = _INVOCATION if service == "lambda" else _ONCE if once else _CONFIG
    made = boto3.client(service, region_name=region, config=config)
    made.meta.events.register("needs-retry", _count_throttled)
    return made


def _count_throttled(response: tuple[Any, dict[str, Any]] | None = None, **_: Any) -> None:
    """Count throttled calls, also those that succeed when the SDK retries them.

    botocore emits this event after every try (``endpoint.py``, ``_needs_retry``).
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
    """A transient error of AWS; the state machine retries the step."""


_TRANSIENT = TRANSIENT | {"InternalServerError", "TransactionConflictException"}
"""Transient errors of EC2 and, by DynamoDB's developer guide, "Error handling", of a table: an on-demand
table throttles too, and a single write that conflicts with a transaction is refused."""

_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def error_code(error: ClientError) -> str:
    """AWS's code of an error, such as ``InsufficientInstanceCapacity``."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def reason_of(error: Exception) -> str:
    """An error in one word, the same for each call that fails alike: messages may name the request."""
    return error_code(error) if isinstance(error, ClientError) else type(error).__name__


def http_status(error: ClientError) -> int:
    """HTTP status of an error's reply; 0 if unknown.

    If the body is empty, or HTML from a proxy, it names no error code; botocore then uses the status as
    the code (``parsers.py``, ``_do_generic_error_parse``).
    """
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(code if code.isdigit() else status)


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later: AWS failed or was busy, or its reply could not be read.

    The call may have taken effect.

    EC2 reports missing capacity as a server error ("Error codes for the Amazon EC2 API"), so a launch
    looks its error up in the table of refusals first.
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
    """Raise transient errors as TryAgain, so that the state machine can retry them and no others."""

    @wraps(handler)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return handler(*args, **kwargs)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            if is_transient(error):
                raise TryAgain(str(error)) from error
            raise

    return wrapped
