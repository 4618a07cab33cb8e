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
from spot_optimizer.services.decide.inventory import Member
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.usage.usage_book import MeasuredInstance, UsageBook, UsagePoint

_LISTING_LIFE = timedelta(hours=1)
"""An agent that is new shows up within this time."""


def read_usage(
    store: DataBucket, members: Sequence[Member], catalog: Catalog, now: datetime
) -> UsageBook:
    """The usage book, with those workloads read anew that are due; as it was, when CloudWatch does
    not answer: prices can be judged without it."""
    body = store.read(keys.USAGE)
    book = UsageBook.from_bytes(body) if body else UsageBook()
    machines = {m.item.workload_id: _machine(m, catalog) for m in members}
    due = {
        workload_id: start
        for workload_id, machine in machines.items()
        if (start := book.due(now, workload_id, machine)) is not None
    }
    if not due:
        return book
    try:
        points = _read_points(store, machines, due, now)
    except (BotoCoreError, ClientError):
        logger.exception("usage not read")
        metrics.add_metric("UsageNotRead", "Count", 1)
        return book
    for workload_id in due:
        book.record(
            now,
            workload_id,
            machines[workload_id],
            cpu=points[workload_id, "cpu"],
            memory=points.get((workload_id, "memory"), ()),
        )
    book.keep_only(machines)
    store.write(keys.USAGE, book.to_bytes())
    return book


def _read_points(
    store: DataBucket,
    machines: Mapping[str, MeasuredInstance],
    due: Mapping[str, datetime],
    now: datetime,
) -> dict[tuple[str, str], list[UsagePoint]]:
    memory = _memory_metrics(store, {machines[w].instance_id for w in due}, now)
    wanted = {(w, "cpu"): (cpu_metric(machines[w].instance_id), due[w]) for w in due}
    for workload_id, start in due.items():
        metric = memory.get(machines[workload_id].instance_id)
        if metric is not None:
            wanted[workload_id, "memory"] = (metric, start)
    return read_points(wanted, now)


def _machine(member: Member, catalog: Catalog) -> MeasuredInstance:
    instance = member.instance
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
    """The agent's metrics by instance, listed anew when an instance is missing and an hour is over."""
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
