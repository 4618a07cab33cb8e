"""The usage of all workloads, in one object that is stored between cycles."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.usage.sketch import DAYS_KEPT, Sketch
from spot_optimizer.usage.usage import Usage

PERIOD_S = 300
BOOT_S = 15 * 60
"""Usage during the boot does not count: it says nothing about the size that a workload needs."""
RECENT_S = 3_600
READ_EVERY = timedelta(hours=1)
READ_EVERY_WHEN_CALM = timedelta(hours=2)
SCHEDULE_JITTER = timedelta(minutes=1)
"""A cycle that starts seconds early must not delay a reading until the next cycle."""
CALM_FRACTION = 0.60
_KIND, _VERSION = "usage-book", 1


class UsagePoint(NamedTuple):
    """A five-minute mean from CloudWatch: start of its period in epoch seconds, percent."""

    time_s: int
    percent: float


@dataclass(frozen=True, slots=True)
class MeasuredInstance:
    """A workload's current instance; its size converts percent to vCPU and GiB."""

    instance_id: str
    vcpu: float
    memory_gib: float
    launched_at: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one workload, in vCPU or GiB."""

    sketch: Sketch = field(default_factory=Sketch)
    recent: tuple[tuple[int, float], ...] = ()
    """The means of the last hour (period start, value), oldest first."""

    def with_points(self, points: Sequence[tuple[int, float]]) -> "Series":
        """This series with those ``points`` added that are newer than its newest."""
        until_s = self.recent[-1][0] if self.recent else -1
        new = sorted({time_s: value for time_s, value in points if time_s > until_s}.items())
        if not new:
            return self
        newest_s = new[-1][0]
        recent = tuple(mean for mean in (*self.recent, *new) if mean[0] > newest_s - RECENT_S)
        return Series(self.sketch.with_means(new), recent)


@dataclass(frozen=True, slots=True)
class WorkloadUsage:
    """The usage of one workload."""

    instance_id: str
    read_at_s: int
    cpu: Series = field(default_factory=Series)
    memory: Series = field(default_factory=Series)
    """Empty until something reports it: unknown, not 0."""


class UsageBook:
    """Usage of every workload, by workload id.

    It is mutable, because a cycle changes it for thousands of workloads.
    """

    def __init__(self) -> None:
        self._workloads: dict[str, WorkloadUsage] = {}

    def due(self, now: datetime, workload_id: str, instance: MeasuredInstance) -> datetime | None:
        """The start of the period to read now, or None if the last reading is recent enough.

        A new workload is read for the last seven days, a new instance since its launch, both as soon as
        there is something to read: CloudWatch charges for every metric, and the first 15 minutes do not
        count. Then every hour, or every two hours while CPU p95 is below 60 % of the instance.
        """
        useful_from = instance.launched_at + timedelta(seconds=BOOT_S)
        if now < useful_from + timedelta(seconds=PERIOD_S):
            return None
        known = self._workloads.get(workload_id)
        if known is None:
            return max(now - timedelta(days=DAYS_KEPT), useful_from)
        if known.instance_id == instance.instance_id:
            p95 = known.cpu.sketch.p95(int(now.timestamp()))
            is_calm = p95 is not None and p95 < CALM_FRACTION * instance.vcpu
            every = READ_EVERY_WHEN_CALM if is_calm else READ_EVERY
            if now - _time(known.read_at_s) < every - SCHEDULE_JITTER:
                return None
        oldest = max(now - timedelta(days=DAYS_KEPT), useful_from)
        return max(_time(_known_until_s(known)), oldest)

    def record(
        self,
        now: datetime,
        workload_id: str,
        instance: MeasuredInstance,
        *,
        cpu: Iterable[UsagePoint],
        memory: Iterable[UsagePoint],
    ) -> None:
        """Add the points that were read of ``instance`` at ``now``.

        Ignored are the first 15 minutes after the launch, periods that have not ended, values that are
        not a percentage, and points that are not newer than the known ones. ``memory`` is empty if
        nothing reports it.
        """
        known = self._workloads.get(workload_id) or WorkloadUsage(instance.instance_id, 0)
        self._workloads[workload_id] = WorkloadUsage(
            instance.instance_id,
            int(now.timestamp()),
            known.cpu.with_points(_converted(cpu, instance.vcpu, instance, now)),
            known.memory.with_points(_converted(memory, instance.memory_gib, instance, now)),
        )

    def usage_of(self, workload_id: str, now: datetime) -> Usage | None:
        """The workload's usage at ``now``; None if the last seven days have no CPU data."""
        known = self._workloads.get(workload_id)
        at_s = int(now.timestamp())
        cpu_p95 = known.cpu.sketch.p95(at_s) if known else None
        if known is None or cpu_p95 is None:
            return None
        until_s = _known_until_s(known)
        return Usage(
            as_of=_time(until_s),
            cpu_p95_vcpu=cpu_p95,
            memory_p95_gib=known.memory.sketch.p95(at_s),
            hours=known.cpu.sketch.count(at_s) * PERIOD_S / 3_600,
            recent_cpu_vcpu=_last_hour(known.cpu, until_s),
            recent_memory_gib=_last_hour(known.memory, until_s),
        )

    def keep_only(self, workload_ids: Collection[str]) -> None:
        """Remove workloads that are no longer managed."""
        kept = set(workload_ids)
        self._workloads = {name: w for name, w in self._workloads.items() if name in kept}

    def to_bytes(self) -> bytes:
        """Gzipped JSON, the same bytes for the same book."""
        return pack_json(
            _KIND,
            _VERSION,
            {
                "workloads": {
                    name: {
                        "instance_id": known.instance_id,
                        "read_at_s": known.read_at_s,
                        "cpu": _series_to_json(known.cpu),
                        "memory": _series_to_json(known.memory),
                    }
                    for name, known in self._workloads.items()
                }
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "UsageBook":
        """The inverse of ``to_bytes``. Raises DamagedState."""
        book = cls()
        body = unpack_json(data, _KIND, _VERSION)
        try:
            for name, row in body["workloads"].items():
                book._workloads[name] = WorkloadUsage(
                    instance_id=row["instance_id"],
                    read_at_s=row["read_at_s"],
                    cpu=_series_from_json(row["cpu"]),
                    memory=_series_from_json(row["memory"]),
                )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DamagedState(f"{_KIND}: a field is missing or wrong ({error})") from error
        return book


def _time(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def _converted(
    points: Iterable[UsagePoint], whole: float, instance: MeasuredInstance, now: datetime
) -> list[tuple[int, float]]:
    """The points that count, as fractions of ``whole`` (vCPU or GiB of the instance)."""
    first_s = instance.launched_at.timestamp() + BOOT_S
    last_s = now.timestamp() - PERIOD_S
    return [
        (point.time_s, point.percent / 100 * whole)
        for point in points
        if first_s <= point.time_s <= last_s and math.isfinite(point.percent) and point.percent >= 0
    ]


def _known_until_s(known: WorkloadUsage) -> int:
    """End of the newest CPU period on record, 0 if there is none. EC2 publishes CPU later than the agent
    publishes memory; points that are read twice count once."""
    return known.cpu.recent[-1][0] + PERIOD_S if known.cpu.recent else 0


def _last_hour(series: Series, until_s: int) -> tuple[float, ...]:
    """The means of the hour before ``until_s``; empty if the metric stopped earlier."""
    return tuple(value for time_s, value in series.recent if time_s >= until_s - RECENT_S)


def _series_to_json(series: Series) -> dict[str, Any]:
    return {"days": series.sketch.to_json(), "recent": [list(mean) for mean in series.recent]}


def _series_from_json(row: dict[str, Any]) -> Series:
    recent = tuple((int(time_s), float(value)) for time_s, value in row["recent"])
    return Series(Sketch.from_json(row["days"]), recent)
