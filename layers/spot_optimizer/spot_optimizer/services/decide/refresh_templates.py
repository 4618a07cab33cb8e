"""Step 2 of a cycle: instances that are new, or may have changed, are read into their launch templates.

A planned switch compares original and replacement, so an outdated launch template costs a launch; a
failover compares nothing. What shows that an instance has changed:

====================================  ===========================  ==================================
what may have changed                 seen by                      when
====================================  ===========================  ==================================
all that DescribeInstances shows      ``fingerprint``              every cycle
user data (only of a stopped one)     the launch time              the cycle after the start
volumes, their tags, credit mode      a digest of their own        every hour, two calls for 200
what a launch names (image, key, ...) looking it up                every hour, four calls for 200
all of it                             an undone switch             the cycle after the switch
the rest (shutdown behavior, ...)     only a reading shows it      every day, a few instances a cycle
====================================  ===========================  ==================================
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.ledger.items import PlanItem, WorkloadItem
from spot_optimizer.services.decide.launch_problems import could_not_read_again, with_problems
from spot_optimizer.services.decide.observe import Observed
from spot_optimizer.services.decide.read_instances import (
    READS_MAX,
    read_details,
    read_whole_instances,
)
from spot_optimizer.services.decide.standing_plans import StandingPlans
from spot_optimizer.services.decide.template_versions import LiveVersions
from spot_optimizer.services.decide.write_templates import can_launch_from, update_launch_templates
from spot_optimizer.switching.adoption import Adopted, Adoption, Refused
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.protections import refuse_protected
from spot_optimizer.switching.stored_digests import fingerprint
from spot_optimizer.telemetry import logger, metrics

LOOK_EVERY = timedelta(hours=1)
"""How long a failover may launch with a volume or a credit mode that an instance no longer has."""

READ_AGAIN_AFTER = timedelta(days=1)
AGED_READS_MAX = 10
"""Instances read in one cycle only because their last reading is old: 2,880 a day at five minutes, two
to three seconds a cycle. With more workloads than that, each is read less often than daily."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The verdict on all instances, once those that were due have been read."""

    adopted: tuple[Adopted, ...]
    refused: tuple[Refused, ...]
    waiting: int
    """New and changed instances that a later cycle reads."""
    read: frozenset[str]
    """Ids of workloads whose instance is new or was changed, and was read in this cycle."""
    looked: bool
    """Whether EC2 answered for volumes and credit modes of all instances."""


def refresh_templates(
    observed: Observed,
    adoption: Adoption,
    plans: StandingPlans,
    now: datetime,
    *,
    managed_as: str,
    look: bool,
    live: LiveVersions,
    dry_run: bool,
) -> Refreshed:
    """Read what is due, write launch templates, and note both in ``plans``.

    ``look``: ask for volumes and credit modes to find instances that have changed. An instance of
    which nothing can be decided before it is read is left out until it is.
    """
    # 1. Look: which instances have changed volumes or another credit mode?
    at_rest = [each for each in adoption.adopted if each.workload_id not in observed.live]
    changed = _changed_details(at_rest, observed.instances, plans) if look else None
    plans.change({workload_id: {"details": ""} for workload_id in changed or ()})

    # 2. Read: the instances that are due.
    due = _readings(at_rest, observed.instances, plans, observed.items, now, dry_run=dry_run)
    readings, unreadable = read_whole_instances(
        observed.instances[each.instance_id] for each in due.now
    )
    kept = _with_the_last_template(due, unreadable, observed.instances, plans)
    plans.change({each.workload_id: {"launch_problem": text} for each, text in kept})
    unread = due.unknown - readings.keys() - {each.instance_id for each, _ in kept}

    # 3. Filter: a reading shows protections, which adoption could not see.
    protections = {instance_id: each.protections for instance_id, each in readings.items()}
    readable = (each for each in adoption.adopted if each.instance_id not in unread)
    filtered = refuse_protected(readable, protections)

    # 4. Write: launch templates of the instances that were read.
    written = update_launch_templates(
        filtered.adopted,
        readings,
        plans,
        now,
        live=live,
        stack_name=managed_as,
        dry_run=dry_run,
    )
    plans.put(written.plans)
    read = [each.workload_id for each in due.now if each.instance_id in readings]
    plans.change(_marked_unknown(plans, read, sound=written.plans))

    return Refreshed(
        adopted=tuple(
            with_problems(a, plans.get(a.workload_id))
            for a in filtered.adopted
            if a.workload_id not in written.refused
        ),
        refused=(
            *adoption.refused,
            *filtered.refused,
            *_refusals(due.now, {i: _not_read(unreadable[i]) for i in unread & unreadable.keys()}),
            *_refusals(
                filtered.adopted,
                {
                    a.instance_id: written.refused[a.workload_id]
                    for a in filtered.adopted
                    if a.workload_id in written.refused
                },
            ),
        ),
        waiting=due.waiting,
        read=due.were_unknown & written.plans.keys(),
        looked=changed is not None,
    )


