"""CloudWatch metrics of instances, from the demand that scenarios state.

Sources: API_GetMetricData (500 queries, 100,800 data points, descending by default, timestamps of
period starts), API_ListMetrics (pages of 500), EC2 user guide "List the available CloudWatch
metrics for your instances" (basic monitoring: a point every 5 minutes), CloudWatch user guide
"Metrics collected by the CloudWatch agent" (mem_used_percent; on Windows "Memory % Committed
Bytes In Use" with the dimension objectname) and its retention (5-minute points for 63 days).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.limits import LIMITS
from simulator.world.catalog import instance_types, memory_gib, vcpus
from simulator.world.errors import AwsError, NotModelled
from simulator.world.model import Instance
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import remember, remembered, utc
from simulator.world.state import WorldState

_SAMPLE_S = 300
_LIST_PAGE = 500
_KEPT = timedelta(days=63)
_LISTED_FOR = timedelta(days=14)
_NOISE = 0.03
_IDLE_VCPU = 0.02
_IDLE_MIB_PER_S = 0.001

Samples = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Load:
    """What a workload demands, as functions of time; it follows the workload's Name tag.

    cpu_vcpu: vCPUs. memory_gib: GiB in use, None where no agent reports memory. network_mib_per_s:
    MiB a second in each direction. Every instance with the name shows the full demand.
    """

    cpu_vcpu: Callable[[datetime], float]
    memory_gib: Callable[[datetime], float] | None = None
    network_mib_per_s: Callable[[datetime], float] | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of one instance with its exact dimensions and a way to sample it."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    instance: Instance
    samples: Samples

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What GetMetricData must name exactly; the order of dimensions does not matter."""
        return self.namespace, self.name, tuple(sorted(self.dimensions))


def metrics_of(state: WorldState, loads: dict[str, Load], instance: Instance) -> list[Metric]:
    """All metrics that an instance has."""
    load = loads.get(state.tags.get(instance.instance_id, {}).get("Name", ""))
    by_id = (("InstanceId", instance.instance_id),)
    share = partial(_sampled, state, instance)
    demand = load.cpu_vcpu if load else (lambda _: _IDLE_VCPU)
    cores = vcpus(instance.instance_type)
    found = [
        Metric("AWS/EC2", "CPUUtilization", by_id, instance, share("cpu", demand, 100 / cores, 100))
    ]
    network = load.network_mib_per_s if load else None
    for name in ("NetworkIn", "NetworkOut"):
        rate = network or (lambda _: _IDLE_MIB_PER_S)
        samples = share(name, rate, 2**20 * _SAMPLE_S, float("inf"))
        found.append(Metric("AWS/EC2", name, by_id, instance, samples))
    if instance_types()[instance.instance_type].get("Hypervisor") == "nitro":
        for name in ("EBSReadBytes", "EBSWriteBytes"):
            samples = share(name, lambda _: _IDLE_MIB_PER_S, 2**20 * _SAMPLE_S, float("inf"))
            found.append(Metric("AWS/EC2", name, by_id, instance, samples))
    if load and load.memory_gib:
        windows = state.images[instance.spec.image_id].platform == "windows"
        name = "Memory % Committed Bytes In Use" if windows else "mem_used_percent"
        dimensions = (
            ("ImageId", instance.spec.image_id),
            *by_id,
            ("InstanceType", instance.instance_type),
            *((("objectname", "Memory"),) if windows else ()),
        )
        scale = 100 / memory_gib(instance.instance_type)
        samples = share("memory", load.memory_gib, scale, 100)
        found.append(Metric("CWAgent", name, dimensions, instance, samples))
    return found


def _sampled(
    state: WorldState,
    instance: Instance,
    purpose: str,
    demand: Callable[[datetime], float],
    scale: float,
    ceiling: float,
) -> Samples:
    """Samples of a demand with a little noise that depends on seed, instance and time only."""
    salt = int.from_bytes(state.digest("noise", purpose, instance.instance_id)[:8], "big")

    def samples(times_s: NDArray[np.int64]) -> NDArray[np.float64]:
        values = np.array([demand(datetime.fromtimestamp(t, UTC)) for t in times_s.tolist()])
        noise = 1 + _NOISE * (2 * _uniform(times_s, salt) - 1)
        return np.clip(values * noise * scale, 0.0, ceiling)

    return samples


