"""Step 3 of a cycle: adopted instances become workloads, and the ledger says who is managed, refused
or gone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.instances import read_network, write_workload_tag
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.debts import put_debt
from spot_optimizer.aws.ledger.items import DebtItem, WorkloadItem
from spot_optimizer.aws.ledger.pool_events import refused_subnets
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.guards.state_tag import (
    TAG_TO_WRITE,
    WITHOUT_STATE,
    StateRule,
    state_rule,
)
from spot_optimizer.services.decide.inventory import Inventory, ManagedWorkload
from spot_optimizer.services.decide.observe import Observed
from spot_optimizer.services.decide.refresh_templates import Refreshed
from spot_optimizer.setting_precedence import overridden_for_workload
from spot_optimizer.settings import InvalidSetting, Settings
from spot_optimizer.switching.adoption import Adopted, Refused
from spot_optimizer.switching.instance_record import (
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    lifecycle_of,
    private_addresses,
    tags_of,
)
from spot_optimizer.switching.subnets import (
    SUBNETS_TAG,
    InvalidSubnets,
    SubnetChoice,
    subnets_by_zone,
)
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.debt_alerts import alert_owed

SUBNET_MEMORY = timedelta(hours=1)
"""How long a subnet is avoided after EC2 has refused a launch into it: as a pool after one refusal."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What enrolling needs of the stack: ``settings`` are the stack's own."""

    env: Environment
    settings: Settings
    ledger: Ledger
    now: datetime
    state_demanded_since: datetime | None
    """When a cycle first demanded the tag ``state``."""

    def enroll(self, observed: Observed, refreshed: Refreshed) -> Inventory:
        """Bring the ledger up to date with the verdict on every instance.

        One bad workload is refused and stops no other.
        """
        workloads, late_refusals = self._workloads(refreshed.adopted, observed)
        refusals = [*refreshed.refused, *late_refusals]
        self._alert_other_owners(refusals, observed)
        self._record_refusals(refusals, observed.items)
        self._record_gone(observed)
        return Inventory(
            workloads=tuple(workloads),
            refused=len(refusals),
            waiting=refreshed.waiting,
            read=refreshed.read,
        )

    # --- adopted ---------------------------------------------------------------------------------

    def _workloads(
        self, adopted: Iterable[Adopted], observed: Observed
    ) -> tuple[list[ManagedWorkload], list[Refused]]:
        refused_lately = refused_subnets(self.ledger, self.now, SUBNET_MEMORY)
        choose_subnets = _SubnetChooser(self.env.subnet_ids, refused_lately)
        workloads, refused = [], []
        for each in adopted:
            instance = observed.instances[each.instance_id]
            try:
                choice = choose_subnets(instance, each.subnets)
                each = replace(each, warnings=(*each.warnings, *_deleted_subnets(choice)))
                if WORKLOAD_TAG not in tags_of(instance) and not self.settings.dry_run:
                    write_workload_tag(each.instance_id, each.workload_id)
                owes = self._note_debt(each, instance, observed)
                item = self._current_item(each, instance, observed.items.get(each.workload_id))
                settings = overridden_for_workload(each.settings, each.workload_id, item.overrides)
            except (InvalidSubnets, InvalidSetting) as error:
                refused.append(Refused(each.instance_id, each.workload_id, str(error)))
                continue
            except ClientError as error:
                reason = f"its workload tag cannot be written: {error}"
                refused.append(Refused(each.instance_id, each.workload_id, reason))
                continue
            workloads.append(
                ManagedWorkload(
                    each, instance, item, settings, choice.by_zone, choice.refused, owes
                )
            )
        return workloads, refused

    def _note_debt(self, adopted: Adopted, instance: Record, observed: Observed) -> bool:
        """Whether the workload's instance lacks what the instance before it had.

        A replacement that an interrupted switch left and that now becomes the workload lacks it: that is
        noted before the ledger names it.
        """
        before = observed.items.get(adopted.workload_id)
        switch_id = tags_of(instance).get(SWITCH_TAG)
        if before is None or before.instance_id == adopted.instance_id or switch_id is None:
            return adopted.workload_id in observed.owing
        plan = observed.plans.get(adopted.workload_id)
        owed = plan.load_balancing if plan else None
        if owed is None or not (owed.registrations or owed.allocation_ids):
            return adopted.workload_id in observed.owing
        debt = DebtItem(
            workload_id=adopted.workload_id,
            switch_id=switch_id,
            original_id=before.instance_id,
            load_balancing=owed,
            since=self.now,
            reason=f"switch {switch_id}, which was interrupted",
            reported_at=self.now,
        )
        put_debt(self.ledger, debt)
        alert_owed(self.env, debt, adopted.instance_id)
        return True

    def _current_item(
        self, adopted: Adopted, instance: Record, item: WorkloadItem | None
    ) -> WorkloadItem:
        """The hot item, written if it is new or differs from what EC2 shows."""
        rule = state_rule(
            item.state_rule if item else "",
            tagged=adopted.stateless_by_tag,
            adopted_at=item.adopted_at if item else None,
            demanded_since=self.state_demanded_since,
            old_rule_ended=self.env.require_state_tag,
        )
        changes = _changes(adopted, instance, item, rule, self.now)
        if not changes:
            assert item is not None
            return item
        if "instance_id" in changes:
            self.ledger.put(
                keys.pointer_key(adopted.instance_id), {"workload_id": adopted.workload_id}
            )
        self.ledger.update(keys.workload_key(adopted.workload_id), changes)
        logger.info("workload adopted", workload_id=adopted.workload_id, changes=sorted(changes))
        known = item or WorkloadItem(
            workload_id=adopted.workload_id, instance_id=adopted.instance_id
        )
        return known.model_copy(update=changes)

    # --- refused and gone ------------------------------------------------------------------------

    def _alert_other_owners(self, refusals: Sequence[Refused], observed: Observed) -> None:
        """Report once the instances that another stack may manage too."""
        new = [
            each
            for each in refusals
            if each.instance_id in observed.ownership.of_another_stack
            and each.workload_id not in observed.items
        ]
        if not new:
            return
        shown = ", ".join(each.instance_id for each in new[:20]) + (" ..." if new[20:] else "")
        try:
            alert(
                self.env.alert_topic_arn,
                f"Spot Optimizer {self.env.stack_name}: instances of another owner",
                f"These instances are left alone: {shown}. Of the first: {new[0].reason}.",
            )
        except ClientError:
            logger.exception("alert about instances of another owner not sent", instances=shown)

    def _record_refusals(
        self, refusals: Iterable[Refused], items: Mapping[str, WorkloadItem]
    ) -> None:
        for each in refusals:
            item = items.get(each.workload_id)
            status = item.status if item else ""
            if status == "refused" and item and item.status_reason == each.reason:
                continue
            own = item is not None and item.instance_id == each.instance_id
            if own and each.only_stopped and status == "managed":
                continue  # whether EC2 or its user stopped it is for the sweep to find out
            logger.warning("refused", workload_id=each.workload_id, reason=each.reason)
            changes = {
                "workload_id": each.workload_id,
                "status": "refused",
                "status_reason": each.reason,
            }
            if item is None:
                changes["instance_id"] = each.instance_id
            self.ledger.update(keys.workload_key(each.workload_id), changes)

    def _record_gone(self, observed: Observed) -> None:
        held = {tags_of(row).get(WORKLOAD_TAG, i) for i, row in observed.instances.items()}
        for item in observed.items.values():
            gone = (
                item.instance_id not in observed.instances and item.workload_id not in observed.live
            )
            if gone and item.workload_id not in held and item.status != "gone":
                self.ledger.update(
                    keys.workload_key(item.workload_id),
                    {
                        "status": "gone",
                        "gone_at": self.now,
                        "status_reason": f"{item.instance_id} no longer runs, or lost our tag",
                    },
                )


