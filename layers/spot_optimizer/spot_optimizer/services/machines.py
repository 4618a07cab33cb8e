"""Reading machines into launch templates: at adoption, and when a user has changed one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.instances import (
    MachineSource,
    read_credit_modes,
    read_interface_tags,
    read_machine_source,
    read_persistent_requests,
    read_volumes,
)
from spot_optimizer.aws.launch_templates import write_template
from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.contracts import LaunchTemplateRef
from spot_optimizer.switching.adoption import Adopted, Protections
from spot_optimizer.switching.launch_template import (
    CannotReproduce,
    data_hash,
    fingerprint,
    template_data,
)
from spot_optimizer.switching.launch_traits import LaunchTraits, launch_traits
from spot_optimizer.switching.machine import Record, is_burstable, primary_interface
from spot_optimizer.telemetry import logger

READS_MAX = 100
"""Machines read in one cycle: each is one GetLaunchTemplateData, and a first cycle that adopts
thousands must stay inside EC2's request rate; the rest follow in the next cycles."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine as it was read: what its template will hold."""

    instance_id: str
    fingerprint: str
    source: MachineSource
    protections: Protections
    persistent_spot_request_id: str | None
    cpu_credits: str | None


def needs_reading(instance: Record, plan: PlanItem | None, *, dry_run: bool) -> bool:
    """Whether the machine is new, was changed since it was read, or has no template yet."""
    if plan is None or plan.read_instance_id != instance["InstanceId"]:
        return True
    if plan.launch_template is None and not dry_run:
        return True
    return plan.fingerprint != fingerprint(instance)


def read_machines(instances: Iterable[Record]) -> tuple[dict[str, Machine], dict[str, str]]:
    """Read these instances whole, by instance id; and why some could not be read.

    One call for each, and one for all for what can be asked in batches.
    """
    rows = list(instances)
    credits = read_credit_modes(
        row["InstanceId"] for row in rows if is_burstable(row["InstanceType"])
    )
    persistent = read_persistent_requests(rows)
    machines: dict[str, Machine] = {}
    unreadable: dict[str, str] = {}
    for row in rows:
        instance_id = row["InstanceId"]
        try:
            source = read_machine_source(instance_id)
        except (BotoCoreError, ClientError) as error:
            logger.exception("machine not read", instance_id=instance_id)
            unreadable[instance_id] = f"it could not be read: {error}"
            continue
        machines[instance_id] = Machine(
            instance_id=instance_id,
            fingerprint=fingerprint(row),
            source=source,
            protections=Protections(source.termination_protection, source.stop_protection),
            persistent_spot_request_id=persistent.get(instance_id),
            cpu_credits=credits.get(instance_id),
        )
    return machines, unreadable


@dataclass(frozen=True, slots=True)
class Remembered:
    """The plans of machines that can be reproduced, and why the others cannot."""

    plans: Mapping[str, PlanItem]
    """By workload id: those that changed."""
    refused: Mapping[str, str]
    """Workload id -> reason."""


def remember(
    adopted: Iterable[Adopted],
    instances: Mapping[str, Record],
    machines: Mapping[str, Machine],
    plans: Mapping[str, PlanItem],
    *,
    stack_name: str,
    dry_run: bool,
) -> Remembered:
    """Make or update the launch template of every workload whose machine was read.

    In a dry run nothing is written to EC2, but whether a machine could be reproduced is found out.
    """
    fresh = [a for a in adopted if a.instance_id in machines]
    rows = [instances[a.instance_id] for a in fresh]
    volumes = read_volumes(rows) if rows else {}
    interface_tags = read_interface_tags(rows) if rows else {}
    changed: dict[str, PlanItem] = {}
    refused: dict[str, str] = {}
    for each in fresh:
        instance, machine = instances[each.instance_id], machines[each.instance_id]
        plan = plans.get(each.workload_id) or PlanItem(workload_id=each.workload_id)
        try:
            data = template_data(
                machine.source.data,
                instance,
                [v for v in volumes.values() if _is_of(v, each.instance_id)],
                stack=stack_name,
                workload_id=each.workload_id,
                interface_tags=interface_tags.get(
                    primary_interface(instance).get("NetworkInterfaceId", ""), {}
                ),
            )
        except CannotReproduce as error:
            refused[each.workload_id] = str(error)
            continue
        traits = launch_traits(
            machine.source.data, instance, machine.cpu_credits, _traits_of(plan.launch_template)
        )
        template = plan.launch_template
        if not dry_run:
            try:
                template = _write(stack_name, each.workload_id, data, traits, template)
            except (BotoCoreError, ClientError) as error:
                refused[each.workload_id] = f"its launch template cannot be written: {error}"
                continue
        changed[each.workload_id] = plan.model_copy(
            update={
                "launch_template": template,
                "read_instance_id": each.instance_id,
                "fingerprint": machine.fingerprint,
                "persistent_spot_request_id": machine.persistent_spot_request_id,
            }
        )
    return Remembered(changed, refused)


def traits_of_ref(template: LaunchTemplateRef) -> LaunchTraits:
    """The traits that a reference carries beside the template's data."""
    return LaunchTraits(
        template.cpu_credits,
        template.shutdown_behavior,
        template.capacity_reservation_preference,
    )


def _traits_of(template: LaunchTemplateRef | None) -> LaunchTraits | None:
    return traits_of_ref(template) if template else None


def _is_of(volume: Record, instance_id: str) -> bool:
    return any(a.get("InstanceId") == instance_id for a in volume.get("Attachments") or ())


def _write(
    stack_name: str,
    workload_id: str,
    data: Mapping[str, Any],
    traits: LaunchTraits,
    template: LaunchTemplateRef | None,
) -> LaunchTemplateRef:
    digest = data_hash(data)
    if template is None or template.data_hash != digest:
        template_id, version = write_template(
            stack_name, workload_id, data, template.template_id if template else None
        )
        template = LaunchTemplateRef(template_id=template_id, version=version, data_hash=digest)
    return template.model_copy(
        update={
            "cpu_credits": traits.cpu_credits,
            "shutdown_behavior": traits.shutdown_behavior,
            "capacity_reservation_preference": traits.capacity_reservation_preference,
        }
    )
