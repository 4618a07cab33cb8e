"""EBS volumes.

Source of the limits: EBS user guide, "Amazon EBS volume types" (gp3 3,000 to 16,000 IOPS, at most
500 a GiB, 125 to 1,000 MiB/s, at most 0.25 MiB/s an IOPS; gp2 3 IOPS a GiB, 100 to 16,000). Of the
merging of mappings: EC2 user guide, "Block device mappings", "Update the volumes in a block device
mapping" (a device that the launch names is changed, one that it does not comes from the image, one
named with an empty NoDevice does not come at all).
"""

from dataclasses import replace
from typing import Any

from simulator.world.errors import AwsError
from simulator.world.keys import aws_managed_key
from simulator.world.model import BlockDevice, DataVolume, Image, Instance, Volume
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, no_paging_with_ids, page, select, tag_list
from simulator.world.state import WorldState

_TYPES = ("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")


def block_devices(
    state: WorldState, image: Image, mappings: list[Params]
) -> tuple[BlockDevice, ...]:
    """The devices of a launch: the image's, overlaid by the request's by device name."""
    merged: dict[str, Params] = {
        image.root_device_name: {
            "SnapshotId": image.snapshot_id,
            "VolumeSize": image.root_size_gib,
            "VolumeType": "gp3",
            "DeleteOnTermination": True,
        },
        **{name: dict(ebs) for name, ebs in image.devices.items()},
    }
    for mapping in mappings:
        name = mapping.get("DeviceName", "")
        if not name:
            raise AwsError("MissingParameter", "The request must contain the parameter DeviceName")
        if "NoDevice" in mapping:
            if name == image.root_device_name:
                raise AwsError(
                    "InvalidBlockDeviceMapping",
                    "The root device cannot be left out of the mapping.",
                )
            merged.pop(name, None)
        elif "Ebs" in mapping:
            merged[name] = {**merged.get(name, {}), **mapping["Ebs"]}
    return tuple(_device(state, image, name, ebs) for name, ebs in merged.items())


def known_snapshots(state: WorldState) -> set[str]:
    """Ids of all snapshots, those of images included."""
    return state.snapshots.union(*(image.snapshot_ids() for image in state.images.values()))


@operation("ec2", "DescribeSnapshots")
def describe_snapshots(state: WorldState, params: Params) -> Reply:
    """API_DescribeSnapshots: an unknown id is InvalidSnapshot.NotFound."""
    no_paging_with_ids(params, "SnapshotIds")
    known = {each: {"SnapshotId": each} for each in sorted(known_snapshots(state))}
    chosen = select(known, params.get("SnapshotIds", []), "InvalidSnapshot.NotFound", "snapshot")
    rows = [
        {**row, "State": "completed", "Progress": "100%", "OwnerId": state.account_id}
        for row in chosen
    ]
    kept = filtered(rows, params, {"snapshot-id": "SnapshotId", "owner-id": "OwnerId"})
    shown, token = page(state, "DescribeSnapshots", kept, params)
    return {"Snapshots": shown, "NextToken": token}


def _device(state: WorldState, image: Image, name: str, ebs: Params) -> BlockDevice:
    snapshot_id = ebs.get("SnapshotId")
    if snapshot_id and snapshot_id not in known_snapshots(state):
        raise AwsError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    size = ebs.get("VolumeSize")
    if size is None:
        raise AwsError(
            "MissingParameter", f"The request must contain the parameter size or snapshotId: {name}"
        )
    if snapshot_id == image.snapshot_id and size < image.root_size_gib:
        raise AwsError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size>= "
            f"{image.root_size_gib}GB",
        )
    kind = ebs.get("VolumeType", "gp2")
    if kind not in _TYPES:
        raise AwsError("InvalidParameterValue", f"Invalid volume type: '{kind}'")
    key = ebs.get("KmsKeyId")
    if key and not ebs.get("Encrypted"):
        raise AwsError(
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
        )
    iops, throughput = _performance(kind, size, ebs)
    return BlockDevice(
        device_name=name,
        size_gib=size,
        volume_type=kind,
        iops=iops,
        throughput_mib_per_s=throughput,
        encrypted=bool(ebs.get("Encrypted", False)),
        kms_key_id=key,
        snapshot_id=snapshot_id,
        delete_on_termination=bool(ebs.get("DeleteOnTermination", True)),
    )


def _performance(kind: str, size_gib: int, ebs: Params) -> tuple[int | None, int | None]:
    iops, throughput = ebs.get("Iops"), ebs.get("Throughput")
    if throughput is not None and kind != "gp3":
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameter Throughput is not supported for {kind} volumes",
        )
    if kind == "gp3":
        iops, throughput = iops or 3000, throughput or 125
        if not 3000 <= iops <= 16000 or iops > max(3000, 500 * size_gib):
            raise AwsError("InvalidParameterValue", f"Volume iops of {iops} is out of range")
        if not 125 <= throughput <= 1000 or throughput > 0.25 * iops:
            raise AwsError(
                "InvalidParameterValue", f"Volume throughput of {throughput} is out of range"
            )
        return iops, throughput
    if kind in ("io1", "io2"):
        if iops is None:
            raise AwsError("MissingParameter", "The request must contain the parameter iops")
        return iops, None
    if iops is not None and kind != "gp2":
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameter iops is not supported for {kind} volumes.",
        )
    return (min(16000, max(100, 3 * size_gib)), None) if kind == "gp2" else (None, None)


