"""CPU and memory of instances from CloudWatch.

GetMetricData costs $0.01 per 1,000 metrics, so the usage book decides which workloads are due. The exact
dimensions of the CloudWatch agent's memory metric are listed at most once an hour and kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spot_optimizer.aws.clients import client
from spot_optimizer.usage.usage_book import PERIOD_S, UsagePoint

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_QUERIES_MAX = 500
"""MetricDataQueries of one GetMetricData call (CloudWatch API reference)."""

_AGENT = "CWAgent"
_MEMORY_METRICS = ("mem_used_percent", "Memory % Committed Bytes In Use")
"""What the agent reports on Linux and on Windows (CloudWatch user guide, "Metrics collected by the
CloudWatch agent")."""

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MetricOfInstance:
    """A metric with the exact dimensions under which one instance reports it."""

    namespace: str
    name: str
    dimensions: Dimensions


def cpu_metric(instance_id: str) -> MetricOfInstance:
    """EC2's own CPU metric."""
    return MetricOfInstance("AWS/EC2", "CPUUtilization", (("InstanceId", instance_id),))


def list_memory_metrics() -> dict[str, MetricOfInstance]:
    """Instance id -> the agent's memory metric, for every instance that reported in the last three hours.

    The agent may add ImageId, InstanceType and the Auto Scaling group's name, and GetMetricData requires
    the exact dimensions. If an instance has several such metrics, the one with most dimensions is its
    own.
    """
    found: dict[str, MetricOfInstance] = {}
    for name in _MEMORY_METRICS:
        pages = (
            client("cloudwatch")
            .get_paginator("list_metrics")
            .paginate(Namespace=_AGENT, MetricName=name, RecentlyActive="PT3H")
        )
        for page in pages:
            for row in page["Metrics"]:
                dimensions = tuple(sorted((d["Name"], d["Value"]) for d in row["Dimensions"]))
                instance_id = dict(dimensions).get("InstanceId")
                known = found.get(instance_id or "")
                if instance_id and (known is None or len(dimensions) > len(known.dimensions)):
                    found[instance_id] = MetricOfInstance(_AGENT, name, dimensions)
    return found


def read_points(
    wanted: Mapping[tuple[str, str], tuple[MetricOfInstance, datetime]], now: datetime
) -> dict[tuple[str, str], list[UsagePoint]]:
    """Five-minute means for every wanted key, from its own start until ``now``.

    The caller chooses the keys (workload id and kind). Metrics with the same start share calls.
    """
    by_start: dict[datetime, list[tuple[str, str]]] = defaultdict(list)
    for key, (_, start) in wanted.items():
        by_start[_whole_period(start)].append(key)
    points: dict[tuple[str, str], list[UsagePoint]] = {key: [] for key in wanted}
    for start, keys in sorted(by_start.items()):
        for first in range(0, len(keys), _QUERIES_MAX):
            some = keys[first : first + _QUERIES_MAX]
            _read_batch(some, [wanted[key][0] for key in some], start, now, points)
    return points


def _whole_period(start: datetime) -> datetime:
    """Rounded down to the hour, so that workloads read an hour apart share one call."""
    return start.replace(minute=0, second=0, microsecond=0)


def _read_batch(
    keys: list[tuple[str, str]],
    metrics: Iterable[MetricOfInstance],
    start: datetime,
    now: datetime,
    points: dict[tuple[str, str], list[UsagePoint]],
) -> None:
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in metric.dimensions],
                },
                "Period": PERIOD_S,
                "Stat": "Average",
            },
        }
        for number, metric in enumerate(metrics)
    ]
    pages = (
        client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries,
            StartTime=start,
            EndTime=now + timedelta(seconds=1),
            ScanBy="TimestampAscending",
        )
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            key = keys[int(result["Id"][1:])]
            points[key] += [
                UsagePoint(int(at.timestamp()), float(value))
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            ]
