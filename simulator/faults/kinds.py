"""What can go wrong between the product and AWS, and which calls it can happen to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from simulator.account.interception import WireCall
from simulator.permissions.guard import DENIAL_CODES

REFUSED_FOR = timedelta(minutes=12)
"""Longer than any step of a state machine is retried: a permission that is missing for a while."""

STALE_BY = timedelta(seconds=15)
"""How old an eventually consistent answer is."""

LATE_BY = timedelta(minutes=7)
"""When a late second delivery of an event arrives (EventBridge delivers at least once)."""


class FaultKind(StrEnum):
    """Kinds of faults. Those of a call meet the whole call of the SDK, all its own retries."""

    ERROR = "error"
    """The service fails (5xx) before the call has had an effect."""
    THROTTLE = "throttle"
    """The service refuses the call because there are too many; no effect."""
    DENIED = "denied"
    """The call is not allowed; neither is any other like it for ``REFUSED_FOR``. No effect."""
    LOST_REPLY = "lost-reply"
    """The call takes effect, but the caller never hears of it."""
    TWICE = "twice"
    """The same request arrives twice, as when the SDK repeats it because a reply was lost; the
    caller sees the second answer."""
    TIMED_OUT = "timed-out"
    """The function hangs after this call until its timeout ends it; it does nothing more."""
    KILLED = "killed"
    """The function is killed at once after this call, as when it runs out of memory."""
    STALE = "stale"
    """A read answers as of ``STALE_BY`` ago; what has been created since is not found."""
    ABORTED = "aborted"
    """Somebody stops the execution while it makes this call."""
    DELIVERED_TWICE = "delivered-twice"
    """An event reaches its target twice."""
    DELIVERED_LATE = "delivered-late"
    """An event reaches its target, and again ``LATE_BY`` afterwards."""
    NOT_DELIVERED = "not-delivered"
    """An event never reaches its target."""

    @property
    def of_delivery(self) -> bool:
        """Whether it happens to the delivery of an event and not to a call."""
        return self in (
            FaultKind.DELIVERED_TWICE, FaultKind.DELIVERED_LATE, FaultKind.NOT_DELIVERED
        )  # fmt: skip


@dataclass(frozen=True, order=True)
class Fault:
    """One fault: what happens to the n-th call, or the n-th delivery, of a run (from 1), or to the
    first one after that to which it can happen."""

    number: int
    kind: FaultKind

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """``17:lost-reply``. Raises ValueError naming what is allowed."""
        number, _, kind = text.partition(":")
        kinds = ", ".join(each.value for each in FaultKind)
        if not number.isdecimal() or int(number) < 1 or kind not in tuple(FaultKind):
            raise ValueError(f"{text!r} is no fault; write NUMBER:KIND, KIND one of {kinds}")
        return cls(int(number), FaultKind(kind))

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
    kinds = [FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.DENIED]
    if not is_read(call.operation):
        kinds += [FaultKind.LOST_REPLY, FaultKind.TWICE]
    if call.caller.kind == "lambda":
        kinds += [FaultKind.TIMED_OUT, FaultKind.KILLED]
    if (call.service, call.operation) in _STALE_READS:
        kinds.append(FaultKind.STALE)
    if in_execution:
        kinds.append(FaultKind.ABORTED)
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
