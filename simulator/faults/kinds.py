"""Faults between the product and AWS, and the calls to which they apply."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from simulator.account.interception import WireCall
from simulator.permissions.guard import DENIAL_CODES

REFUSED_FOR = timedelta(minutes=12)
"""Longer than any step of a state machine is retried: a temporarily missing permission."""

STALE_BY = timedelta(seconds=15)
"""How old an eventually consistent answer is."""

REDRIVEN_AFTER = timedelta(minutes=27)
"""When a user redrives the stopped execution: the sweep has finished or rolled it back by then."""

LATE_BY = timedelta(minutes=7)
"""When a late second delivery of an event arrives (EventBridge delivers at least once)."""


class FaultKind(StrEnum):
    """Kinds of faults, see :data:`MEANINGS`. A fault of a call affects the whole call of the SDK with
    all its retries."""

    ERROR = "error"
    THROTTLE = "throttle"
    DENIED = "denied"
    LOST_REPLY = "lost-reply"
    TWICE = "twice"
    TIMED_OUT = "timed-out"
    KILLED = "killed"
    STALE = "stale"
    ABORTED = "aborted"
    REDRIVEN = "redriven"
    DELIVERED_TWICE = "delivered-twice"
    DELIVERED_LATE = "delivered-late"
    NOT_DELIVERED = "not-delivered"

    @property
    def of_delivery(self) -> bool:
        """Whether it happens to the delivery of an event and not to a call."""
        return self in (
            FaultKind.DELIVERED_TWICE, FaultKind.DELIVERED_LATE, FaultKind.NOT_DELIVERED
        )  # fmt: skip


MEANINGS: Mapping[FaultKind, str] = {
    FaultKind.ERROR: "the service fails (5xx) before the call has had an effect",
    FaultKind.THROTTLE: "the service refuses the call because there are too many; no effect",
    FaultKind.DENIED: "the call is not allowed, and neither is any other like it for"
    f" {REFUSED_FOR.total_seconds() / 60:.0f} minutes; no effect",
    FaultKind.LOST_REPLY: "the call takes effect, but the caller never receives the reply; writes only",
    FaultKind.TWICE: "the same request arrives twice, as when the SDK repeats it because a reply was"
    " lost, and the caller sees the second answer; writes only",
    FaultKind.TIMED_OUT: "the function hangs after this call until its time-out ends it; calls of"
    " functions only",
    FaultKind.KILLED: "the function is killed at once after this call, as when it runs out of memory;"
    " calls of functions only",
    FaultKind.STALE: f"the read answers as of {STALE_BY.total_seconds():.0f} seconds ago, and what has"
    " been created since is not found; reads that are eventually consistent only",
    FaultKind.ABORTED: "somebody stops the execution while it makes this call; in an execution only",
    FaultKind.REDRIVEN: "somebody stops the execution while it makes this call, and redrives it"
    f" {REDRIVEN_AFTER.total_seconds() / 60:.0f} minutes later; in an execution only",
    FaultKind.DELIVERED_TWICE: "an event reaches its function twice",
    FaultKind.DELIVERED_LATE: "an event reaches its function, and again"
    f" {LATE_BY.total_seconds() / 60:.0f} minutes afterwards",
    FaultKind.NOT_DELIVERED: "an event never reaches its function",
}


@dataclass(frozen=True, order=True)
class Fault:
    """One fault by number: it affects the n-th call or delivery of a run (from 1), or the first one after
    that to which its kind applies."""

    number: int
    kind: FaultKind

    def __str__(self) -> str:
        return f"{self.number}:{self.kind.value}"


_READS = ("Describe", "Get", "List", "Query", "Head", "Scan")
_STALE_READS = frozenset(
    {
        ("ec2", "DescribeInstances"),
        ("ec2", "DescribeInstanceStatus"),
        ("ec2", "DescribeInstanceAttribute"),
        ("ec2", "DescribeInstanceCreditSpecifications"),
        ("ec2", "DescribeVolumes"),
        ("elbv2", "DescribeTargetHealth"),
        ("stepfunctions", "DescribeExecution"),
    }
)
"""Eventually consistent by their documentation (EC2 developer guide, "Eventual consistency";
DescribeExecution API reference). The product reads DynamoDB consistently, S3 always is."""


def is_read(operation: str) -> bool:
    """Whether a call changes nothing."""
    return operation.startswith(_READS)


def applicable(call: WireCall, *, in_execution: bool) -> tuple[FaultKind, ...]:
    """The kinds that can happen to a call and that differ there."""
    by_function = call.caller.kind == "lambda"
    return possible(call.service, call.operation, by_function, in_execution)


def possible(
    service: str, operation: str, by_function: bool = True, in_execution: bool = True
) -> tuple[FaultKind, ...]:
    """The kinds that can happen to an operation that a function calls, or that an execution does."""
    kinds = [FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.DENIED]
    if not is_read(operation):
        kinds += [FaultKind.LOST_REPLY, FaultKind.TWICE]
    if by_function:
        kinds += [FaultKind.TIMED_OUT, FaultKind.KILLED]
    if (service, operation) in _STALE_READS:
        kinds.append(FaultKind.STALE)
    if in_execution:
        kinds += [FaultKind.ABORTED, FaultKind.REDRIVEN]
    return tuple(kinds)


_SERVER_ERRORS = {
    "cloudwatch": "InternalServiceError",
    "dynamodb": "InternalServerError",
    "ec2": "InternalError",
    "elb": "InternalFailure",
    "elbv2": "InternalFailure",
    "events": "InternalException",
    "lambda": "ServiceException",
    "pricing": "InternalErrorException",
    "s3": "InternalError",
    "sns": "InternalError",
    "stepfunctions": "InternalFailure",
}
_THROTTLES = {
    "cloudwatch": "Throttling",
    "dynamodb": "ThrottlingException",
    "ec2": "RequestLimitExceeded",
    "elb": "Throttling",
    "elbv2": "Throttling",
    "lambda": "TooManyRequestsException",
    "s3": "SlowDown",
    "sns": "Throttled",
}


def refusal(service: str, kind: FaultKind) -> tuple[int, dict[str, Mapping[str, str]]]:
    """HTTP status and reply of a service's own error (each service's API reference, "Common errors")."""
    match kind:
        case FaultKind.THROTTLE:
            status, code = 400, _THROTTLES.get(service, "ThrottlingException")
        case FaultKind.DENIED:
            status, code = 403, DENIAL_CODES.get(service, "AccessDeniedException")
        case _:
            status, code = 500, _SERVER_ERRORS.get(service, "InternalFailure")
    return status, {"Error": {"Code": code, "Message": f"a fault was injected: {kind.value}"}}
