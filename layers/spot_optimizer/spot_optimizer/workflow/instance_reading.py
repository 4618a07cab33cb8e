"""Reading machines into launch templates: at adoption, and when they have, or may have, changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.instances import (
    LaunchTemplateSource,
    read_credit_modes,
    read_image_devices,
    read_interface_tags,
    read_launch_template_source,
    read_persistent_requests,
    read_volumes,
)
from spot_optimizer.aws.launch_templates import write_template
from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.contracts.switch import LaunchTemplateRef
from spot_optimizer.switching.adoption import Adopted
from spot_optimizer.switching.instance_record import (
    Record,
    is_burstable,
    primary_interface,
    user_data_hash,
)
from spot_optimizer.switching.launch_template import (
    CannotReproduce,
    data_hash,
    fingerprint,
    template_data,
)
from spot_optimizer.switching.launch_traits import LaunchTraits, launch_traits
from spot_optimizer.switching.parity import (
    InstanceFacts,
    details_digest,
    identity_digest,
    instance_facts,
)
from spot_optimizer.switching.protections import Protections
from spot_optimizer.telemetry import logger

READS_MAX = 100
"""Machines read in one cycle: each is one GetLaunchTemplateData, and a first cycle that adopts
thousands must stay inside EC2's request rate; the rest follow in the next cycles."""


@dataclass(frozen=True, slots=True)
class InstanceReading:
    """One machine as it was read: what its template will hold."""

    instance: Record
    source: LaunchTemplateSource
    volumes: tuple[Record, ...]
    interface_tags: Mapping[str, str]
    image_devices: frozenset[str]
    persistent_spot_request_id: str | None
    cpu_credits: str | None

    @property
    def protections(self) -> Protections:
        return Protections(self.source.termination_protection, self.source.stop_protection)

    @property
    def facts(self) -> InstanceFacts:
        return instance_facts(
            self.instance,
            self.volumes,
            user_data_hash=user_data_hash(self.source.data.get("UserData")),
            cpu_credits=self.cpu_credits,
        )


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What can be asked of many machines in one call."""

    volumes: Mapping[str, Record]
    interface_tags: Mapping[str, Mapping[str, str]]
    image_devices: Mapping[str, frozenset[str]]
    credits: Mapping[str, str]
    persistent: Mapping[str, str]

    @classmethod
    def read(cls, rows: list[Record]) -> "_Surroundings":
        return cls(
            read_volumes(rows),
            read_interface_tags(rows),
            read_image_devices(row["ImageId"] for row in rows),
            _credit_modes(rows),
            read_persistent_requests(rows),
        )


def _credit_modes(rows: Iterable[Record]) -> dict[str, str]:
    return read_credit_modes(r["InstanceId"] for r in rows if is_burstable(r["InstanceType"]))


def read_whole_instances(
    instances: Iterable[Record],
) -> tuple[dict[str, InstanceReading], dict[str, str]]:
    """Read these instances whole, by instance id; and why some could not be read.

    One call for each, and one for all for what can be asked in batches.
    """
    rows = list(instances)
    machines: dict[str, InstanceReading] = {}
    unreadable: dict[str, str] = {}
    if not rows:
        return machines, unreadable
    try:
        around = _Surroundings.read(rows)
    except (BotoCoreError, ClientError) as error:
        logger.exception("machines not read")
        return machines, {row["InstanceId"]: f"it could not be read: {error}" for row in rows}
    for row in rows:
        instance_id = row["InstanceId"]
        try:
            source = read_launch_template_source(instance_id)
        except (BotoCoreError, ClientError) as error:
            logger.exception("machine not read", instance_id=instance_id)
            unreadable[instance_id] = f"it could not be read: {error}"
            continue
        interface_id = primary_interface(row).get("NetworkInterfaceId", "")
        machines[instance_id] = InstanceReading(
            instance=row,
            source=source,
            volumes=_volumes_of(row, around.volumes),
            interface_tags=around.interface_tags.get(interface_id, {}),
            image_devices=around.image_devices.get(row["ImageId"], frozenset()),
            persistent_spot_request_id=around.persistent.get(instance_id),
            cpu_credits=around.credits.get(instance_id),
        )
    return machines, unreadable


def read_details(instances: Iterable[Record]) -> dict[str, str]:
    """Instance id -> digest of its volumes and credit mode now (``parity.details_digest``).

    Two calls for every 200 volumes and machines; for 10,000 machines about a hundred.
    """
    rows = list(instances)
    volumes, credits = read_volumes(rows), _credit_modes(rows)
    return {
        row["InstanceId"]: details_digest(
            instance_facts(
                row,
                _volumes_of(row, volumes),
                user_data_hash="",
                cpu_credits=credits.get(row["InstanceId"]),
            )
        )
        for row in rows
    }


def _volumes_of(instance: Record, volumes: Mapping[str, Record]) -> tuple[Record, ...]:
    ids = (m["Ebs"]["VolumeId"] for m in instance.get("BlockDeviceMappings") or () if "Ebs" in m)
    return tuple(volumes[each] for each in ids if each in volumes)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The plans of machines that can be reproduced, and why the others cannot."""

    plans: Mapping[str, PlanItem]
    """By workload id: those that changed."""
    refused: Mapping[str, str]
    """Workload id -> reason."""


