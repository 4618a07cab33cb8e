"""The workloads of a cycle: adopted, refused or gone, with all that a decision looks at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from spot_optimizer.aws.announce import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.instances import (
    read_fleet_tokens,
    read_managed_instances,
    read_network,
    write_workload_tag,
)
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.claims import CLAIM_LIFE
from spot_optimizer.aws.ledger.items import (
    MOVES_KEPT,
    PlanItem,
    SwitchItem,
    WorkloadItem,
    pool_from_text,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.model import Move, WorkloadView
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.services.machines import (
    READS_MAX,
    needs_reading,
    read_machines,
    remember,
)
from spot_optimizer.settings import InvalidSetting, Settings
from spot_optimizer.switching.adoption import Adopted, Adoption, Refused, judge_adoption
from spot_optimizer.switching.launch_request import is_token_of
from spot_optimizer.switching.machine import (
    FLEET_TAG,
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    lifecycle_of,
    tags_of,
)
from spot_optimizer.switching.subnets import InvalidSubnets, subnets_by_zone
from spot_optimizer.telemetry import logger


@dataclass(frozen=True, slots=True)
class Member:
    """One adopted workload: its instance, what its team allows, what the ledger remembers."""

    adopted: Adopted
    instance: Record
    item: WorkloadItem
    settings: Settings
    subnets: Mapping[str, str]

    def view(self, usage: Any, now: datetime) -> WorkloadView:
        """The workload as the decision sees it."""
        item, instance = self.item, self.instance
        claim_lives = item.claim_expires_at is not None and item.claim_expires_at > now
        return WorkloadView(
            workload_id=item.workload_id,
            instance_id=instance["InstanceId"],
            instance_type=instance["InstanceType"],
            availability_zone=instance["Placement"]["AvailabilityZone"],
            lifecycle=lifecycle_of(instance),
            launched_at=instance["LaunchTime"],
            home_type=item.home_type,
            settings=self.settings,
            mode=item.mode or self.adopted.mode,
            type_globs=self.adopted.type_globs,
            subnets=self.subnets,
            usage=usage,
            signals={pool_from_text(text): at for text, at in item.signals.items()},
            sized_up_at=item.sized_up_at,
            fallback_pending_since=item.fallback_pending_since,
            cooldown_until=item.cooldown_until,
            backoff_until=item.backoff_until,
            breaker_open=item.breaker_open_since is not None,
            live_switch_id=item.claim_switch_id if claim_lives else None,
            image=self.adopted.image,
            windows=self.adopted.windows,
            not_before=self.adopted.not_before,
            moves=tuple(
                Move(m.at, m.lifecycle, m.planned) for m in item.moves if now - m.at < MOVES_KEPT
            ),
        )


@dataclass(frozen=True, slots=True)
class Fleet:
    """All workloads that this cycle may decide upon, and the plans that belong to them."""

    members: tuple[Member, ...]
    plans: Mapping[str, PlanItem]
    refused: int
    read: frozenset[str]
    """Workloads whose machine was read in this cycle: new ones, and those that were changed."""
    waiting: int
    """New machines that are read in one of the next cycles."""


def read_fleet(
    env: Environment,
    settings: Settings,
    ledger: Ledger,
    catalog: Catalog,
    items: Mapping[str, WorkloadItem],
    now: datetime,
) -> Fleet:
    """Find, judge and read the instances that bear our tag, and bring the ledger up to date.

    ``settings`` are the stack's. One bad workload is refused and stops no other.
    """
    instances = {i["InstanceId"]: i for i in read_managed_instances(env.stack_name)}
    plans = dict(ledger.plans())
    live = _live_switches(ledger, items)
    in_switch = _in_switch(instances, items, live)
    in_switch |= _being_ended(ledger, instances, items, in_switch, now)
    of_another = _of_another(instances, items)
    our_fleets = _our_fleets(instances, items)

    def judge(rows: Iterable[Record], machines: Mapping[str, Any]) -> Adoption:
        return judge_adoption(
            rows,
            stack=env.stack_name,
            settings=settings,
            catalog=catalog,
            in_switch=in_switch,
            of_another=of_another,
            our_fleet_ids=our_fleets,
            protections={i: m.protections for i, m in machines.items()},
        )

    first = judge(instances.values(), {})
    due = [
        a
        for a in first.adopted
        if a.workload_id not in live
        and needs_reading(
            instances[a.instance_id], plans.get(a.workload_id), dry_run=settings.dry_run
        )
    ]
    # Those refused before last: a crowd of them must not keep the others from being read.
    due.sort(key=lambda a: _status(items.get(a.workload_id)) == "refused")
    reading = due[:READS_MAX]
    machines, unreadable = read_machines(instances[a.instance_id] for a in reading)
    unread = {a.instance_id for a in due} - machines.keys()
    verdict = judge((i for i in instances.values() if i["InstanceId"] not in unread), machines)
    remembered = remember(
        verdict.adopted,
        instances,
        machines,
        plans,
        stack_name=env.stack_name,
        dry_run=settings.dry_run,
    )
    plans.update(remembered.plans)
    write_plans(ledger, [plans[workload_id] for workload_id in remembered.plans])
    members, late_refusals = _members(
        [a for a in verdict.adopted if a.workload_id not in remembered.refused],
        instances, items, env, settings, ledger, now,
    )
    refusals = [
        *verdict.refused,
        *late_refusals,
        *(
            Refused(a.instance_id, a.workload_id, unreadable[a.instance_id])
            for a in reading
            if a.instance_id in unreadable
        ),
        *(
            Refused(a.instance_id, a.workload_id, remembered.refused[a.workload_id])
            for a in verdict.adopted
            if a.workload_id in remembered.refused
        ),
    ]
    _alert_of_another(env, [r for r in refusals if r.instance_id in of_another], items)
    _record_refusals(ledger, refusals, items)
    _record_gone(ledger, items, instances, live)
    return Fleet(
        tuple(members),
        plans,
        len(refusals),
        frozenset(remembered.plans),
        len(due) - len(reading),
    )


def write_plans(ledger: Ledger, plans: Sequence[PlanItem]) -> None:
    """Write workloads' plans whole."""
    ledger.put_all([(keys.plan_key(p.workload_id), p.model_dump(mode="json")) for p in plans])


