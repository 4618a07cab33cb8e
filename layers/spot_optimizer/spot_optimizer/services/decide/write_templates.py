"""Write launch templates of the instances that were read, and note the readings in the standing plans."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.contracts.switch import LaunchTemplateRef
from spot_optimizer.services.decide.launch_problems import could_not_update
from spot_optimizer.services.decide.read_instances import InstanceReading
from spot_optimizer.services.decide.template_versions import LiveVersions, write_version
from spot_optimizer.switching.adoption import Adopted
from spot_optimizer.switching.instance_identity import (
    identity_digest,
)
from spot_optimizer.switching.instance_record import SWITCH_TAG, Record, tags_of
from spot_optimizer.switching.instance_state import state_digest
from spot_optimizer.switching.launch_template import CannotReproduce, data_hash, template_data
from spot_optimizer.switching.launch_traits import launch_traits, traits_of
from spot_optimizer.switching.stored_digests import details_digest, fingerprint, instance_digest
from spot_optimizer.telemetry import logger


@dataclass(frozen=True, slots=True)
class TemplateUpdates:
    """Updated plans, and why the other instances cannot be reproduced."""

    plans: Mapping[str, PlanItem]
    """Workload id -> plan that names the launch template."""
    refused: Mapping[str, str]
    """Workload id -> reason."""


def update_launch_templates(
    adopted: Iterable[Adopted],
    readings: Mapping[str, InstanceReading],
    plans: Mapping[str, PlanItem],
    now: datetime,
    *,
    live: LiveVersions,
    stack_name: str,
    dry_run: bool,
) -> TemplateUpdates:
    """Create or update the launch template of every workload whose instance was read.

    If EC2 does not take a change, the template stays as it is: an outdated one is better than no
    failover. In a dry run nothing is written to EC2, but instances that cannot be reproduced are still
    found.
    """
    changed: dict[str, PlanItem] = {}
    refused: dict[str, str] = {}
    for each in adopted:
        reading = readings.get(each.instance_id)
        if reading is None:
            continue
        plan = plans.get(each.workload_id) or PlanItem(workload_id=each.workload_id)
        changes = _as_read(reading, now)
        try:
            data = _template_data(reading, stack_name, each.workload_id)
            if not dry_run:
                changes |= _write(stack_name, plan, data, reading, live, now)
        except CannotReproduce as error:
            refused[each.workload_id] = str(error)
            continue
        except (BotoCoreError, ClientError) as error:
            logger.exception("launch template not written", workload_id=each.workload_id)
            if not can_launch_from(plan, reading.instance):
                refused[each.workload_id] = f"its launch template cannot be written: {error}"
                continue
            # Without a digest of its details, the instance is read again in the next cycle.
            problems = filter(None, (could_not_update(error), changes["launch_problem"]))
            changes |= {"details": "", "launch_problem": "; ".join(problems)}
        _log_changes(plan, changes)
        changed[each.workload_id] = plan.model_copy(update=changes)
    return TemplateUpdates(changed, refused)


def can_launch_from(plan: PlanItem, instance: Record) -> bool:
    """Whether the plan's template was made from this instance, or launched it."""
    template = plan.launch_template
    if template is None or not template.template_id:
        return False
    return plan.read_instance_id == instance["InstanceId"] or SWITCH_TAG in tags_of(instance)


def _template_data(reading: InstanceReading, stack_name: str, workload_id: str) -> dict[str, Any]:
    return template_data(
        reading.source.data,
        reading.instance,
        reading.volumes,
        stack=stack_name,
        workload_id=workload_id,
        interface_tags=reading.interface_tags,
        image_devices=reading.image_devices,
        gone=reading.gone,
    )


def _as_read(reading: InstanceReading, now: datetime) -> dict[str, Any]:
    """What a plan keeps to recognize an unchanged instance."""
    identity, state = reading.identity, reading.state
    problem, losses = reading.findings.texts
    return {
        "read_instance_id": reading.instance["InstanceId"],
        "fingerprint": fingerprint(reading.instance),
        "details": details_digest(identity, state),
        "identity_digest": identity_digest(identity),
        "state_digest": state_digest(state),
        "read_at": now,
        "read_launch_time": reading.instance["LaunchTime"],
        "persistent_spot_request_id": reading.persistent_spot_request_id,
        "launch_problem": problem,
        "launch_losses": losses,
    }


def _log_changes(plan: PlanItem, read: Mapping[str, Any]) -> None:
    """Log whether identity or state changed since the same instance was last read.

    A replacement of another type may have another credit mode and EBS optimization.
    """
    if plan.read_instance_id != read["read_instance_id"]:
        return
    changed = [
        name
        for name, before in (("identity", plan.identity_digest), ("state", plan.state_digest))
        if before not in ("", read[f"{name}_digest"])
    ]
    if changed:
        logger.info("instance changed", workload_id=plan.workload_id, changed=changed)


def _write(
    stack_name: str,
    plan: PlanItem,
    data: Mapping[str, Any],
    reading: InstanceReading,
    live: LiveVersions,
    now: datetime,
) -> dict[str, Any]:
    """Attributes of the plan, once EC2 has the data. Raises EC2's error."""
    template, notes = plan.launch_template, {}
    before = traits_of(template) if template else None
    traits = launch_traits(reading.source.data, reading.instance, reading.cpu_credits, before)
    hashed = data_hash(data)
    if template is None or template.data_hash != hashed:
        written = write_version(stack_name, plan, data, live, now)
        notes = dict(written.notes)
        template = LaunchTemplateRef(
            template_id=written.template_id, version=written.version, data_hash=hashed
        )
    template = template.model_copy(
        update={
            "instance_digest": instance_digest(reading.identity, reading.state),
            "cpu_credits": traits.cpu_credits,
            "shutdown_behavior": traits.shutdown_behavior,
            "capacity_reservation_preference": traits.capacity_reservation_preference,
        }
    )
    return {**notes, "launch_template": template}
