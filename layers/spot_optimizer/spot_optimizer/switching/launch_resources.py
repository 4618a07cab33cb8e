"""What a launch names and somebody else may delete while the instance keeps running.

EC2 finds out only at the launch, so it is looked up before: the image, the snapshots of data volumes,
the security groups, the key pair, the instance profile and the keys of encrypted volumes. The snapshots
of an image cannot be deleted before it is deregistered (EC2 user guide, "Deregister an Amazon EC2 AMI").
Subnets are read in each cycle anyway.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from spot_optimizer.switching.instance_record import Record, security_group_ids, tags_of
from spot_optimizer.vocabulary import TAG_PREFIX


@dataclass(frozen=True, slots=True)
class LaunchResources:
    """What a launch names, or of several launches; or what of that is gone."""

    images: frozenset[str] = frozenset()
    snapshots: frozenset[str] = frozenset()
    security_groups: frozenset[str] = frozenset()
    key_pairs: frozenset[str] = frozenset()
    """By name."""
    instance_profiles: frozenset[str] = frozenset()
    """By ARN."""
    kms_keys: frozenset[str] = frozenset()
    """By ARN. A key that is disabled or about to be deleted counts as gone."""


NONE = LaunchResources()


@dataclass(frozen=True, slots=True)
class LaunchFindings:
    """What is wrong with the next launch, in words."""

    problems: tuple[str, ...] = field(default=())
    """A replacement would be refused or differ from the instance."""
    losses: tuple[str, ...] = field(default=())
    """A replacement lacks something that its user has declared to be dispensable."""

    @property
    def texts(self) -> tuple[str, str]:
        """Problems and losses, as a plan stores them."""
        return "; ".join(self.problems), "; ".join(self.losses)


def resources_of(instance: Record, volumes: Iterable[Record]) -> LaunchResources:
    """What a replacement of this instance would name."""
    profile = (instance.get("IamInstanceProfile") or {}).get("Arn")
    return LaunchResources(
        images=frozenset({instance["ImageId"]}),
        snapshots=frozenset(_data_snapshots(instance, volumes).values()),
        security_groups=frozenset(security_group_ids(instance)),
        key_pairs=frozenset({instance["KeyName"]} if instance.get("KeyName") else ()),
        instance_profiles=frozenset({profile} if profile else ()),
        kms_keys=frozenset(_keys(instance, volumes).values()),
    )


def accepts_blank_volumes(instance: Record) -> bool:
    """Whether its user has said that nothing on its volumes matters."""
    return tags_of(instance).get(f"{TAG_PREFIX}state", "").strip().lower() == "stateless"


def launch_findings(
    instance: Record, volumes: Iterable[Record], gone: LaunchResources
) -> LaunchFindings:
    """What the next launch cannot have of what the instance has. The texts are the same in each cycle."""
    blank = tuple(
        f"the snapshot {snapshot} of its data volume {device} is gone"
        for device, snapshot in sorted(_data_snapshots(instance, volumes).items())
        if snapshot in gone.snapshots
    )
    consented = accepts_blank_volumes(instance)
    return LaunchFindings(
        problems=(
            *_problems(instance, gone),
            *(
                f"the key {key} of its volume {device} is disabled or about to be deleted: no launch"
                " succeeds without it"
                for device, key in sorted(_keys(instance, volumes).items())
                if key in gone.kms_keys
            ),
            *(() if consented else (f"{each}: no launch succeeds without it" for each in blank)),
        ),
        losses=tuple(
            f"{each}: as its state is stateless, a replacement gets a blank volume"
            for each in blank
        )
        if consented
        else (),
    )


def _problems(instance: Record, gone: LaunchResources) -> Iterator[str]:
    if instance["ImageId"] in gone.images:
        yield (
            f"its image {instance['ImageId']} is deregistered, disabled or no longer shared: no launch"
            " succeeds without it"
        )
    for group in security_group_ids(instance):
        if group in gone.security_groups:
            yield f"its security group {group} is gone: no launch succeeds without it"
    if instance.get("KeyName") in gone.key_pairs:
        yield (
            f"its key pair {instance['KeyName']} is gone: a failover launches without one; import it"
            " again under the same name"
        )
    profile = (instance.get("IamInstanceProfile") or {}).get("Arn")
    if profile in gone.instance_profiles:
        yield (
            f"its instance profile {profile} is gone: a failover launches without a role; create it"
            " again under the same name"
        )


def _data_snapshots(instance: Record, volumes: Iterable[Record]) -> dict[str, str]:
    """Device name of a volume, except the root, -> the snapshot that it was made from. The root of a
    replacement comes from the image."""
    return {
        device: volume["SnapshotId"]
        for device, volume in _volumes_by_device(instance, volumes)
        if device != instance.get("RootDeviceName") and volume.get("SnapshotId")
    }


def _keys(instance: Record, volumes: Iterable[Record]) -> dict[str, str]:
    """Device name of an encrypted volume -> the ARN of its KMS key."""
    return {
        device: volume["KmsKeyId"]
        for device, volume in _volumes_by_device(instance, volumes)
        if volume.get("KmsKeyId")
    }


def _volumes_by_device(instance: Record, volumes: Iterable[Record]) -> Iterator[tuple[str, Record]]:
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    for mapping in instance.get("BlockDeviceMappings") or ():
        yield mapping["DeviceName"], by_id.get(mapping["Ebs"]["VolumeId"], {})
