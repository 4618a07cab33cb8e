"""Token buckets: how often an account may call AWS.

Source: EC2 developer guide, "Request throttling for the Amazon EC2 API" (a bucket for each action
and region; some actions take resource tokens besides, one for each instance); for the other
services see the rows of simulator/limits.py.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from botocore import xform_name

from simulator.api_calls import ApiCall
from simulator.limits import Bucket, Limits

__all__ = ["Rates", "Refusal", "TokenBuckets", "speaks_of_rates"]

_READS = ("Describe", "Get", "List", "Search")
_UNFILTERED = frozenset(
    {
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSnapshots",
        "DescribeSpotInstanceRequests",
        "DescribeVolumes",
    }
)
_NARROWING = ("Filters", "MaxResults", "NextToken")
_TARGETS = frozenset({"RegisterTargets", "DeregisterTargets"})
_SERVICES = {"cloudwatch": "cloudwatch", "stepfunctions": "states"}
_A_HAIR = 1e-9


class Refusal(NamedTuple):
    """What AWS answers a call above the rate."""

    status: int
    code: str
    message: str


_REFUSAL = Refusal(400, "ThrottlingException", "Rate exceeded")
_OLDER_REFUSAL = Refusal(400, "Throttling", "Rate exceeded")
"""CloudWatch and Elastic Load Balancing speak the older query protocol."""
_REFUSALS: Mapping[str, Refusal] = {
    "cloudwatch": _OLDER_REFUSAL,
    "ec2": Refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
    "elb": _OLDER_REFUSAL,
    "elbv2": _OLDER_REFUSAL,
    "lambda": Refusal(429, "TooManyRequestsException", "Rate Exceeded."),
    "s3": Refusal(503, "SlowDown", "Please reduce your request rate."),
    "sns": Refusal(400, "Throttled", "Rate exceeded"),
}
"""Of the others: :data:`_REFUSAL` (each service's API reference, "Common errors")."""


def speaks_of_rates(text: str) -> bool:
    """Whether an error's message holds a refusal of AWS's for too many calls."""
    return any(refusal.message in text for refusal in (_REFUSAL, *_REFUSALS.values()))


class Need(NamedTuple):
    """So many tokens of one bucket."""

    name: str
    bucket: Bucket
    tokens: float = 1


class TokenBuckets:
    """Buckets by name, full at first, filled evenly by the clock that is passed in."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, str], tuple[float, datetime]] = {}

    def take(self, where: str, needs: Iterable[Need], now: datetime) -> bool:
        """Take all that is needed, or nothing where one bucket holds too little.

        where: the region; a bucket of each name is there in each.
        """
        wanted = list(needs)
        levels = [self._level(where, need, now) for need in wanted]
        if any(level + _A_HAIR < need.tokens for level, need in zip(levels, wanted, strict=True)):
            return False
        for level, need in zip(levels, wanted, strict=True):
            self._levels[(where, need.name)] = (level - need.tokens, now)
        return True

    def _level(self, where: str, need: Need, now: datetime) -> float:
        capacity, refill_per_s = need.bucket
        level, since = self._levels.get((where, need.name), (capacity, now))
        return min(capacity, level + refill_per_s * ((now - since) / timedelta(seconds=1)))


class Rates:
    """The rates of one account.

    own: operations with a bucket of their own, whatever the limits say of them.
    """

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], datetime],
        own: Mapping[ApiCall, Bucket] | None = None,
    ) -> None:
        self._limits, self._now, self._own = limits, now, own or {}
        self._buckets = TokenBuckets()

    def refusal(
        self, service: str, operation: str, region: str, params: Mapping[str, Any]
    ) -> Refusal | None:
        """Take the call's tokens; the refusal where there are not enough, which takes none."""
        needs = self._needs(service, operation, params)
        if not needs or self._buckets.take(region, needs, self._now()):
            return None
        return _REFUSALS.get(service, _REFUSAL)

    def _needs(self, service: str, operation: str, params: Mapping[str, Any]) -> list[Need]:
        if (own := self._own.get(ApiCall(service, operation))) is not None:
            return [Need(f"{service}:{operation}:own", own)]
        if service == "ec2":
            return self._ec2_needs(operation, params)
        name: str | None = None
        if service in ("elb", "elbv2"):
            name = "api_elb_register" if operation in _TARGETS else None
            if operation.startswith(_READS):
                name = "api_elb_describe"
        elif service == "pricing":
            name = "api_pricing"
        elif service in _SERVICES:
            name = f"api_{_SERVICES[service]}_{_snake(operation)}"
        bucket = getattr(self._limits, name, None) if name else None
        return [Need(f"{service}:{name}", bucket)] if bucket else []

    def _ec2_needs(self, operation: str, params: Mapping[str, Any]) -> list[Need]:
        limits, own = self._limits, f"api_ec2_{_snake(operation)}"
        if operation in _UNFILTERED and not _is_narrow(params):
            return [Need(f"{operation}:unfiltered", limits.api_ec2_describe_unfiltered)]
        category = (
            limits.api_ec2_describe if operation.startswith(_READS) else limits.api_ec2_mutating
        )
        needs = [Need(operation, getattr(limits, own, category))]
        resources = getattr(limits, f"{own}_resources", None)
        if resources is not None:
            count = params.get("MaxCount") or len(params.get("InstanceIds", ())) or 1
            needs.append(Need(f"{operation}:resources", resources, count))
        return needs


def _is_narrow(params: Mapping[str, Any]) -> bool:
    return any(params.get(name) for name in _NARROWING) or any(
        name.endswith("Ids") and value for name, value in params.items()
    )


@functools.cache
def _snake(operation: str) -> str:
    return str(xform_name(operation))
