"""Network and disk throughput of workloads, read only if a decision depends on it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.throughput_metrics import Throughput, read_throughput
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.stages import Reason
from spot_optimizer.decision.world import WorkloadView
from spot_optimizer.telemetry import logger, metrics

READ_AGAIN_AFTER = timedelta(hours=24)
READ_AGAIN_AFTER_NOTHING = timedelta(hours=1)
"""CloudWatch reports an instance from its first whole hour."""
KEPT = timedelta(days=7)
READS_MAX = 100
"""Workloads read in one cycle: four metrics with a week of hourly sums each."""


@dataclass(frozen=True, slots=True)
class _Reading:
    instance_id: str
    at_s: float
    network_gbps: float | None
    ebs_mbps: float | None


class ThroughputBook:
    """The readings that are kept between cycles, by workload id. A reading holds for its instance
    only."""

    def __init__(self, store: DataBucket, now: datetime) -> None:
        self._store, self._now = store, now
        body = store.read(keys.THROUGHPUT)
        rows: dict[str, Any] = json.loads(body) if body else {}
        self._readings = {name: _Reading(**row) for name, row in rows.items()}

    def known(self, view: WorkloadView) -> WorkloadView:
        """The workload with its known throughput."""
        reading = self._readings.get(view.workload_id)
        if view.usage is None or reading is None or not self._counts(reading, view, KEPT):
            return view
        usage = replace(
            view.usage,
            network_used_gbps=reading.network_gbps,
            ebs_used_mbps=reading.ebs_mbps,
        )
        return replace(view, usage=usage)

    def read_where_it_matters(
        self, views: Iterable[WorkloadView], decisions: Iterable[Decision]
    ) -> bool:
        """Read the workloads for which a slower type was rejected; True if anything new is known.

        If CloudWatch does not answer, replacements stay as fast as the current type.
        """
        by_id = {view.workload_id: view for view in views}
        label = Reason.TOO_SLOW.label
        due = [
            view
            for decision in decisions
            if decision.rejected_counts.get(label)
            and self._is_due(view := by_id[decision.workload_id])
        ][:READS_MAX]
        if not due:
            return False
        try:
            found = read_throughput([v.instance_id for v in due], self._now)
        except (BotoCoreError, ClientError):
            logger.exception("throughput not read")
            metrics.add_metric("UsageNotRead", "Count", 1)
            return False
        for view in due:
            self._readings[view.workload_id] = self._reading(view, found)
        rows = {
            name: asdict(reading)
            for name, reading in self._readings.items()
            if self._now.timestamp() - reading.at_s < KEPT.total_seconds()
        }
        self._store.write(keys.THROUGHPUT, json.dumps(rows, sort_keys=True).encode())
        return True

    def _reading(self, view: WorkloadView, found: Mapping[str, Throughput]) -> _Reading:
        used = found[view.instance_id]
        return _Reading(view.instance_id, self._now.timestamp(), used.network_gbps, used.ebs_mbps)

    def _is_due(self, view: WorkloadView) -> bool:
        reading = self._readings.get(view.workload_id)
        if reading is None:
            return view.usage is not None
        again = READ_AGAIN_AFTER_NOTHING if reading.network_gbps is None else READ_AGAIN_AFTER
        return not self._counts(reading, view, again)

    def _counts(self, reading: _Reading, view: WorkloadView, for_: timedelta) -> bool:
        age_s = self._now.timestamp() - reading.at_s
        return reading.instance_id == view.instance_id and age_s < for_.total_seconds()
