"""Ownership of tagged instances: a switch's, another stack's, or of an EC2 Fleet that we made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from spot_optimizer.aws.instances import read_fleet_tokens
from spot_optimizer.aws.ledger.claim_expiry import CLAIM_LIFE
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


@dataclass(frozen=True, slots=True)
class InstanceOwnership:
    """Instances that have our tag but are no workload of their own, by id, and fleets that are ours."""

    in_switch: frozenset[str]
    """Of a switch, beside the instance that its workload runs on."""
    of_another_stack: frozenset[str]
    """Launched by a switch of which this ledger can know nothing."""
    own_fleets: frozenset[str]
    """EC2 Fleets, of type instant, that failovers of this stack made."""


def ownership_of(
    ledger: Ledger,
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    live: Mapping[str, SwitchItem],
    now: datetime,
) -> InstanceOwnership:
    """Whose the tagged ``instances`` are; ``live``: the switches that hold claims."""
    in_switch = _in_switch(instances, items, live)
    return InstanceOwnership(
        in_switch | _about_to_be_terminated(ledger, instances, items, in_switch, now),
        _of_another_stack(ledger, instances, items),
        _own_fleets(instances, items),
    )


def _in_switch(
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    live: Mapping[str, SwitchItem],
) -> frozenset[str]:
    """Original and replacement of a live switch, and every other instance with a switch tag while the
    workload's own instance exists or a switch of it is live: a failover decides itself what the
    workload runs on.

    Between the launch and its record, and after an undo that failed, only its tag identifies a
    replacement. Taken for a duplicate, it would have its workload refused. Adopted before its commit,
    it would be terminated by a failover that fails, and no failover follows what we terminated.
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
    leftover = _surplus_leftovers(instances, items, named)
    return frozenset((named | leftover) - {i.instance_id for i in items.values()})


def _surplus_leftovers(
    instances: Mapping[str, Record], items: Mapping[str, WorkloadItem], named: set[str]
) -> set[str]:
    """Leftover replacements of workloads whose own instance is gone, except one for each workload.

    An instance that no switch launched, otherwise the oldest, becomes the workload; the sweep undoes
    the others.
    """
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


def _about_to_be_terminated(
    ledger: Ledger,
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    in_switch: frozenset[str],
    now: datetime,
) -> frozenset[str]:
    """Originals that a committed switch is about to terminate, although a failover has its claim.

    Such a switch goes on to its end. If the failover fails meanwhile, the original is the only
    instance with the workload's id. Adopted, it would be terminated by us, and no failover follows
    what we terminated. A switch lives no longer than its claim. One that the sweep has closed
    terminates nothing: its original may be the workload's last instance.
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


def _of_another_stack(
    ledger: Ledger, instances: Mapping[str, Record], items: Mapping[str, WorkloadItem]
) -> frozenset[str]:
    """Instances that a switch launched for a workload that this ledger has never managed.

    An instance that a workload of ours has run on was only given another workload id since.
    """
    managed = {item.workload_id for item in items.values() if item.adopted_at is not None}
    return frozenset(
        instance_id
        for instance_id, row in instances.items()
        if SWITCH_TAG in (tags := tags_of(row))
        and tags.get(WORKLOAD_TAG, instance_id) not in managed
        and not ledger.has_pointer(instance_id)
    )


def _own_fleets(
    instances: Mapping[str, Record], items: Mapping[str, WorkloadItem]
) -> frozenset[str]:
    """Ids of the instant fleets with which our failovers launched instances.

    The fleet of an instance that a workload runs on was committed. Any other fleet must prove it by
    its client token: an interrupted failover may have left the only instance that its workload has.
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