def remember(
    adopted: Iterable[Adopted],
    machines: Mapping[str, InstanceReading],
    plans: Mapping[str, PlanItem],
    now: datetime,
    *,
    stack_name: str,
    dry_run: bool,
) -> Remembered:
    """Make or update the launch template of every workload whose machine was read.

    In a dry run nothing is written to EC2, but whether a machine could be reproduced is found out.
    """
    changed: dict[str, PlanItem] = {}
    refused: dict[str, str] = {}
    for each in adopted:
        machine = machines.get(each.instance_id)
        if machine is None:
            continue
        plan = plans.get(each.workload_id) or PlanItem(workload_id=each.workload_id)
        template = plan.launch_template
        try:
            data = _data(machine, stack_name, each.workload_id)
            if not dry_run:
                template = _write(stack_name, each.workload_id, data, machine, template)
        except CannotReproduce as error:
            refused[each.workload_id] = str(error)
            continue
        except (BotoCoreError, ClientError) as error:
            refused[each.workload_id] = f"its launch template cannot be written: {error}"
            continue
        changed[each.workload_id] = plan.model_copy(
            update={"launch_template": template, **_as_read(machine, now)}
        )
    return Remembered(changed, refused)


def _data(machine: InstanceReading, stack_name: str, workload_id: str) -> dict[str, Any]:
    return template_data(
        machine.source.data,
        machine.instance,
        machine.volumes,
        stack=stack_name,
        workload_id=workload_id,
        interface_tags=machine.interface_tags,
        image_devices=machine.image_devices,
    )


def _as_read(machine: InstanceReading, now: datetime) -> dict[str, Any]:
    """What a plan keeps to know whether the machine is still the same."""
    return {
        "read_instance_id": machine.instance["InstanceId"],
        "fingerprint": fingerprint(machine.instance),
        "details": details_digest(machine.facts),
        "read_at": now,
        "read_launch_time": machine.instance["LaunchTime"],
        "persistent_spot_request_id": machine.persistent_spot_request_id,
    }


def traits_of_ref(template: LaunchTemplateRef) -> LaunchTraits:
    """The traits that a reference carries beside the template's data."""
    return LaunchTraits(
        template.cpu_credits,
        template.shutdown_behavior,
        template.capacity_reservation_preference,
    )


def _write(
    stack_name: str,
    workload_id: str,
    data: Mapping[str, Any],
    machine: InstanceReading,
    template: LaunchTemplateRef | None,
) -> LaunchTemplateRef:
    before = traits_of_ref(template) if template else None
    traits = launch_traits(machine.source.data, machine.instance, machine.cpu_credits, before)
    hashed = data_hash(data)
    if template is None or template.data_hash != hashed:
        template_id, version = write_template(
            stack_name, workload_id, data, template.template_id if template else None
        )
        template = LaunchTemplateRef(template_id=template_id, version=version, data_hash=hashed)
    return template.model_copy(
        update={
            "identity_digest": identity_digest(machine.facts),
            "cpu_credits": traits.cpu_credits,
            "shutdown_behavior": traits.shutdown_behavior,
            "capacity_reservation_preference": traits.capacity_reservation_preference,
        }
    )