def _live_switches(
    ledger: Ledger, items: Mapping[str, WorkloadItem]
) -> dict[str, SwitchItem]:
    """Workload id -> record of the switch that holds its claim, be it expired: its original and its
    replacement are still its own."""
    live = {}
    for item in items.values():
        if item.claim_switch_id:
            switch = ledger.switch(item.workload_id, item.claim_switch_id)
            if switch is not None:
                live[item.workload_id] = switch
    return live


def _in_switch(
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    live: Mapping[str, SwitchItem],
) -> frozenset[str]:
    """Instances that belong to a switch beside the workload's own: original and replacement of a live
    one, and whatever else bears a switch tag while the workload's own instance is there.

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
        if item.instance_id in instances or tags[SWITCH_TAG] in running:
            named.add(instance_id)
    return frozenset(
        (named | _left_besides(instances, items, named)) - {i.instance_id for i in items.values()}
    )


def _being_ended(
    ledger: Ledger,
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    in_switch: frozenset[str],
    now: datetime,
) -> frozenset[str]:
    """Originals that a committed switch is about to terminate, though a rescue has taken its claim over.

    Such a switch goes on to its end. Where the rescue has failed meanwhile, its original is the only
    machine that bears the workload's id; adopted, it would be ended under the workload, by us, and
    what we have ended ourselves is not rescued. A switch lives no longer than its claim.
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
            and switch.committed_at is not None
            and now - switch.committed_at < CLAIM_LIFE
            for switch in switches
        ):
            found.add(instance_id)
    return frozenset(found)


def _of_another(
    instances: Mapping[str, Record], items: Mapping[str, WorkloadItem]
) -> frozenset[str]:
    """Instances that a switch launched for a workload that this ledger has never managed: no switch of
    its own can have."""
    managed = {item.workload_id for item in items.values() if item.adopted_at is not None}
    return frozenset(
        instance_id
        for instance_id, row in instances.items()
        if SWITCH_TAG in (tags := tags_of(row))
        and tags.get(WORKLOAD_TAG, instance_id) not in managed
    )


