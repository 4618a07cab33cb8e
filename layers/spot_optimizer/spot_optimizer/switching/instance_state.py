"""The state of an instance: its disks and addresses.

A stateless workload gets new ones with every replacement, which must be like the original's. The
identity of the instance (``instance_identity``) is the same whatever its state.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spot_optimizer.switching.difference import Difference, tag_differences, value_differences
from spot_optimizer.switching.instance_record import (
    Record,
    digest,
    has_public_address,
    primary_interface,
    tags_of,
    user_tags,
)


@dataclass(frozen=True, slots=True)
class AttachedVolume:
    """An EBS volume as it is attached to an instance."""

    size_gib: int
    type: str
    iops: int | None
    throughput: int | None
    encrypted: bool
    kms_key_id: str | None
    deleted_on_termination: bool | None
    tags: Mapping[str, str]
    """Without AWS's and ours."""

    @property
    def properties(self) -> dict[str, Any]:
        """Name for people -> value, without the tags."""
        return {
            "size": f"{self.size_gib} GiB",
            "type": self.type,
            "IOPS": self.iops,
            "throughput": self.throughput,
            "encrypted": self.encrypted,
            "KMS key": self.kms_key_id,
            "deleted on termination": self.deleted_on_termination,
        }


@dataclass(frozen=True, slots=True)
class InstanceState:
    """Disks and addresses of an instance."""

    devices: Mapping[str, AttachedVolume]
    """By device name, without those that are still being attached."""
    has_public_address: bool
    """Its own or an elastic one."""
    ipv6_addresses: int
    """How many the primary network interface has."""
    pending: tuple[str, ...] = ()
    """What EC2 is still setting up, so that it cannot be compared yet."""


def state_of(instance: Record, volumes: Iterable[Record]) -> InstanceState:
    """The state of an instance, from DescribeInstances and DescribeVolumes.

    A volume that is not attached or not visible yet is ``pending``, and so are metadata options that
    EC2 has not applied yet.
    """
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    devices: dict[str, AttachedVolume] = {}
    pending = []
    for mapping in instance.get("BlockDeviceMappings") or ():
        attached = mapping.get("Ebs") or {}
        volume = by_id.get(attached.get("VolumeId", ""))
        if volume is None or attached.get("Status") != "attached":
            pending.append(f"device {mapping['DeviceName']}")
        else:
            devices[mapping["DeviceName"]] = _attached_volume(attached, volume)
    if (instance.get("MetadataOptions") or {}).get("State") == "pending":
        pending.append("metadata options")
    return InstanceState(
        devices=devices,
        has_public_address=has_public_address(instance),
        ipv6_addresses=len(primary_interface(instance).get("Ipv6Addresses") or ()),
        pending=tuple(pending),
    )


def _attached_volume(attached: Record, volume: Record) -> AttachedVolume:
    return AttachedVolume(
        size_gib=volume["Size"],
        type=volume["VolumeType"],
        iops=volume.get("Iops"),
        throughput=volume.get("Throughput"),
        encrypted=bool(volume.get("Encrypted")),
        kms_key_id=volume.get("KmsKeyId"),
        deleted_on_termination=attached.get("DeleteOnTermination"),
        tags=user_tags(tags_of(volume)),
    )


def state_digest(state: InstanceState) -> str:
    """16 hex digits over disks and addresses; what is ``pending`` does not count."""
    return digest({**asdict(state), "pending": ()})


def state_differences(
    original: InstanceState, replacement: InstanceState, *, original_as_read: bool
) -> Iterator[Difference]:
    """What differs. Not a difference: a volume that the account now encrypts by default."""
    was, now = original.devices, replacement.devices
    yield from value_differences(
        [
            ("public address", original.has_public_address, replacement.has_public_address),
            ("IPv6 addresses", original.ipv6_addresses, replacement.ipv6_addresses),
            *(
                (f"device {d}", _presence(d in was), _presence(d in now))
                for d in sorted({*was} ^ {*now})
            ),
        ]
    )
    for device in sorted(was.keys() & now.keys()):
        yield from value_differences(_property_pairs(device, was[device], now[device]))
        yield from tag_differences(
            f"device {device} tag",
            was[device].tags,
            now[device].tags,
            original_as_read=original_as_read,
        )


def _presence(present: bool) -> str:
    return "present" if present else "missing"


def _property_pairs(
    device: str, was: AttachedVolume, now: AttachedVolume
) -> Iterator[tuple[str, Any, Any]]:
    newly_encrypted = now.encrypted and not was.encrypted
    for name, old in was.properties.items():
        if not (newly_encrypted and name in ("encrypted", "KMS key")):
            yield f"device {device} {name}", old, now.properties[name]
