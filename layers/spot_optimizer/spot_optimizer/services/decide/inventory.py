"""The workloads of a cycle: adopted, refused or gone, with all that a decision looks at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.instances import (
    read_managed_instances,
    read_network,
    write_workload_tag,
)
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import (
    PAST_SWITCHES_KEPT,
    PlanItem,
    SwitchItem,
    WorkloadItem,
    pool_from_text,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.world import PastSwitch, WorkloadView
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.services.decide.switch_ownership import (
    being_ended,
    in_switch,
    of_another,
    own_fleets,
)
from spot_optimizer.services.decide.template_renewal import (
    changed_details,
    found_wanting,
    in_doubt,
    readings,
)
from spot_optimizer.settings import InvalidSetting, Settings
from spot_optimizer.switching.adoption import Adopted, Adoption, Refused, judge_adoption
from spot_optimizer.switching.instance_record import (
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    lifecycle_of,
    private_addresses,
    tags_of,
)
from spot_optimizer.switching.subnets import InvalidSubnets, SubnetChoice, subnets_by_zone
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.instance_reading import read_whole_instances, update_launch_templates

NOT_SERVED = "its load balancer does not serve this zone; enable the zone for it"


@dataclass(frozen=True, slots=True)
class Member:
    """One adopted workload: its instance, what its team allows, what the ledger remembers."""

    adopted: Adopted
    instance: Record
    item: WorkloadItem
    settings: Settings
    subnets: Mapping[str, str]
    """Zone -> subnet to launch in."""
    refused_zones: Mapping[str, str]
    """Zone with subnets, none of them to launch in -> why."""

    def served_in(self, zones: Iterable[str]) -> "Member":
        """The workload without the zones that its load balancers, which serve ``zones``, do not.

        Its own stays: a replacement is served there as the original is. It may be the only one left.
        """
        dropped = self.subnets.keys() - {*zones, self.instance["Placement"]["AvailabilityZone"]}
        if not dropped:
            return self
        return replace(
            self,
            subnets={z: subnet for z, subnet in self.subnets.items() if z not in dropped},
            refused_zones={**self.refused_zones, **dict.fromkeys(sorted(dropped), NOT_SERVED)},
        )

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
            refused_zones=self.refused_zones,
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
                PastSwitch(m.at, m.lifecycle, m.planned)
                for m in item.moves
                if now - m.at < PAST_SWITCHES_KEPT
            ),
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """All workloads that this cycle may decide upon, and the plans that belong to them."""

    members: tuple[Member, ...]
    plans: Mapping[str, PlanItem]
    refused: int
    read: frozenset[str]
    """Workloads whose machine was read in this cycle: new ones, and those that were changed."""
    waiting: int
    """New and changed machines that are read in one of the next cycles."""
    inherited: frozenset[str]
    """Workloads whose machine has ended, and that this cycle takes in on what a switch had left."""
    looked: bool
    """Volumes and credit modes of all machines were looked at."""

    def knowing(self, changes: Mapping[str, Mapping[str, Any]]) -> "Inventory":
        """The fleet with these changes in its plans (by workload id), every workload confined to the
        zones that its plan says are served."""
        plans = {
            **self.plans,
            **{w: self.plans[w].model_copy(update=dict(each)) for w, each in changes.items()},
        }
        zones = {w: plan.served_zones for w, plan in plans.items() if plan.served_zones}
        members = (
            m.served_in(zones[m.item.workload_id]) if m.item.workload_id in zones else m
            for m in self.members
        )
        return replace(self, members=tuple(members), plans=plans)


def read_inventory(
    env: Environment,
    settings: Settings,
    ledger: Ledger,
    catalog: Catalog,
    items: Mapping[str, WorkloadItem],
    now: datetime,
    *,
    look: bool,
) -> Inventory:
    """Find, judge and read the instances that bear our tag, and bring the ledger up to date.

    ``settings`` are the stack's; ``look``: volumes and credit modes are asked for, to find machines
    that have changed. One bad workload is refused and stops no other.
    """
    instances = {i["InstanceId"]: i for i in read_managed_instances(env.stack_name)}
    kept = ledger.plans()
    plans = dict(kept)
    live = _live_switches(ledger, items)
    of_switches = in_switch(instances, items, live)
    of_switches |= being_ended(ledger, instances, items, of_switches, now)
    foreign = of_another(ledger, instances, items)
    fleet_ids = own_fleets(instances, items)

    def judge(rows: Iterable[Record], machines: Mapping[str, Any]) -> Adoption:
        return judge_adoption(
            rows,
            stack=env.stack_name,
            settings=settings,
            catalog=catalog,
            owned_by_switches=of_switches,
            owned_by_another_stack=foreign,
            own_fleet_ids=fleet_ids,
            protections={i: m.protections for i, m in machines.items()},
        )

    at_rest = [a for a in judge(instances.values(), {}).adopted if a.workload_id not in live]
    changed = changed_details(at_rest, instances, plans) if look else frozenset()
    plans |= in_doubt(plans, changed or ())
    due = readings(at_rest, instances, plans, items, now, dry_run=settings.dry_run)
    machines, unreadable = read_whole_instances(instances[a.instance_id] for a in due.now)
    unread = due.unknown - machines.keys()
    verdict = judge((i for i in instances.values() if i["InstanceId"] not in unread), machines)
    remembered = update_launch_templates(
        verdict.adopted,
        machines,
        plans,
        now,
        stack_name=env.stack_name,
        dry_run=settings.dry_run,
    )
    plans |= remembered.plans
    read = [a.workload_id for a in due.now if a.instance_id in machines]
    plans |= found_wanting(plans, read, remembered.plans)
    write_plans(ledger, [plan for w, plan in plans.items() if plan is not kept.get(w)])
    members, late_refusals = _members(
        [a for a in verdict.adopted if a.workload_id not in remembered.refused],
        instances,
        items,
        env,
        settings,
        ledger,
        now,
    )
    refusals = [
        *verdict.refused,
        *late_refusals,
        *(
            Refused(a.instance_id, a.workload_id, unreadable[a.instance_id])
            for a in due.now
            if a.instance_id in unread & unreadable.keys()
        ),
        *(
            Refused(a.instance_id, a.workload_id, remembered.refused[a.workload_id])
            for a in verdict.adopted
            if a.workload_id in remembered.refused
        ),
    ]
    _alert_of_another(env, [r for r in refusals if r.instance_id in foreign], items)
    _record_refusals(ledger, refusals, items)
    _record_gone(ledger, items, instances, live, now)
    return Inventory(
        tuple(members),
        plans,
        len(refusals),
        due.were_unknown & remembered.plans.keys(),
        due.waiting,
        frozenset(m.item.workload_id for m in members if _is_left_over(m, items)),
        changed is not None and look,
    )


def _is_left_over(member: Member, items: Mapping[str, WorkloadItem]) -> bool:
    before = items.get(member.item.workload_id)
    return (
        before is not None
        and before.instance_id != member.item.instance_id
        and SWITCH_TAG in tags_of(member.instance)
    )


def write_plans(ledger: Ledger, plans: Sequence[PlanItem]) -> None:
    """Write workloads' plans whole."""
    ledger.put_all([(keys.plan_key(p.workload_id), p.model_dump(mode="json")) for p in plans])


