"""How long a call of AWS takes a function: what the embedded account, which answers at once, cannot say.

Assumptions, not measurements: what clients in the same region commonly see in the middle of the day,
the SDK's own work (signing, parsing) included, on the generous side. A call takes a base and something
for each row of its reply or megabyte that it carries.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

__all__ = ["body_bytes", "call_seconds"]


class Latency(NamedTuple):
    """Seconds: at least, for each row of the reply, for each megabyte sent or received."""

    base: float
    row: float = 0.0
    megabyte: float = 0.0


_DEFAULT = Latency(0.1)
_LATENCIES: Mapping[tuple[str, str], Latency] = {
    ("dynamodb", "GetItem"): Latency(0.006),
    ("dynamodb", "PutItem"): Latency(0.008),
    ("dynamodb", "UpdateItem"): Latency(0.008),
    ("dynamodb", "DeleteItem"): Latency(0.008),
    ("dynamodb", "TransactWriteItems"): Latency(0.020),
    ("dynamodb", "BatchWriteItem"): Latency(0.015),
    ("dynamodb", "Query"): Latency(0.008, row=0.0002),
    ("s3", "GetObject"): Latency(0.025, megabyte=0.015),
    ("s3", "PutObject"): Latency(0.040, megabyte=0.025),
    ("s3", "ListObjectsV2"): Latency(0.050),
    ("ec2", "DescribeInstances"): Latency(0.20, row=0.0015),
    ("ec2", "DescribeSpotPriceHistory"): Latency(0.20, row=0.0004),
    ("ec2", "DescribeInstanceTypes"): Latency(0.30, row=0.004),
    ("ec2", "RunInstances"): Latency(1.5),
    ("ec2", "CreateFleet"): Latency(3.0),
    ("ec2", "CreateLaunchTemplate"): Latency(0.30),
    ("ec2", "GetLaunchTemplateData"): Latency(0.30),
    ("cloudwatch", "GetMetricData"): Latency(0.15, row=0.001),
    ("cloudwatch", "ListMetrics"): Latency(0.15, row=0.0002),
    ("events", "PutEvents"): Latency(0.02),
    ("lambda", "Invoke"): Latency(0.03),
    ("pricing", "GetProducts"): Latency(0.5),
    ("sns", "Publish"): Latency(0.03),
    ("stepfunctions", "StartExecution"): Latency(0.05),
}


def call_seconds(
    service: str, operation: str, params: Mapping[str, Any], reply: Mapping[str, Any]
) -> float:
    """Seconds from the call to its parsed reply."""
    latency = _LATENCIES.get((service, operation), _DEFAULT)
    return (
        latency.base
        + latency.row * _rows(operation, reply)
        + latency.megabyte * _carried_bytes(params, reply) / 1e6
    )


def _rows(operation: str, reply: Mapping[str, Any]) -> int:
    if operation == "DescribeInstances":
        return sum(len(each["Instances"]) for each in reply.get("Reservations", ()))
    return max((len(value) for value in reply.values() if isinstance(value, list)), default=0)


def _carried_bytes(params: Mapping[str, Any], reply: Mapping[str, Any]) -> int:
    return max(body_bytes(params), int(reply.get("ContentLength", 0) or 0))


def body_bytes(params: Mapping[str, Any]) -> int:
    """Bytes of an object that is put; botocore has made a file of them by now."""
    body = params.get("Body", b"")
    return int(body.getbuffer().nbytes) if isinstance(body, BytesIO) else len(body)
