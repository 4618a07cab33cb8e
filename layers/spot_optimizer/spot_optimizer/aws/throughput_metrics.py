"""Network and EBS throughput of instances from CloudWatch.

EC2 reports bytes in every period (EC2 user guide, "CloudWatch metrics that are available for your
instances"): NetworkIn and NetworkOut for all instances, EBSReadBytes and EBSWriteBytes for Nitro
instances. A type sustains its baseline, and its burst credits cover peaks of less than an hour ("Amazon
EC2 instance network bandwidth"). So hourly means are compared with the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spot_optimizer.aws.clients import client

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_METRICS = ("NetworkIn", "NetworkOut", "EBSReadBytes", "EBSWriteBytes")
_HOUR_S = 3_600
_BACK = timedelta(days=7)
_QUERIES_MAX = 500
"""MetricDataQueries of one GetMetricData call (CloudWatch API reference)."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Highest hourly means of a week; None if no metric reports it."""

    network_gbps: float | None
    """Of the busier direction."""
    ebs_mbps: float | None
    """Reading and writing together."""


def read_throughput(instance_ids: Sequence[str], now: datetime) -> dict[str, Throughput]:
    """Throughput of each instance, by id. The current hour does not count."""
    end = now.replace(minute=0, second=0, microsecond=0)
    wanted = [(instance_id, name) for instance_id in instance_ids for name in _METRICS]
    sums: dict[tuple[str, str], dict[datetime, float]] = {key: {} for key in wanted}
    for first in range(0, len(wanted), _QUERIES_MAX):
        _read_batch(wanted[first : first + _QUERIES_MAX], end, sums)
    return {instance_id: _throughput(instance_id, sums) for instance_id in instance_ids}


def _throughput(instance_id: str, sums: dict[tuple[str, str], dict[datetime, float]]) -> Throughput:
    received, sent, read, written = (sums[instance_id, name] for name in _METRICS)
    network = [*received.values(), *sent.values()]
    hours = read.keys() | written.keys()
    ebs = [read.get(hour, 0.0) + written.get(hour, 0.0) for hour in hours]
    return Throughput(
        network_gbps=max(network) * 8 / 1e9 / _HOUR_S if network else None,
        ebs_mbps=max(ebs) / 1e6 / _HOUR_S if ebs else None,
    )


def _read_batch(
    keys: Sequence[tuple[str, str]],
    end: datetime,
    sums: dict[tuple[str, str], dict[datetime, float]],
) -> None:
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/EC2",
                    "MetricName": name,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                },
                "Period": _HOUR_S,
                "Stat": "Sum",
            },
        }
        for number, (instance_id, name) in enumerate(keys)
    ]
    pages = (
        client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries,
            StartTime=end - _BACK,
            EndTime=end,
            ScanBy="TimestampAscending",
        )
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            values = zip(result["Timestamps"], map(float, result["Values"]), strict=True)
            sums[keys[int(result["Id"][1:])]].update(values)