def _uniform(times_s: NDArray[np.int64], salt: int) -> NDArray[np.float64]:
    """Uniform draws in [0, 1) by the splitmix64 finaliser."""
    with np.errstate(over="ignore"):
        mixed = times_s.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


@operation("cloudwatch", "ListMetrics")
def list_metrics(state: WorldState, params: Params) -> Reply:
    """API_ListMetrics: metrics with data in the last two weeks (3 hours with RecentlyActive)."""
    if token := params.get("NextToken"):
        rows = remembered(state, "ListMetrics", token)
    else:
        rows = [
            {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": n, "Value": v} for n, v in metric.dimensions],
            }
            for metric in _recent(state, "RecentlyActive" in params)
            if _listed(metric, params)
        ]
    following = remember(state, "ListMetrics", rows[_LIST_PAGE:])
    return {"Metrics": rows[:_LIST_PAGE], "NextToken": following}


def _recent(state: WorldState, last_hours_only: bool) -> list[Metric]:
    now = state.now()
    since = now - (timedelta(hours=3) if last_hours_only else _LISTED_FOR)
    loads = state.caches.setdefault("loads", {})
    return [
        metric
        for instance in state.instances.values()
        if instance.running_between(since, now)
        for metric in metrics_of(state, loads, instance)
    ]


def _listed(metric: Metric, params: Params) -> bool:
    if params.get("Namespace", metric.namespace) != metric.namespace:
        return False
    if params.get("MetricName", metric.name) != metric.name:
        return False
    own = dict(metric.dimensions)
    return all(
        item["Name"] in own and item.get("Value", own[item["Name"]]) == own[item["Name"]]
        for item in params.get("Dimensions", [])
    )


@operation("cloudwatch", "GetMetricData")
def get_metric_data(state: WorldState, params: Params) -> Reply:
    """API_GetMetricData for MetricStat queries; a metric that is not there has no values."""
    if token := params.get("NextToken"):
        results = remembered(state, "GetMetricData", token)
    else:
        results = _results(state, params)
    limit = params.get("MaxDatapoints", LIMITS.metric_datapoints)
    if not 1 <= limit <= LIMITS.metric_datapoints:
        raise AwsError("ValidationError", f"MaxDatapoints must be 1 to {LIMITS.metric_datapoints}")
    shown, rest = _split(results, limit)
    return {
        "MetricDataResults": shown,
        "Messages": [],
        "NextToken": remember(state, "GetMetricData", rest),
    }


def _results(state: WorldState, params: Params) -> list[Params]:
    queries = params["MetricDataQueries"]
    if len(queries) > LIMITS.metric_queries:
        raise AwsError(
            "ValidationError",
            "The collection MetricDataQueries must not have a size greater than 500.",
        )
    start, end = utc(params["StartTime"]), utc(params["EndTime"])
    if start >= end:
        raise AwsError(
            "ValidationError",
            "The parameter StartTime must be less than the parameter EndTime.",
        )
    ids = [query["Id"] for query in queries]
    for name in ids:
        if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", name) or ids.count(name) > 1:
            raise AwsError(
                "ValidationError",
                f"The value {name} for parameter MetricDataQueries.Id must be unique, begin with "
                "a lowercase letter and hold only letters, digits and underscores.",
            )
    known = _known(state, queries)
    newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    return [
        _result(state, query, known, start, end, newest_first)
        for query in queries
        if query.get("ReturnData", True)
    ]


def _known(state: WorldState, queries: list[Params]) -> dict[Any, Metric]:
    loads = state.caches.setdefault("loads", {})
    wanted = {
        item["Value"]
        for query in queries
        for item in query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", [])
        if item["Name"] == "InstanceId"
    }
    return {
        metric.key: metric
        for instance_id in sorted(wanted & set(state.instances))
        for metric in metrics_of(state, loads, state.instances[instance_id])
    }