def _deleted_subnets(choice: SubnetChoice) -> Iterator[str]:
    for subnet_id in choice.deleted:
        yield f"its list of subnets names '{subnet_id}', which does not exist: it is left out"


class _SubnetChooser:
    """The subnets of each workload; the network is read once, each distinct place is judged once."""

    def __init__(self, stack_subnets: tuple[str, ...], refused_lately: frozenset[str]) -> None:
        self._stack_subnets, self._refused_lately = stack_subnets, refused_lately
        self._subnets, self._route_tables = read_network()
        self._choices: dict[tuple[str, tuple[str, ...], bool, bool], SubnetChoice] = {}

    def __call__(self, instance: Record, tagged: tuple[str, ...]) -> SubnetChoice:
        """Raises InvalidSubnets."""
        allowed = tagged or self._stack_subnets
        ipv6 = len(private_addresses(instance)) > 1
        place = (instance.get("SubnetId", ""), allowed, ipv6, bool(tagged))
        if place not in self._choices:
            self._choices[place] = subnets_by_zone(
                self._subnets,
                self._route_tables,
                place[0],
                allowed,
                ipv6=ipv6,
                refused_lately=self._refused_lately,
                listed_in=SUBNETS_TAG if tagged else "SubnetIds",
            )
        return self._choices[place]


def _changes(
    adopted: Adopted, instance: Record, item: WorkloadItem | None, rule: StateRule, now: datetime
) -> dict[str, Any]:
    """What of the hot item differs from what EC2 shows; all of it for a new workload."""
    instance_type = instance["InstanceType"]
    warnings = "; ".join([*_STATE_WARNINGS.get(rule, ()), *adopted.warnings])
    changes: dict[str, Any] = {}
    if item is None or item.status != "managed" or item.status_reason != warnings:
        changes |= {"status": "managed", "status_reason": warnings}
    if item is None or item.state_rule != rule:
        changes["state_rule"] = rule
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
    return changes


_STATE_WARNINGS: Mapping[StateRule, tuple[str, ...]] = {
    StateRule.HELD: (WITHOUT_STATE,),
    StateRule.KEPT: (
        f"{TAG_TO_WRITE}; it is moved without that tag, because it was adopted when none was demanded,"
        " until RequireStateTag is true",
    ),
}