def attach_new_volume(state: WorldState, instance: Instance, device: BlockDevice) -> Volume:
    """Create a volume of a launch and attach it."""
    volume = Volume(
        volume_id=state.new_id("vol"),
        device=device,
        availability_zone=instance.availability_zone,
        create_time=instance.launch_time,
        instance_id=instance.instance_id,
    )
    state.volumes[volume.volume_id] = volume
    instance.volume_ids.append(volume.volume_id)
    return volume


def volume_at(state: WorldState, instance: Instance, device_name: str) -> Volume:
    """The volume at a device of an instance; ValueError if there is none."""
    for volume_id in instance.volume_ids:
        if state.volumes[volume_id].device.device_name == device_name:
            return state.volumes[volume_id]
    names = [state.volumes[each].device.device_name for each in instance.volume_ids]
    raise ValueError(f"device_name: {device_name!r} must be one of {names}")


def changed_device(device: BlockDevice, changes: Params) -> BlockDevice:
    """A device after ModifyVolume with these parameters (API_ModifyVolume: the size only grows; IOPS
    and throughput that are not named stay with the type and are the new type's own otherwise)."""
    size = changes.get("Size", device.size_gib)
    if size < device.size_gib:
        raise ValueError(f"Size: {size} GiB is less than the {device.size_gib} that it has")
    kind = changes.get("VolumeType", device.volume_type)
    kept: Params = {}
    if kind == device.volume_type and kind == "gp3":
        kept = {"Iops": device.iops, "Throughput": device.throughput_mib_per_s}
    elif kind == device.volume_type and kind in ("io1", "io2"):
        kept = {"Iops": device.iops}
    iops, throughput = _performance(kind, size, {**kept, **changes})
    return replace(
        device, size_gib=size, volume_type=kind, iops=iops, throughput_mib_per_s=throughput
    )


def release_volume(state: WorldState, volume: Volume) -> None:
    """Delete a volume whose instance is gone, or make it available."""
    volume.instance_id = None
    if volume.device.delete_on_termination:
        del state.volumes[volume.volume_id]
        state.tags.pop(volume.volume_id, None)


def ebs_parameters(device: BlockDevice) -> Params:
    """A device as RequestLaunchTemplateData spells it; performance only if it can be chosen."""
    gp3 = device.volume_type == "gp3"
    chosen_iops = device.iops if gp3 or device.volume_type in ("io1", "io2") else None
    values: dict[str, Any] = {
        "Encrypted": device.encrypted,
        "DeleteOnTermination": device.delete_on_termination,
        "Iops": chosen_iops,
        "KmsKeyId": device.kms_key_id,
        "SnapshotId": device.snapshot_id,
        "VolumeSize": device.size_gib,
        "VolumeType": device.volume_type,
        "Throughput": device.throughput_mib_per_s,
    }
    return {name: value for name, value in values.items() if value is not None}


@operation("ec2", "DescribeVolumes")
def describe_volumes(state: WorldState, params: Params) -> Reply:
    """API_DescribeVolumes."""
    no_paging_with_ids(params, "VolumeIds")
    chosen = select(state.volumes, params.get("VolumeIds", []), "InvalidVolume.NotFound", "volume")
    paths = {
        "volume-id": "VolumeId",
        "status": "State",
        "volume-type": "VolumeType",
        "size": "Size",
        "encrypted": "Encrypted",
        "snapshot-id": "SnapshotId",
        "availability-zone": "AvailabilityZone",
        "create-time": "CreateTime",
        "attachment.instance-id": "Attachments.InstanceId",
        "attachment.device": "Attachments.Device",
        "attachment.status": "Attachments.State",
        "attachment.delete-on-termination": "Attachments.DeleteOnTermination",
    }
    rows = filtered([_row(state, volume) for volume in chosen], params, paths)
    shown, token = page(state, "DescribeVolumes", rows, params)
    return {"Volumes": shown, "NextToken": token}


def _row(state: WorldState, volume: Volume) -> Row:
    device = volume.device
    attachments = [
        {
            "AttachTime": volume.create_time,
            "Device": device.device_name,
            "InstanceId": volume.instance_id,
            "State": "attached",
            "VolumeId": volume.volume_id,
            "DeleteOnTermination": device.delete_on_termination,
        }
    ]
    key = device.kms_key_id
    if device.encrypted and key is None:
        key = aws_managed_key(state)
    return {
        "VolumeId": volume.volume_id,
        "AvailabilityZone": volume.availability_zone,
        "CreateTime": volume.create_time,
        "Encrypted": device.encrypted,
        "KmsKeyId": key,
        "Size": device.size_gib,
        "SnapshotId": device.snapshot_id or "",
        "State": "in-use" if volume.instance_id else "available",
        "Iops": device.iops,
        "VolumeType": device.volume_type,
        "Throughput": device.throughput_mib_per_s,
        "MultiAttachEnabled": False,
        "Attachments": attachments if volume.instance_id else [],
        "Tags": tag_list(state, volume.volume_id),
    }


def mapping_of(volume: DataVolume) -> dict[str, Any]:
    """The block device mapping of a volume, as RunInstances takes it."""
    ebs = {
        "VolumeSize": volume.size_gib,
        "VolumeType": volume.volume_type,
        "Iops": volume.iops,
        "Throughput": volume.throughput_mib_per_s,
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.kms_key_id,
        "DeleteOnTermination": volume.delete_on_termination,
    }
    kept = {name: value for name, value in ebs.items() if value is not None}
    return {"DeviceName": volume.device_name, "Ebs": kept}