def _refusals(adopted: Iterable[Adopted], reasons: Mapping[str, str]) -> list[Refused]:
    """``reasons``: instance id -> why it is refused after all."""
    return [
        Refused(a.instance_id, a.workload_id, reasons[a.instance_id])
        for a in adopted
        if a.instance_id in reasons
    ]


def _not_read(error: Exception) -> str:
    return f"it could not be read: {error}"


def _with_the_last_template(
    due: "_Readings",
    unreadable: Mapping[str, Exception],
    instances: Mapping[str, Record],
    plans: Mapping[str, PlanItem],
) -> list[tuple[Adopted, str]]:
    """Changed instances that EC2 does not describe whole, and that keep the template that they have:
    an outdated one is better than no failover. With the reason in words."""
    return [
        (each, could_not_read_again(unreadable[each.instance_id]))
        for each in due.now
        if each.instance_id in unreadable.keys() & due.unknown
        and each.workload_id in plans
        and can_launch_from(plans[each.workload_id], instances[each.instance_id])
    ]


def is_look_due(looked_at: datetime | None, now: datetime) -> bool:
    """Whether to look at the volumes and credit modes of all instances."""
    return looked_at is None or now - looked_at >= LOOK_EVERY


def _changed_details(
    adopted: Iterable[Adopted], instances: Mapping[str, Record], plans: Mapping[str, PlanItem]
) -> frozenset[str] | None:
    """Ids of workloads whose volumes or credit mode differ from the last reading, or of whose next
    launch something else is wrong; None if EC2 does not answer, which stops no cycle."""
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
        logger.exception("volumes and credit modes not read")
        metrics.add_metric("InstancesNotRead", "Count", 1)
        return None
    return frozenset(
        known[instance_id]
        for instance_id, (details, findings) in found.items()
        if details != plans[known[instance_id]].details
        or findings.texts != _known_findings(plans[known[instance_id]])
    )


def _known_findings(plan: PlanItem) -> tuple[str, str]:
    return plan.launch_problem, plan.launch_losses


# --- which instances are due ---------------------------------------------------------------------


class Urgency(IntEnum):
    """Why an instance is read, the most urgent first."""

    UNKNOWN = 0
    """New, another instance, or visibly changed: nothing is decided before it is read."""
    UNKNOWN_AND_REFUSED = 1
    """As above, and refused before: many of them must not keep the others from being read."""
    IN_DOUBT = 2
    """Something shows that it may have changed."""
    AGED = 3
    """Its last reading is old."""


@dataclass(frozen=True, slots=True)
class _Readings:
    """The instances to read in this cycle."""

    now: tuple[Adopted, ...]
    unknown: frozenset[str]
    """Ids of instances, read in this cycle or not, of which nothing is decided before they are read."""

    @property
    def were_unknown(self) -> frozenset[str]:
        """Ids of workloads whose unknown instance this cycle reads."""
        return frozenset(a.workload_id for a in self.now if a.instance_id in self.unknown)

    @property
    def waiting(self) -> int:
        """Unknown instances that this cycle does not read."""
        return len(self.unknown - {each.instance_id for each in self.now})


def _readings(
    adopted: Iterable[Adopted],
    instances: Mapping[str, Record],
    plans: Mapping[str, PlanItem],
    items: Mapping[str, WorkloadItem],
    now: datetime,
    *,
    dry_run: bool,
) -> _Readings:
    """Which of these instances to read; the most urgent and the longest unread come first."""
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
    return _Readings(
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
    doubted = (
        item is not None
        and item.template_doubted_at is not None
        and plan.read_at <= item.template_doubted_at
    )
    if doubted or plan.read_launch_time != instance["LaunchTime"]:
        return Urgency.IN_DOUBT
    return Urgency.AGED if now - plan.read_at >= READ_AGAIN_AFTER else None


def _is_unknown(instance: Record, plan: PlanItem, *, dry_run: bool) -> bool:
    """Whether it is another instance, was changed since it was read, or has no template yet."""
    return (
        plan.read_instance_id != instance["InstanceId"]
        or (plan.launch_template is None and not dry_run)
        or plan.fingerprint != fingerprint(instance)
    )


def _marked_unknown(
    plans: Mapping[str, PlanItem], read: Iterable[str], *, sound: Collection[str]
) -> dict[str, dict[str, str]]:
    """Changes of plans whose instance was read and is not ``sound``: nothing is decided about the
    workload before a reading finds its instance sound again."""
    return {
        w: {"fingerprint": ""}
        for w in read
        if w not in sound and w in plans and plans[w].fingerprint
    }