def _result(
    state: WorldState,
    query: Params,
    known: dict[Any, Metric],
    start: datetime,
    end: datetime,
    newest_first: bool,
) -> Params:
    if "MetricStat" not in query:
        raise NotModelled(f"GetMetricData: query {query['Id']!r} has no MetricStat")
    stat, named = query["MetricStat"], query["MetricStat"]["Metric"]
    period = stat["Period"]
    if period not in (1, 5, 10, 30) and (period < 60 or period % 60):
        raise AwsError(
            "ValidationError", f"Period {period} must be 1, 5, 10, 30 or a multiple of 60"
        )
    dimensions = tuple(sorted((d["Name"], d["Value"]) for d in named.get("Dimensions", [])))
    metric = known.get((named["Namespace"], named["MetricName"], dimensions))
    points = _points(state, metric, stat["Stat"], period, start, end) if metric else []
    if newest_first:
        points.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label", named["MetricName"]),
        "Timestamps": [datetime.fromtimestamp(time, UTC) for time, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


def _points(
    state: WorldState, metric: Metric, stat: str, period: int, start: datetime, end: datetime
) -> list[tuple[int, float]]:
    """(start of period, statistic), ascending; periods without a sample are left out."""
    aggregate = _aggregate(stat)
    # A sample stands for the five minutes that follow it and exists once they have passed.
    now = state.now()
    first = max(start, now - _KEPT).timestamp()
    base = int(first // period * period)
    if 86_400 % period:
        base = int(first // 60 * 60)
    last = min(end.timestamp(), now.timestamp() - _SAMPLE_S)
    times = np.arange(-(-base // _SAMPLE_S) * _SAMPLE_S, last + 1e-6, _SAMPLE_S, dtype=np.int64)
    times = times[times < end.timestamp()]
    times = times[_while_running(metric.instance, times, now)]
    if not len(times):
        return []
    values = metric.samples(times)
    buckets = (times - base) // period
    if period <= _SAMPLE_S:
        # One sample a period: every statistic but the count is the sample itself.
        single = np.ones(len(values)) if stat == "SampleCount" else values
        return list(zip((base + buckets * period).tolist(), single.tolist(), strict=True))
    edges = np.flatnonzero(np.diff(buckets)) + 1
    groups = np.split(values, edges)
    firsts = buckets[np.concatenate(([0], edges))]
    return [
        (base + int(bucket) * period, aggregate(group))
        for bucket, group in zip(firsts.tolist(), groups, strict=True)
    ]


def _while_running(
    instance: Instance, times_s: NDArray[np.int64], now: datetime
) -> NDArray[np.bool_]:
    inside = np.zeros(len(times_s), dtype=bool)
    if len(times_s):
        begin = datetime.fromtimestamp(int(times_s[0]), UTC)
        for low, high in instance.running_between(begin, now):
            inside |= (times_s >= low.timestamp()) & (times_s < high.timestamp())
    return inside


def _aggregate(stat: str) -> Callable[[NDArray[np.float64]], float]:
    simple: dict[str, Callable[[NDArray[np.float64]], float]] = {
        "Average": lambda values: float(values.mean()),
        "Maximum": lambda values: float(values.max()),
        "Minimum": lambda values: float(values.min()),
        "Sum": lambda values: float(values.sum()),
        "SampleCount": lambda values: float(len(values)),
    }
    if stat in simple:
        return simple[stat]
    percentile = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,10})?|100)", stat)
    if percentile is None:
        raise AwsError(
            "ValidationError",
            f"The value {stat} for parameter Stat is not supported; allowed are "
            f"{', '.join(simple)} and percentiles such as p95.",
        )
    rank = float(percentile.group(1))
    return lambda values: float(np.percentile(values, rank))


def _split(results: list[Params], limit: int) -> tuple[list[Params], list[Params]]:
    """As many data points as fit on a page, and the rest."""
    shown: list[Params] = []
    rest: list[Params] = []
    left = limit
    for result in results:
        count = len(result["Values"])
        if rest or (left == 0 and count):
            rest.append(result)
        elif count <= left:
            shown.append(result)
            left -= count
        else:
            head, tail = _cut(result, left)
            shown.append({**head, "StatusCode": "PartialData"})
            rest.append(tail)
            left = 0
    return shown, rest


def _cut(result: Params, count: int) -> tuple[Params, Params]:
    stamps, values = result["Timestamps"], result["Values"]
    return (
        {**result, "Timestamps": stamps[:count], "Values": values[:count]},
        {**result, "Timestamps": stamps[count:], "Values": values[count:]},
    )
