"""Reading instances into launch templates: at adoption, and when they have or may have changed."""

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
from spot_optimizer.switching.instance_identity import (
    InstanceIdentity,
    identity_digest,
    identity_of,
)
from spot_optimizer.switching.instance_record import (
    Record,
    is_burstable,
    primary_interface,
    user_data_hash,
)
from spot_optimizer.switching.instance_state import InstanceState, state_digest, state_of
from spot_optimizer.switching.launch_template import CannotReproduce, data_hash, template_data
from spot_optimizer.switching.launch_traits import LaunchTraits, launch_traits
from spot_optimizer.switching.protections import Protections
from spot_optimizer.switching.stored_digests import details_digest, fingerprint, instance_digest
from spot_optimizer.telemetry import logger

READS_MAX = 100
"""Instances read in one cycle, each with one GetLaunchTemplateData: a first cycle that adopts
thousands must stay within EC2's request rate. The rest follow in the next cycles."""


@dataclass(frozen=True, slots=True)
class InstanceReading:
    """One instance as it was read into its launch template."""

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
    def identity(self) -> InstanceIdentity:
        return identity_of(
            self.instance,
            user_data_hash=user_data_hash(self.source.data.get("UserData")),
            cpu_credits=self.cpu_credits,
        )

    @property
    def state(self) -> InstanceState:
        return state_of(self.instance, self.volumes)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What one call returns for many instances."""

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
    """Readings by instance id, and why the other instances could not be read.

    One call for each instance, and a few for all of them.
    """
    rows = list(instances)
    readings: dict[str, InstanceReading] = {}
    unreadable: dict[str, str] = {}
    if not rows:
        return readings, unreadable
    try:
        around = _Surroundings.read(rows)
    except (BotoCoreError, ClientError) as error:
        logger.exception("instances not read")
        return readings, {row["InstanceId"]: f"it could not be read: {error}" for row in rows}
    for row in rows:
        instance_id = row["InstanceId"]
        try:
            source = read_launch_template_source(instance_id)
        except (BotoCoreError, ClientError) as error:
            logger.exception("instance not read", instance_id=instance_id)
            unreadable[instance_id] = f"it could not be read: {error}"
            continue
        interface_id = primary_interface(row).get("NetworkInterfaceId", "")
        readings[instance_id] = InstanceReading(
            instance=row,
            source=source,
            volumes=_volumes_of(row, around.volumes),
            interface_tags=around.interface_tags.get(interface_id, {}),
            image_devices=around.image_devices.get(row["ImageId"], frozenset()),
            persistent_spot_request_id=around.persistent.get(instance_id),
            cpu_credits=around.credits.get(instance_id),
        )
    return readings, unreadable


def read_details(instances: Iterable[Record]) -> dict[str, str]:
    """Instance id -> ``details_digest`` of its current volumes and credit mode.

    Two calls for every 200 volumes and instances: about a hundred for 10,000 instances.
    """
    rows = list(instances)
    volumes, credits = read_volumes(rows), _credit_modes(rows)
    return {
        row["InstanceId"]: details_digest(
            identity_of(row, cpu_credits=credits.get(row["InstanceId"])),
            state_of(row, _volumes_of(row, volumes)),
        )
        for row in rows
    }


def _volumes_of(instance: Record, volumes: Mapping[str, Record]) -> tuple[Record, ...]:
    ids = (m["Ebs"]["VolumeId"] for m in instance.get("BlockDeviceMappings") or () if "Ebs" in m)
    return tuple(volumes[each] for each in ids if each in volumes)


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
    stack_name: str,
    dry_run: bool,
) -> TemplateUpdates:
    """Create or update the launch template of every workload whose instance was read.

    In a dry run nothing is written to EC2, but instances that cannot be reproduced are still found.
    """
    changed: dict[str, PlanItem] = {}
    refused: dict[str, str] = {}
    for each in adopted:
        reading = readings.get(each.instance_id)
        if reading is None:
            continue
        plan = plans.get(each.workload_id) or PlanItem(workload_id=each.workload_id)
        template = plan.launch_template
        try:
            data = _template_data(reading, stack_name, each.workload_id)
            if not dry_run:
                template = _write(stack_name, each.workload_id, data, reading, template)
        except CannotReproduce as error:
            refused[each.workload_id] = str(error)
            continue
        except (BotoCoreError, ClientError) as error:
            refused[each.workload_id] = f"its launch template cannot be written: {error}"
            continue
        read = _as_read(reading, now)
        _log_changes(plan, read)
        changed[each.workload_id] = plan.model_copy(update={"launch_template": template, **read})
    return TemplateUpdates(changed, refused)


def _template_data(reading: InstanceReading, stack_name: str, workload_id: str) -> dict[str, Any]:
    return template_data(
        reading.source.data,
        reading.instance,
        reading.volumes,
        stack=stack_name,
        workload_id=workload_id,
        interface_tags=reading.interface_tags,
        image_devices=reading.image_devices,
    )


def _as_read(reading: InstanceReading, now: datetime) -> dict[str, Any]:
    """What a plan keeps to recognize an unchanged instance."""
    identity, state = reading.identity, reading.state
    return {
        "read_instance_id": reading.instance["InstanceId"],
        "fingerprint": fingerprint(reading.instance),
        "details": details_digest(identity, state),
        "identity_digest": identity_digest(identity),
        "state_digest": state_digest(state),
        "read_at": now,
        "read_launch_time": reading.instance["LaunchTime"],
        "persistent_spot_request_id": reading.persistent_spot_request_id,
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


def traits_of_ref(template: LaunchTemplateRef) -> LaunchTraits:
    """The traits that a reference has in addition to the template's data."""
    return LaunchTraits(
        template.cpu_credits,
        template.shutdown_behavior,
        template.capacity_reservation_preference,
    )


def _write(
    stack_name: str,
    workload_id: str,
    data: Mapping[str, Any],
    reading: InstanceReading,
    template: LaunchTemplateRef | None,
) -> LaunchTemplateRef:
    before = traits_of_ref(template) if template else None
    traits = launch_traits(reading.source.data, reading.instance, reading.cpu_credits, before)
    hashed = data_hash(data)
    if template is None or template.data_hash != hashed:
        template_id, version = write_template(
            stack_name, workload_id, data, template.template_id if template else None
        )
        template = LaunchTemplateRef(template_id=template_id, version=version, data_hash=hashed)
    return template.model_copy(
        update={
            "instance_digest": instance_digest(reading.identity, reading.state),
            "cpu_credits": traits.cpu_credits,
            "shutdown_behavior": traits.shutdown_behavior,
            "capacity_reservation_preference": traits.capacity_reservation_preference,
        }
    )
