"""How old the memory of a machine is, and which machines are read again.

A planned switch compares original and replacement, so that a stale launch template costs a launch in
vain; a rescue compares nothing. What tells that a machine has changed:

=================================  ==========================  ===================================
what may have changed              seen by                     when
=================================  ==========================  ===================================
all that DescribeInstances shows   ``fingerprint``             every cycle
user data (only of a stopped one)  the launch time             the cycle after the start
volumes, their tags, credit mode   a digest of their own       every hour, two calls for 200
all of it                          an undone switch            the cycle after it
the rest (shutdown behaviour, ...) nothing short of reading it every day, a few machines a cycle
=================================  ==========================  ===================================
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.ledger.items import PlanItem, WorkloadItem
from spot_optimizer.switching.adoption import Adopted
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.launch_template import fingerprint
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.workflow.instance_reading import READS_MAX, read_details

LOOK_EVERY = timedelta(hours=1)
"""How long a rescue may launch with a volume or a credit mode that a machine has no more."""

READ_AGAIN_AFTER = timedelta(days=1)
AGED_READS_MAX = 10
"""Machines read in one cycle for their memory's age alone: 2,880 a day at five minutes, two to three
seconds a cycle. More workloads than that are come to less often than daily."""

_NEVER = datetime.min.replace(tzinfo=UTC)


class Urgency(IntEnum):
    """Why a machine is to be read, the most urgent first."""

    UNKNOWN = 0
    """New, another instance, or changed for all to see: nothing is decided about it before."""
    UNKNOWN_AND_REFUSED = 1
    """As above, and refused before: a crowd of them must not keep the others from being read."""
    IN_DOUBT = 2
    """Something tells that it may have changed."""
    AGED = 3


@dataclass(frozen=True, slots=True)
class Readings:
    """The machines to read in this cycle."""

    now: tuple[Adopted, ...]
    unknown: frozenset[str]
    """Instance ids, read in this cycle or not, of which nothing is decided before they are read."""

    @property
    def were_unknown(self) -> frozenset[str]:
        """Workload ids of the unknown machines that this cycle comes to."""
        return frozenset(a.workload_id for a in self.now if a.instance_id in self.unknown)

    @property
    def waiting(self) -> int:
        """Unknown machines that this cycle does not come to."""
        return len(self.unknown - {each.instance_id for each in self.now})


def is_look_due(looked_at: datetime | None, now: datetime) -> bool:
    """Whether volumes and credit modes of all machines are to be looked at."""
    return looked_at is None or now - looked_at >= LOOK_EVERY


def changed_details(
    adopted: Iterable[Adopted], instances: Mapping[str, Record], plans: Mapping[str, PlanItem]
) -> frozenset[str] | None:
    """Workload ids whose volumes or credit mode are no longer what was read; None where EC2 would not
    tell, which a cycle can do without."""
    known = {
        each.instance_id: each.workload_id
        for each in adopted
        if each.workload_id in plans
        and plans[each.workload_id].details
        and plans[each.workload_id].read_instance_id == each.instance_id
    }
    try:
        found = read_details(instances[each] for each in known)
    except (BotoCoreError, ClientError):
        logger.exception("machines not looked at")
        metrics.add_metric("InstancesNotRead", "Count", 1)
        return None
    return frozenset(
        known[instance_id]
        for instance_id, details in found.items()
        if details != plans[known[instance_id]].details
    )


def readings(
    adopted: Iterable[Adopted],
    instances: Mapping[str, Record],
    plans: Mapping[str, PlanItem],
    items: Mapping[str, WorkloadItem],
    now: datetime,
    *,
    dry_run: bool,
) -> Readings:
    """Which of these machines are to be read, the most urgent and the longest unread first."""
    due: list[tuple[Urgency, datetime, Adopted]] = []
    for each in adopted:
        plan, item = plans.get(each.workload_id), items.get(each.workload_id)
        urgency = _urgency(instances[each.instance_id], plan, item, now, dry_run=dry_run)
        if urgency is not None:
            due.append((urgency, (plan.read_at if plan else None) or _NEVER, each))
    due.sort(key=lambda entry: entry[:2])
    aged = [each for each in due if each[0] is Urgency.AGED]
    rest = [each for each in due if each[0] is not Urgency.AGED]
    reading = [*rest, *aged[:AGED_READS_MAX]][:READS_MAX]
    return Readings(
        tuple(each for _, _, each in reading),
        frozenset(
            each.instance_id for urgency, _, each in due if urgency <= Urgency.UNKNOWN_AND_REFUSED
        ),
    )


def _urgency(
    instance: Record,
    plan: PlanItem | None,
    item: WorkloadItem | None,
    now: datetime,
    *,
    dry_run: bool,
) -> Urgency | None:
    if plan is None or _is_unknown(instance, plan, dry_run=dry_run):
        refused = item is not None and item.status == "refused"
        return Urgency.UNKNOWN_AND_REFUSED if refused else Urgency.UNKNOWN
    if plan.read_at is None or not plan.details:
        return Urgency.IN_DOUBT
    doubted = item is not None and item.doubted_at is not None and plan.read_at <= item.doubted_at
    if doubted or plan.read_launch_time != instance["LaunchTime"]:
        return Urgency.IN_DOUBT
    return Urgency.AGED if now - plan.read_at >= READ_AGAIN_AFTER else None


def _is_unknown(instance: Record, plan: PlanItem, *, dry_run: bool) -> bool:
    """Whether the machine is another one, was changed since it was read, or has no template yet."""
    return (
        plan.read_instance_id != instance["InstanceId"]
        or (plan.launch_template is None and not dry_run)
        or plan.fingerprint != fingerprint(instance)
    )


def in_doubt(plans: Mapping[str, PlanItem], workload_ids: Collection[str]) -> dict[str, PlanItem]:
    """Their plans, marked so that the machines are read as soon as there is time."""
    return {w: plans[w].model_copy(update={"details": ""}) for w in workload_ids}


def found_wanting(
    plans: Mapping[str, PlanItem], read: Iterable[str], sound: Collection[str]
) -> dict[str, PlanItem]:
    """Plans of workloads whose machine was read and is not ``sound``, marked as unknown: nothing is
    decided about it before a reading finds it sound again."""
    return {
        w: plans[w].model_copy(update={"fingerprint": ""})
        for w in read
        if w not in sound and w in plans and plans[w].fingerprint
    }