def _live_switches(ledger: Ledger, items: Mapping[str, WorkloadItem]) -> dict[str, SwitchItem]:
    """Workload id -> record of the switch that holds its claim, be it expired: its original and its
    replacement are still its own."""
    live = {}
    for item in items.values():
        if item.claim_switch_id:
            switch = ledger.switch(item.workload_id, item.claim_switch_id)
            if switch is not None:
                live[item.workload_id] = switch
    return live


def _alert_of_another(
    env: Environment, found: Sequence[Refused], items: Mapping[str, WorkloadItem]
) -> None:
    """Tell once of machines that somebody else may manage too."""
    new = [each for each in found if each.workload_id not in items]
    if new:
        shown = ", ".join(each.instance_id for each in new[:20]) + (" ..." if new[20:] else "")
        try:
            alert(
                env.alert_topic_arn,
                f"Spot Optimizer {env.stack_name}: machines of another owner",
                f"These instances are left alone: {shown}. Of the first: {new[0].reason}.",
            )
        except ClientError:
            logger.exception("not told of another owner's machines", instances=shown)


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
    choices: dict[tuple[str, tuple[str, ...], bool], SubnetChoice] = {}
    members, refused = [], []
    for each in adopted:
        instance = instances[each.instance_id]
        subnet_id, allowed = instance.get("SubnetId", ""), each.subnets or env.subnet_ids
        ipv6 = len(private_addresses(instance)) > 1
        place = (subnet_id, allowed, ipv6)
        try:
            if place not in choices:
                choices[place] = subnets_by_zone(
                    subnets, route_tables, subnet_id, allowed, ipv6=ipv6
                )
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
        choice = choices[place]
        members.append(Member(each, instance, item, overridden, choice.by_zone, choice.refused))
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
        ledger.put(keys.pointer_key(adopted.instance_id), {"workload_id": adopted.workload_id})
    ledger.update(keys.workload_key(adopted.workload_id), changes)
    logger.info("workload taken in", workload_id=adopted.workload_id, changes=sorted(changes))
    known = item or WorkloadItem(workload_id=adopted.workload_id, instance_id=adopted.instance_id)
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
    now: datetime,
) -> None:
    held = {tags_of(row).get(WORKLOAD_TAG, i) for i, row in instances.items()}
    for item in items.values():
        gone = item.instance_id not in instances and item.workload_id not in live
        if gone and item.workload_id not in held and item.status != "gone":
            ledger.update(
                keys.workload_key(item.workload_id),
                {
                    "status": "gone",
                    "gone_at": now,
                    "status_reason": f"{item.instance_id} runs no more, or lost our tag",
                },
            )
