"""The data of a workload's launch template: everything that a replacement gets from its original.

One template serves every type, zone and lifecycle, so it has nothing that one of them refuses:

- *market options and spot-request tags*: an on-demand launch from it would fail;
- *credit mode*: every type except T types refuses it, even from a template
  (``InstanceCreditSpecification.NotSupported``, terraform-provider-aws issues 5067 and 5081);
- *shutdown behavior*: spot refuses ``stop``; *capacity reservation preference*: spot has none.

``launch_traits`` keeps those, and ``launch_request`` adds them where they are accepted. Nor does it
have what is specific to one instance: ids, addresses, subnet, zone, type.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from spot_optimizer.switching.instance_identity import InstanceIdentity, identity_of
from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    WORKLOAD_TAG,
    Record,
    digest,
    has_public_address,
    primary_interface,
    tags_of,
    user_data_hash,
    user_tags,
)
from spot_optimizer.switching.launch_resources import (
    NONE,
    LaunchResources,
    accepts_blank_volumes,
)
from spot_optimizer.switching.option_parts import (
    OF_LAUNCH_TEMPLATE_DATA,
    set_parts,
    unknown_parts,
)

TAGS_MAX = 50
"""Tags that a resource may have (EC2 User Guide, "Tag restrictions"); ``aws:`` tags do not count."""

_READ_ELSEWHERE = frozenset(
    {
        # Read from DescribeInstances and DescribeVolumes, which show the current values.
        "BlockDeviceMappings",
        "EbsOptimized",
        "EnclaveOptions",
        "IamInstanceProfile",
        "ImageId",
        "KeyName",
        "LicenseSpecifications",
        "MaintenanceOptions",
        "MetadataOptions",
        "Monitoring",
        "NetworkInterfaces",
        "PrivateDnsNameOptions",
        "SecurityGroupIds",
        "SecurityGroups",
        "TagSpecifications",
    }
)
_NOT_COPIED = frozenset(
    {
        # Specific to an instance, type or lifecycle (see above); adoption has checked the rest.
        "CapacityReservationSpecification",
        "CpuOptions",
        "CreditSpecification",
        "DisableApiTermination",
        "InstanceInitiatedShutdownBehavior",
        "InstanceMarketOptions",
        "InstanceRequirements",
        "InstanceType",
        "Placement",
    }
)
_COPIED = frozenset({"UserData"})
_DECISIVE_PART = {"Operator": "Managed"}
"""Structures of which only one part matters: whether a service manages the instance, not which one or
whether it is hidden in lists."""


class CannotReproduce(ValueError):
    """The instance has something that a replacement cannot be given; the text says what."""


def template_data(
    source: Record,
    instance: Record,
    volumes: Iterable[Record],
    *,
    stack: str,
    workload_id: str,
    interface_tags: Mapping[str, str],
    image_devices: AbstractSet[str] = frozenset(),
    gone: LaunchResources = NONE,
) -> dict[str, Any]:
    """The ``LaunchTemplateData`` of CreateLaunchTemplate for replacements of this instance.

    ``source`` is GetLaunchTemplateData's ``LaunchTemplateData`` (the only response with user data,
    which goes from there into the template and nowhere else), ``volumes`` are DescribeVolumes rows,
    ``interface_tags`` the tags of the primary interface, which DescribeInstances does not show, and
    ``image_devices`` the device names of the image's EBS volumes. A launch would be refused with what is
    ``gone``: a key pair, an instance profile and, if the user accepts a blank volume, a snapshot are
    left out. Raises CannotReproduce for anything else that would be lost.
    """
    _refuse_unsupported_options(source)
    identity = identity_of(instance)
    ours = {MANAGED_TAG: stack, WORKLOAD_TAG: workload_id}
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    mappings = instance.get("BlockDeviceMappings") or ()
    without = gone.snapshots if accepts_blank_volumes(instance) else frozenset[str]()
    data: dict[str, Any] = {
        "ImageId": instance["ImageId"],
        "Monitoring": _monitoring(instance, identity),
        "BlockDeviceMappings": [
            *(_device(mapping, instance, by_id, without) for mapping in mappings),
            *_suppressed(instance, image_devices),
        ],
        "NetworkInterfaces": [_interface(instance, identity)],
        "TagSpecifications": [
            _tag_specification("instance", identity.tags, ours),
            _tag_specification("volume", _volume_tags(mappings, by_id), ours),
            _tag_specification("network-interface", interface_tags, ours),
        ],
    }
    optional = {
        "KeyName": identity.key_name if identity.key_name not in gone.key_pairs else None,
        "UserData": source.get("UserData"),
        "MetadataOptions": identity.metadata_options,
        "PrivateDnsNameOptions": identity.private_dns_name_options,
        "EbsOptimized": identity.ebs_optimized,
        **_options(identity, gone),
    }
    data.update({name: value for name, value in optional.items() if value})
    return data


def _refuse_unsupported_options(source: Record) -> None:
    """Refuse an option that is set and would be lost, also one that EC2 adds in the future. Responses
    also name options that are not used."""
    for name, value in source.items():
        if name in _READ_ELSEWHERE or name in _NOT_COPIED or name in _COPIED:
            continue
        if name in _DECISIVE_PART and isinstance(value, Mapping):
            value = {_DECISIVE_PART[name]: value.get(_DECISIVE_PART[name])}
        _refuse_first(set_parts(name, value))
    _refuse_first(unknown_parts(source, OF_LAUNCH_TEMPLATE_DATA))


def _refuse_first(names: Iterator[str]) -> None:
    found = next(names, None)
    if found is not None:
        raise CannotReproduce(f"{found} is set, which a replacement cannot be given")


def _monitoring(instance: Record, identity: InstanceIdentity) -> dict[str, Any]:
    """Metric categories need detailed monitoring (EC2 API reference, RunInstancesMonitoringEnabled)."""
    categories = (instance.get("Monitoring") or {}).get("MetricCategoryIds")
    if not identity.detailed_monitoring or not categories:
        return {"Enabled": identity.detailed_monitoring}
    return {"Enabled": True, "MetricCategoryIds": list(categories)}


def _options(identity: InstanceIdentity, gone: LaunchResources) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if identity.instance_profile_arn and (
        identity.instance_profile_arn not in gone.instance_profiles
    ):
        options["IamInstanceProfile"] = {"Arn": identity.instance_profile_arn}
    if identity.tenancy != "default":
        options["Placement"] = {"Tenancy": identity.tenancy}
    if identity.enclave:
        options["EnclaveOptions"] = {"Enabled": True}
    if identity.automatic_recovery != "default":
        options["MaintenanceOptions"] = {"AutoRecovery": identity.automatic_recovery}
    if identity.license_arns:
        options["LicenseSpecifications"] = [
            {"LicenseConfigurationArn": arn} for arn in identity.license_arns
        ]
    return options


def _device(
    mapping: Record,
    instance: Record,
    volumes: Mapping[str, Record],
    without_snapshots: AbstractSet[str],
) -> dict[str, Any]:
    """One block device mapping.

    The root volume gets no SnapshotId: its content comes from the image's mapping of that device,
    which the launch overrides field by field, and EC2 refuses a different snapshot for it. Every other
    volume gets the snapshot that it was made from, or it would be blank: so are those of
    ``without_snapshots``. Encryption is only named if
    it is on (an unencrypted snapshot can be encrypted, never the reverse), IOPS and throughput only
    for volume types that take them (EC2 API reference, EbsBlockDevice).
    """
    device, attached = mapping["DeviceName"], mapping["Ebs"]
    volume = volumes.get(attached["VolumeId"])
    if volume is None:
        raise CannotReproduce(f"volume {attached['VolumeId']} of {device} was not found")
    if volume.get("MultiAttachEnabled"):
        raise CannotReproduce(f"volume {attached['VolumeId']} of {device} is shared (multi-attach)")
    ebs: dict[str, Any] = {
        "DeleteOnTermination": attached["DeleteOnTermination"],
        "VolumeSize": volume["Size"],
        "VolumeType": volume["VolumeType"],
    }
    if volume["VolumeType"] in ("gp3", "io1", "io2") and volume.get("Iops"):
        ebs["Iops"] = volume["Iops"]
    if volume["VolumeType"] == "gp3" and volume.get("Throughput"):
        ebs["Throughput"] = volume["Throughput"]
    if volume.get("Encrypted"):
        ebs["Encrypted"] = True
        if volume.get("KmsKeyId"):
            ebs["KmsKeyId"] = volume["KmsKeyId"]
    snapshot = volume.get("SnapshotId")
    if snapshot and device != instance.get("RootDeviceName") and snapshot not in without_snapshots:
        ebs["SnapshotId"] = snapshot
    rate = volume.get("VolumeInitializationRate")
    if rate and (device == instance.get("RootDeviceName") or "SnapshotId" in ebs):
        ebs["VolumeInitializationRate"] = rate
    return {"DeviceName": device, "Ebs": ebs}


def _suppressed(instance: Record, image_devices: AbstractSet[str]) -> list[dict[str, Any]]:
    """Volumes of the image that the instance does not have any more.

    A launch adds the image's mappings to its own; an empty ``NoDevice`` suppresses one (EC2 User
    Guide, "Block device mappings"; API reference, LaunchTemplateBlockDeviceMapping).
    """
    held = {mapping["DeviceName"] for mapping in instance.get("BlockDeviceMappings") or ()}
    gone = image_devices - held - {instance.get("RootDeviceName")}
    return [{"DeviceName": device, "NoDevice": ""} for device in sorted(gone)]


def _interface(instance: Record, identity: InstanceIdentity) -> dict[str, Any]:
    """The primary network interface, always explicit: only here can a launch request or decline a
    public address instead of taking the subnet's default.

    An instance with an elastic address also gets a public address, without which it could not reach
    the internet while it boots. EC2 releases it when the elastic address is associated.
    """
    interface = primary_interface(instance)
    spec: dict[str, Any] = {
        "DeviceIndex": 0,
        "Groups": list(identity.security_group_ids),
        "AssociatePublicIpAddress": has_public_address(instance),
        "DeleteOnTermination": True,
    }
    if interface.get("Description"):
        spec["Description"] = interface["Description"]
    addresses: Sequence[Record] = interface.get("Ipv6Addresses") or ()
    if addresses:
        spec["Ipv6AddressCount"] = len(addresses)
    if any(address.get("IsPrimaryIpv6") for address in addresses):
        spec["PrimaryIpv6"] = True
    if identity.connection_tracking:
        spec["ConnectionTrackingSpecification"] = dict(identity.connection_tracking)
    return spec


def _volume_tags(mappings: Iterable[Record], volumes: Mapping[str, Record]) -> dict[str, str]:
    """The tags of all volumes: a launch tags all volumes alike."""
    tags = [user_tags(tags_of(volumes[each["Ebs"]["VolumeId"]])) for each in mappings]
    if any(other != tags[0] for other in tags[1:]):
        raise CannotReproduce(
            "give its volumes the same tags: they have different tags, which a launch cannot set"
        )
    return tags[0] if tags else {}


def _tag_specification(
    resource: str, tags: Mapping[str, str], ours: Mapping[str, str]
) -> dict[str, Any]:
    whole = user_tags(tags) | dict(ours)
    if len(whole) + 1 > TAGS_MAX:  # the launch adds the switch tag
        raise CannotReproduce(
            f"remove tags: the {resource} would have {len(whole) + 1} tags with ours, {TAGS_MAX} are"
            " allowed"
        )
    return {
        "ResourceType": resource,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(whole.items())],
    }


def data_hash(data: Mapping[str, Any]) -> str:
    """16 hex digits over a template's data, to see whether a new version is needed. User data enters
    as its hash."""
    return digest({**data, "UserData": user_data_hash(data.get("UserData"))})