def _alert_of_another(
    env: Environment, found: Sequence[Refused], items: Mapping[str, WorkloadItem]
) -> None:
    """Tell once of machines that somebody else may manage too."""
    new = [each for each in found if each.workload_id not in items]
    if new:
        shown = ", ".join(each.instance_id for each in new[:20]) + (" ..." if new[20:] else "")
        alert(
            env.alert_topic_arn,
            f"Spot Optimizer {env.stack_name}: machines of another owner",
            f"These instances are left alone: {shown}. Of the first: {new[0].reason}.",
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


def _our_fleets(
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


def _members(
    adopted: Iterable[Adopted],
    instances: Mapping[str, Record],
    items: Mapping[str, WorkloadItem],
    env: Environment,
    settings: Settings,
    ledger: Ledger,
    now: datetime,
) -> tuple[list[Member], list[Refused]]:
    subnets, route_tables = read_network()
    zones: dict[tuple[str, tuple[str, ...]], Mapping[str, str]] = {}
    members, refused = [], []
    for each in adopted:
        instance = instances[each.instance_id]
        place = (instance.get("SubnetId", ""), each.subnets or env.subnet_ids)
        try:
            if place not in zones:
                zones[place] = subnets_by_zone(subnets, route_tables, *place).by_zone
            if WORKLOAD_TAG not in tags_of(instance) and not settings.dry_run:
                write_workload_tag(each.instance_id, each.workload_id)
            item = _up_to_date(ledger, each, instance, items.get(each.workload_id), now)
            overridden = each.settings.merged(
                item.overrides, source=f"command for {each.workload_id}", per_workload=True
            )
        except (InvalidSubnets, InvalidSetting) as error:
            refused.append(Refused(each.instance_id, each.workload_id, str(error)))
            continue
        except ClientError as error:
            reason = f"its workload tag cannot be written: {error}"
            refused.append(Refused(each.instance_id, each.workload_id, reason))
            continue
        members.append(Member(each, instance, item, overridden, zones[place]))
    return members, refused


def _up_to_date(
    ledger: Ledger, adopted: Adopted, instance: Record, item: WorkloadItem | None, now: datetime
) -> WorkloadItem:
    """The hot item, written where it is new or no longer tells what is there."""
    instance_type = instance["InstanceType"]
    told = "; ".join(adopted.warnings)
    changes: dict[str, Any] = {}
    if item is None or item.status != "managed" or item.status_reason != told:
        changes |= {"status": "managed", "status_reason": told}
    if item is None or item.instance_id != adopted.instance_id:
        changes["instance_id"] = adopted.instance_id
    if item is None or item.adopted_at is None:
        changes |= {"workload_id": adopted.workload_id, "adopted_at": now}
    if item is None or item.instance_type != instance_type:
        # Our own switches write the type that they launch: this one was chosen by a user.
        changes |= {"instance_type": instance_type, "home_type": instance_type}
    place = {
        "availability_zone": instance["Placement"]["AvailabilityZone"],
        "lifecycle": lifecycle_of(instance),
        "launched_at": instance["LaunchTime"],
    }
    if item is None or any(getattr(item, name) != value for name, value in place.items()):
        changes |= place
    if not changes:
        assert item is not None
        return item
    if "instance_id" in changes:
        ledger.put(
            keys.pointer_key(adopted.instance_id), {"workload_id": adopted.workload_id}
        )
    ledger.update(keys.workload_key(adopted.workload_id), changes)
    logger.info("workload taken in", workload_id=adopted.workload_id, changes=sorted(changes))
    known = item or WorkloadItem(
        workload_id=adopted.workload_id, instance_id=adopted.instance_id
    )
    return known.model_copy(update=changes)


def _status(item: WorkloadItem | None) -> str:
    return item.status if item else ""


def _record_refusals(
    ledger: Ledger, refusals: Iterable[Refused], items: Mapping[str, WorkloadItem]
) -> None:
    for each in refusals:
        item = items.get(each.workload_id)
        if _status(item) == "refused" and item and item.status_reason == each.reason:
            continue
        own = item is not None and item.instance_id == each.instance_id
        if own and each.only_stopped and _status(item) == "managed":
            continue  # whether EC2 or its user stopped it is for the sweep to see: it may be rescued
        logger.warning("refused", workload_id=each.workload_id, reason=each.reason)
        changes = {
            "workload_id": each.workload_id,
            "status": "refused",
            "status_reason": each.reason,
        }
        if item is None:
            changes["instance_id"] = each.instance_id
        ledger.update(keys.workload_key(each.workload_id), changes)


def _record_gone(
    ledger: Ledger,
    items: Mapping[str, WorkloadItem],
    instances: Mapping[str, Record],
    live: Mapping[str, SwitchItem],
) -> None:
    held = {tags_of(row).get(WORKLOAD_TAG, i) for i, row in instances.items()}
    for item in items.values():
        gone = item.instance_id not in instances and item.workload_id not in live
        if gone and item.workload_id not in held and item.status != "gone":
            ledger.update(
                keys.workload_key(item.workload_id),
                {
                    "status": "gone",
                    "status_reason": f"{item.instance_id} runs no more, or lost our tag",
                },
            )
