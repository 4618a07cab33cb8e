"""Whose the instances are that bear our tag: a switch's, another owner's, or of a fleet of ours."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from spot_optimizer.aws.instances import read_fleet_tokens
from spot_optimizer.aws.ledger.claims import CLAIM_LIFE
from spot_optimizer.aws.ledger.items import SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.switching.instance_record import (
    FLEET_TAG,
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    tags_of,
)
from spot_optimizer.switching.launch_request import is_token_of
from spot_optimizer.telemetry import logger


def in_switch(
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    live: Mapping[str, SwitchItem],
) -> frozenset[str]:
    """Instances that belong to a switch beside the workload's own: original and replacement of a live
    one, and whatever else bears a switch tag while the workload's own instance is there, or a switch
    of it is under way: a rescue decides itself what the workload runs on.

    Between the launch and its record, and where an undo failed, a replacement is known only by its
    tag; taken for a duplicate it would have its workload refused. Adopted before its commit, it would
    be ended by a rescue that fails, and nobody would rescue what we have ended ourselves.
    """
    named = {switch.order.original.instance_id for switch in live.values()}
    named |= {switch.replacement_id for switch in live.values() if switch.replacement_id}
    running = {switch.switch_id for switch in live.values()}
    for instance_id, row in instances.items():
        tags = tags_of(row)
        item = items.get(tags.get(WORKLOAD_TAG, ""))
        if SWITCH_TAG not in tags or item is None:
            continue
        in_motion = item.workload_id in live or tags[SWITCH_TAG] in running
        if item.instance_id in instances or in_motion:
            named.add(instance_id)
    return frozenset(
        (named | _left_besides(instances, items, named)) - {i.instance_id for i in items.values()}
    )


def _left_besides(
    instances: Mapping[str, Record], items: Mapping[str, WorkloadItem], named: set[str]
) -> set[str]:
    """What switches have left of workloads whose own instance is gone, but for one each: a machine
    that no switch launched, else the oldest, stands for the workload; the sweep undoes the others."""
    held: dict[str, list[tuple[bool, datetime, str]]] = {}
    for instance_id, row in instances.items():
        tags = tags_of(row)
        if instance_id not in named and tags.get(WORKLOAD_TAG) in items:
            rank = (SWITCH_TAG in tags, row["LaunchTime"], instance_id)
            held.setdefault(tags[WORKLOAD_TAG], []).append(rank)
    return {
        instance_id
        for ranks in held.values()
        for launched_by_us, _, instance_id in sorted(ranks)[1:]
        if launched_by_us
    }


def being_ended(
    ledger: Ledger,
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    in_switch: frozenset[str],
    now: datetime,
) -> frozenset[str]:
    """Originals that a committed switch is about to terminate, though a rescue has taken its claim over.

    Such a switch goes on to its end. Where the rescue has failed meanwhile, its original is the only
    machine that bears the workload's id; adopted, it would be ended under the workload, by us, and
    what we have ended ourselves is not rescued. A switch lives no longer than its claim. One that the
    sweep has closed ends nothing any more: its original may be the workload's last machine.
    """
    found = set()
    for instance_id, row in instances.items():
        item = items.get(tags_of(row).get(WORKLOAD_TAG, ""))
        if item is None or item.instance_id == instance_id or instance_id in in_switch:
            continue
        try:
            switches = ledger.switches(item.workload_id)
        except ValidationError:
            logger.exception("switches not read", workload_id=item.workload_id)
            continue
        if any(
            switch.order.original.instance_id == instance_id
            and switch.order.auto_terminate
            and switch.taken_over_by is not None
            and switch.committed_at is not None
            and now - switch.committed_at < CLAIM_LIFE
            for switch in switches
        ):
            found.add(instance_id)
    return frozenset(found)


def of_another(
    ledger: Ledger, instances: Mapping[str, Record], items: Mapping[str, WorkloadItem]
) -> frozenset[str]:
    """Instances that a switch launched for a workload that this ledger has never managed: no switch of
    its own can have. One that a workload of ours has run on was given another id since."""
    managed = {item.workload_id for item in items.values() if item.adopted_at is not None}
    return frozenset(
        instance_id
        for instance_id, row in instances.items()
        if SWITCH_TAG in (tags := tags_of(row))
        and tags.get(WORKLOAD_TAG, instance_id) not in managed
        and not ledger.has_pointer(instance_id)
    )


def own_fleets(
    instances: Mapping[str, Record], items: Mapping[str, WorkloadItem]
) -> frozenset[str]:
    """Ids of the instant fleets by which rescues of ours launched instances.

    One that a workload runs on has been committed. For another the fleet's own client token has to
    prove it: a rescue that broke off may have left the only machine that its workload has.
    """
    known = {item.instance_id for item in items.values()}
    by_fleet = {
        tags[FLEET_TAG]: (tags[SWITCH_TAG], instance_id in known)
        for instance_id, row in instances.items()
        if FLEET_TAG in (tags := tags_of(row)) and SWITCH_TAG in tags
    }
    ours = {fleet_id for fleet_id, (_, committed) in by_fleet.items() if committed}
    tokens = read_fleet_tokens(by_fleet.keys() - ours)
    return frozenset(
        ours | {fleet for fleet in tokens if is_token_of(by_fleet[fleet][0], tokens[fleet])}
    )
