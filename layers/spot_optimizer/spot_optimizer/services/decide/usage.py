"""Reading what workloads use, as seldom as the decision allows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.usage_metrics import (
    MetricOfInstance,
    cpu_metric,
    list_memory_metrics,
    read_points,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.services.decide.inventory import ManagedWorkload
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.usage.usage_book import MeasuredInstance, UsageBook, UsagePoint

_LISTING_LIFE = timedelta(hours=1)
"""A new agent is found within this time."""


def read_usage(
    store: DataBucket,
    workloads: Sequence[ManagedWorkload],
    catalog: Catalog,
    now: datetime,
    *,
    all_workloads: bool,
) -> UsageBook:
    """The usage book after reading the workloads that are due; as it was if CloudWatch does not answer,
    because prices can be judged without it.

    ``all_workloads``: they are all of the stack's, so the usage of others is dropped.
    """
    body = store.read(keys.USAGE)
    book = UsageBook.from_bytes(body) if body else UsageBook()
    instances = {each.workload_id: _measured(each, catalog) for each in workloads}
    due = {
        workload_id: start
        for workload_id, instance in instances.items()
        if (start := book.due(now, workload_id, instance)) is not None
    }
    if not due:
        return book
    try:
        points = _read_points(store, instances, due, now)
    except (BotoCoreError, ClientError):
        logger.exception("usage not read")
        metrics.add_metric("UsageNotRead", "Count", 1)
        return book
    for workload_id in due:
        book.record(
            now,
            workload_id,
            instances[workload_id],
            cpu=points[workload_id, "cpu"],
            memory=points.get((workload_id, "memory"), ()),
        )
    if all_workloads:
        book.keep_only(instances)
    store.write(keys.USAGE, book.to_bytes())
    return book


def _read_points(
    store: DataBucket,
    instances: Mapping[str, MeasuredInstance],
    due: Mapping[str, datetime],
    now: datetime,
) -> dict[tuple[str, str], list[UsagePoint]]:
    memory = _memory_metrics(store, {instances[w].instance_id for w in due}, now)
    wanted = {(w, "cpu"): (cpu_metric(instances[w].instance_id), due[w]) for w in due}
    for workload_id, start in due.items():
        metric = memory.get(instances[workload_id].instance_id)
        if metric is not None:
            wanted[workload_id, "memory"] = (metric, start)
    return read_points(wanted, now)


def _measured(workload: ManagedWorkload, catalog: Catalog) -> MeasuredInstance:
    instance = workload.instance
    instance_type = catalog.types[instance["InstanceType"]]
    return MeasuredInstance(
        instance["InstanceId"],
        instance_type.vcpu,
        instance_type.memory_gib,
        instance["LaunchTime"],
    )


def _memory_metrics(
    store: DataBucket, instance_ids: set[str], now: datetime
) -> dict[str, MetricOfInstance]:
    """The agent's metrics by instance; listed again if an instance is missing, once an hour at most."""
    body = store.read(keys.MEMORY_METRICS)
    kept: dict[str, Any] = json.loads(body) if body else {"listed_at_s": 0, "metrics": {}}
    stale = now.timestamp() - kept["listed_at_s"] > _LISTING_LIFE.total_seconds()
    if stale and not instance_ids <= kept["metrics"].keys():
        metrics = list_memory_metrics()
        kept = {
            "listed_at_s": now.timestamp(),
            "metrics": {i: [m.namespace, m.name, m.dimensions] for i, m in metrics.items()},
        }
        store.write(keys.MEMORY_METRICS, json.dumps(kept).encode())
        return metrics
    return {
        i: MetricOfInstance(namespace, name, tuple((n, v) for n, v in dimensions))
        for i, (namespace, name, dimensions) in kept["metrics"].items()
    }
