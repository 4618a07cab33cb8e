"""Notes what AWS Health announces about instances of workloads; the next cycle decides about it."""

from datetime import UTC, datetime

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import ScheduledStopItem, WorkloadItem
from spot_optimizer.aws.ledger.signals import read_pointer, record_signal
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.events import AffectedEntity, HealthEvent, SignalOutcome
from spot_optimizer.switching.scheduled_events import ends_instances, is_over
from spot_optimizer.telemetry import logger

HEALTH = "health"
"""Kind of the signal on the ledger, and source of a scheduled stop."""


def answer_health(
    event: HealthEvent, env: Environment, ledger: Ledger, now: datetime
) -> SignalOutcome:
    """Note the event on every workload that runs on an affected instance. Idempotent.

    All of them are tried; if one fails, its error is raised at the end and Lambda tries again.
    """
    detail = event.detail
    if detail.event_region not in ("", env.region):
        reason = f"an event of {detail.event_region}, not of {env.region}"
        return SignalOutcome(effect="NONE", reason=reason)
    noted: dict[str, str] = {}
    failure: Exception | None = None
    for entity in detail.affected_entities:
        try:
            workload = _workload_on(entity, ledger)
            if workload is not None:
                noted[workload.workload_id] = _note(event, entity, workload, env, ledger, now)
        except Exception as error:
            logger.exception("health event not noted", entity=entity.entity_value)
            failure = failure or error
    if failure is not None:
        raise failure
    if not noted:
        return SignalOutcome(
            effect="NONE", reason=f"{detail.event_type_code}: none of our instances"
        )
    return SignalOutcome(
        effect="RECORDED",
        reason=f"{detail.event_type_code}: {next(iter(noted.values()))}",
        workload_id=next(iter(noted)) if len(noted) == 1 else None,
    )


def _workload_on(entity: AffectedEntity, ledger: Ledger) -> WorkloadItem | None:
    instance_id = entity.entity_value.rpartition("/")[2]
    pointer = read_pointer(ledger, instance_id) if instance_id.startswith("i-") else None
    workload = ledger.workload(pointer.workload_id) if pointer else None
    return workload if workload is not None and workload.instance_id == instance_id else None


def _note(
    event: HealthEvent,
    entity: AffectedEntity,
    workload: WorkloadItem,
    env: Environment,
    ledger: Ledger,
    now: datetime,
) -> str:
    """Write the announcement to the workload and its history; what was noted, in words."""
    detail, known = event.detail, workload.scheduled_stop
    if known is not None and known.instance_id != workload.instance_id:
        known = None
    if not ends_instances(detail.event_type_code):
        reason = f"{workload.instance_id} is not ended by it: no switch is needed"
    elif is_over(detail.status_code, entity.status):
        reason = f"it is over for {workload.instance_id}"
        # What DescribeInstanceStatus shows is for the cycle to end.
        if known is not None and (known.source, known.code) == (HEALTH, detail.event_type_code):
            ledger.update(keys.workload_key(workload.workload_id), {"scheduled_stop": None})
    else:
        # Without a date it may come at any moment.
        stop = ScheduledStopItem(
            instance_id=workload.instance_id,
            at=detail.start_time or event.time,
            code=detail.event_type_code,
            noted_at=now,
            source=HEALTH,
        )
        reason = (
            f"EC2 will end {workload.instance_id} at {stop.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        )
        if known is None or _replaces(stop, known):
            changes = {"scheduled_stop": stop.model_dump(mode="json")}
            ledger.update(keys.workload_key(workload.workload_id), changes)
    _record(event, workload, reason, env, ledger, now)
    return reason


def _replaces(stop: ScheduledStopItem, known: ScheduledStopItem) -> bool:
    """The earliest date counts; a later date of the same event means that it was postponed."""
    if (known.source, known.code) == (stop.source, stop.code):
        return stop.at != known.at
    return stop.at < known.at


def _record(
    event: HealthEvent,
    workload: WorkloadItem,
    reason: str,
    env: Environment,
    ledger: Ledger,
    now: datetime,
) -> None:
    """Into the history of the workload only: it says nothing about the pool."""
    record_signal(
        ledger,
        workload.workload_id,
        None,
        {
            "workload_id": workload.workload_id,
            "instance_id": workload.instance_id,
            "kind": HEALTH,
            "action": event.detail.event_type_code,
            "at": event.time.astimezone(UTC),
            "received_at": now,
            "event_id": event.id,
            "effect": "RECORDED",
            "reason": reason,
        },
        event.time,
        env.retention_days,
    )
