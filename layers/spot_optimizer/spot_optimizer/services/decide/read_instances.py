"""Read instances whole, as their launch templates need it: new ones, and those that may have changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.instances import (
    LaunchTemplateSource,
    read_credit_modes,
    read_image_devices,
    read_interface_tags,
    read_launch_template_source,
    read_spot_requests,
    read_volumes,
)
from spot_optimizer.aws.launch_resources import find_gone
from spot_optimizer.switching.instance_identity import (
    InstanceIdentity,
    identity_of,
)
from spot_optimizer.switching.instance_record import (
    Record,
    is_burstable,
    primary_interface,
    user_data_hash,
)
from spot_optimizer.switching.instance_state import InstanceState, state_of
from spot_optimizer.switching.launch_resources import (
    NONE,
    LaunchFindings,
    LaunchResources,
    launch_findings,
    resources_of,
)
from spot_optimizer.switching.ownership_by_services import joins_ecs_cluster
from spot_optimizer.switching.protections import Protections
from spot_optimizer.switching.stored_digests import details_digest
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
    spot_request: Record | None
    cpu_credits: str | None
    gone: LaunchResources = NONE
    """What launches name and is not there any more: of this instance and of others."""

    @property
    def findings(self) -> LaunchFindings:
        return launch_findings(self.instance, self.volumes, self.gone)

    @property
    def protections(self) -> Protections:
        return Protections(
            termination=self.source.termination_protection,
            stop=self.source.stop_protection,
            joins_ecs_cluster=joins_ecs_cluster(self.source.data.get("UserData")),
            spot_block_minutes=(self.spot_request or {}).get("BlockDurationMinutes") or 0,
        )

    @property
    def persistent_spot_request_id(self) -> str | None:
        """The id of its spot request, if that is persistent: when the instance ends, EC2 would launch
        another one (EC2 user guide, "Persistent Spot Instance requests")."""
        request = self.spot_request or {}
        persistent = request.get("Type") == "persistent"
        return request.get("SpotInstanceRequestId") if persistent else None

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
    spot_requests: Mapping[str, Record]
    gone: LaunchResources

    @classmethod
    def read(cls, rows: list[Record]) -> "_Surroundings":
        volumes = read_volumes(rows)
        image_devices = read_image_devices(row["ImageId"] for row in rows)
        return cls(
            volumes,
            read_interface_tags(rows),
            image_devices,
            _credit_modes(rows),
            read_spot_requests(rows),
            find_gone(_named_by_launches(rows, volumes), image_devices),
        )


def _named_by_launches(rows: list[Record], volumes: Mapping[str, Record]) -> LaunchResources:
    each = [resources_of(row, _volumes_of(row, volumes)) for row in rows]
    return LaunchResources(
        **{
            part.name: frozenset[str]().union(*(getattr(one, part.name) for one in each))
            for part in fields(LaunchResources)
        }
    )


def _credit_modes(rows: Iterable[Record]) -> dict[str, str]:
    return read_credit_modes(r["InstanceId"] for r in rows if is_burstable(r["InstanceType"]))


def read_whole_instances(
    instances: Iterable[Record],
) -> tuple[dict[str, InstanceReading], dict[str, Exception]]:
    """Readings by instance id, and why the other instances could not be read.

    One call for each instance, and a few for all of them.
    """
    rows = list(instances)
    readings: dict[str, InstanceReading] = {}
    unreadable: dict[str, Exception] = {}
    if not rows:
        return readings, unreadable
    try:
        around = _Surroundings.read(rows)
    except (BotoCoreError, ClientError) as error:
        logger.exception("instances not read")
        return readings, {row["InstanceId"]: error for row in rows}
    for row in rows:
        instance_id = row["InstanceId"]
        try:
            source = read_launch_template_source(instance_id)
        except (BotoCoreError, ClientError) as error:
            logger.exception("instance not read", instance_id=instance_id)
            unreadable[instance_id] = error
            continue
        interface_id = primary_interface(row).get("NetworkInterfaceId", "")
        readings[instance_id] = InstanceReading(
            instance=row,
            source=source,
            volumes=_volumes_of(row, around.volumes),
            interface_tags=around.interface_tags.get(interface_id, {}),
            image_devices=around.image_devices.get(row["ImageId"], frozenset()),
            spot_request=around.spot_requests.get(instance_id),
            cpu_credits=around.credits.get(instance_id),
            gone=around.gone,
        )
    return readings, unreadable


def read_details(instances: Iterable[Record]) -> dict[str, tuple[str, LaunchFindings]]:
    """Instance id -> ``details_digest`` of its current volumes and credit mode, and what is wrong with
    its next launch.

    Six calls for every 200 instances, and one for each instance profile: about three hundred for 10,000
    instances.
    """
    rows = list(instances)
    volumes, credits = read_volumes(rows), _credit_modes(rows)
    gone = find_gone(
        _named_by_launches(rows, volumes), read_image_devices(row["ImageId"] for row in rows)
    )
    return {
        row["InstanceId"]: (
            details_digest(
                identity_of(row, cpu_credits=credits.get(row["InstanceId"])),
                state_of(row, _volumes_of(row, volumes)),
            ),
            launch_findings(row, _volumes_of(row, volumes), gone),
        )
        for row in rows
    }


def _volumes_of(instance: Record, volumes: Mapping[str, Record]) -> tuple[Record, ...]:
    ids = (m["Ebs"]["VolumeId"] for m in instance.get("BlockDeviceMappings") or () if "Ebs" in m)
    return tuple(volumes[each] for each in ids if each in volumes)
