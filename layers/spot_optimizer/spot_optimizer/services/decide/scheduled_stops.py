"""Scheduled stops and retirements of the workloads' instances: read every hour, reported if no switch is
coming.

AWS Health announces them too, by an event that may be lost. DescribeInstanceStatus shows what holds now,
also that a date was moved or an event canceled.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.instances import read_scheduled_events
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import ScheduledStopItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.guards.hold import why_not_left
from spot_optimizer.decision.scheduled_stop import ScheduledStop
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.services.decide.inventory import Inventory, ManagedWorkload
from spot_optimizer.switching.scheduled_events import ENDING_CODES, next_stop
from spot_optimizer.telemetry import logger, metrics

READ_EVERY = timedelta(hours=1)
"""EC2 announces days to weeks in advance."""

SAME_DATE = timedelta(minutes=1)
"""AWS Health writes whole seconds; a date that was moved is reported again."""


def is_read_due(read_at: datetime | None, now: datetime) -> bool:
    """Whether to read the scheduled events of all instances."""
    return read_at is None or now - read_at >= READ_EVERY


def note_scheduled_stops(inventory: Inventory, ledger: Ledger, now: datetime) -> Inventory | None:
    """The workloads with what EC2 has announced about their instances, also on the ledger; None if EC2
    does not answer, which stops no cycle."""
    try:
        events = read_scheduled_events(ENDING_CODES)
    except (BotoCoreError, ClientError):
        logger.exception("scheduled events not read")
        metrics.add_metric("InstancesNotRead", "Count", 1)
        return None
    return replace(
        inventory,
        workloads=tuple(
            _noted(each, next_stop(events.get(each.item.instance_id, ()), now), ledger, now)
            for each in inventory.workloads
        ),
    )


def _noted(
    workload: ManagedWorkload, stop: ScheduledStop | None, ledger: Ledger, now: datetime
) -> ManagedWorkload:
    known = workload.scheduled_stop_item
    wanted: ScheduledStopItem | None
    if stop is not None:
        wanted = _item(workload, stop, known, now)
    else:
        # What only AWS Health has announced holds until AWS Health says that it is over.
        wanted = known if known is not None and known.source != "status" else None
    if wanted == workload.item.scheduled_stop:
        return workload
    stored = wanted.model_dump(mode="json") if wanted else None
    ledger.update(keys.workload_key(workload.workload_id), {"scheduled_stop": stored})
    logger.info("scheduled stop noted", workload_id=workload.workload_id, stop=stored)
    return replace(workload, item=workload.item.model_copy(update={"scheduled_stop": wanted}))


def _item(
    workload: ManagedWorkload, stop: ScheduledStop, known: ScheduledStopItem | None, now: datetime
) -> ScheduledStopItem:
    if known is not None and (known.at, known.code, known.source) == (stop.at, stop.code, "status"):
        return known
    return ScheduledStopItem(
        instance_id=workload.item.instance_id,
        at=stop.at,
        code=stop.code,
        noted_at=now,
        reported=known is not None and known.reported and abs(known.at - stop.at) < SAME_DATE,
    )


def report_stops_without_a_switch(
    inventory: Inventory,
    decisions: Iterable[Decision],
    world: World,
    env: Environment,
    ledger: Ledger,
    now: datetime,
) -> None:
    """Send one alert for each announced stop before which only a person can move the workload."""
    views: Mapping[str, WorkloadView] = {each.workload_id: each for each in world.workloads}
    made = {each.workload_id: each for each in decisions}
    for workload in inventory.workloads:
        stop = workload.scheduled_stop_item
        if stop is None or stop.reported:
            continue
        name = workload.workload_id
        try:
            why = why_not_left(made.get(name), views[name], world, now)
            if why:
                _report(workload, stop, why, env)
                reported = stop.model_copy(update={"reported": True}).model_dump(mode="json")
                ledger.update(keys.workload_key(name), {"scheduled_stop": reported})
        except Exception:
            logger.exception("scheduled stop not reported", workload_id=name)


def _report(workload: ManagedWorkload, stop: ScheduledStopItem, why: str, env: Environment) -> None:
    announced = ScheduledStop(stop.at, stop.code)
    alert(
        env.alert_topic_arn,
        f"Spot Optimizer {env.stack_name}: EC2 will end the instance of a workload",
        f"Workload '{workload.workload_id}' on {stop.instance_id}: {announced}. No switch is coming:"
        f" {why}. Switch it before that date, for example with the command decide.",
    )
