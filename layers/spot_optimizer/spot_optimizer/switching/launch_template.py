"""The launch template of a workload: the memory of its machine.

One template serves every type, zone and lifecycle, so it holds nothing that one of them refuses:

- *market options and spot-request tags*: an on-demand launch from it would fail;
- *credit mode*: any other than a T type refuses it, even from a template
  (``InstanceCreditSpecification.NotSupported``, terraform-provider-aws issues 5067 and 5081);
- *shutdown behaviour*: spot refuses ``stop``; *capacity reservation preference*: spot has none.

``launch_traits`` holds those, ``launch_request`` adds them where they are taken. Nor does it hold
what is of one instance: ids, addresses, subnet, zone, type.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    WORKLOAD_TAG,
    Record,
    connection_tracking,
    digest,
    has_public_address,
    kept_facts,
    metadata_options,
    monitoring_enabled,
    primary_interface,
    private_dns_name_options,
    security_group_ids,
    tags_of,
    user_data_hash,
    user_tags,
)

TAGS_MAX = 50
"""Tags a resource may bear (EC2 User Guide, "Tag restrictions"); ``aws:`` tags do not count."""

_READ_ELSEWHERE = frozenset(
    {
        # From DescribeInstances and DescribeVolumes, which show what holds now.
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
_LEFT_OUT = frozenset(
    {
        # Of one instance, one type or one lifecycle (see above); the adoption has judged the rest.
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
_TAKEN = frozenset({"UserData"})
_JUDGED_BY = {"Operator": "Managed"}
"""Structures of which one part tells all: whether anybody manages the machine, not whom its record
names or whether lists hide it."""
_SAYS_NOTHING = frozenset({"", "default", "disabled", "no-preference", "none", "off"})
"""Values by which EC2 spells out that an option is not used (API reference,
``ResponseLaunchTemplateData`` and the structures in it)."""


class CannotReproduce(ValueError):
    """The machine has something that a replacement could not be given; the text says what."""


def template_data(
    source: Record,
    instance: Record,
    volumes: Iterable[Record],
    *,
    stack: str,
    workload_id: str,
    interface_tags: Mapping[str, str],
    image_devices: AbstractSet[str] = frozenset(),
) -> dict[str, Any]:
    """What CreateLaunchTemplate(LaunchTemplateData=...) takes to remember the machine.

    ``source`` is GetLaunchTemplateData's ``LaunchTemplateData`` (the only reply with the user data,
    which goes from there into the template and nowhere else), ``volumes`` are DescribeVolumes rows,
    ``interface_tags`` those of the primary interface, which DescribeInstances does not show,
    ``image_devices`` the device names of its image's EBS volumes. Raises CannotReproduce for what
    would be lost.
    """
    _refuse_the_unknown(source)
    ours = {MANAGED_TAG: stack, WORKLOAD_TAG: workload_id}
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    mappings = instance.get("BlockDeviceMappings") or ()
    data: dict[str, Any] = {
        "ImageId": instance["ImageId"],
        "Monitoring": {"Enabled": monitoring_enabled(instance)},
        "BlockDeviceMappings": [
            *(_device(mapping, instance, by_id) for mapping in mappings),
            *_kept_away(instance, image_devices),
        ],
        "NetworkInterfaces": [_interface(instance)],
        "TagSpecifications": [
            _tag_specification("instance", tags_of(instance), ours),
            _tag_specification("volume", _volume_tags(mappings, by_id), ours),
            _tag_specification("network-interface", interface_tags, ours),
        ],
    }
    optional = {
        "KeyName": instance.get("KeyName"),
        "UserData": source.get("UserData"),
        "MetadataOptions": metadata_options(instance),
        "PrivateDnsNameOptions": private_dns_name_options(instance),
        "EbsOptimized": instance.get("EbsOptimized"),
        **_options(instance),
    }
    data.update({name: value for name, value in optional.items() if value})
    return data


def _refuse_the_unknown(source: Record) -> None:
    """Refuse what is set and would be lost; EC2 also names options that nobody has used, and adds
    names from year to year."""
    for name, value in source.items():
        if name in _READ_ELSEWHERE or name in _LEFT_OUT or name in _TAKEN:
            continue
        if name in _JUDGED_BY and isinstance(value, Mapping):
            value = {_JUDGED_BY[name]: value.get(_JUDGED_BY[name])}
        found = next(_set_parts(name, value), None)
        if found is not None:
            raise CannotReproduce(f"{found} is set, which a replacement could not be given")


def _set_parts(name: str, value: object) -> Iterator[str]:
    """Dotted names of what is set in a value: neither false, zero or empty, nor a word for unused."""
    if isinstance(value, Mapping):
        for part, inner in value.items():
            yield from _set_parts(f"{name}.{part}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _set_parts(name, inner)
    elif isinstance(value, str):
        if value.lower() not in _SAYS_NOTHING:
            yield name
    elif value:
        yield name


def _options(instance: Record) -> dict[str, Any]:
    facts = kept_facts(instance)
    options: dict[str, Any] = {}
    if facts["instance profile"]:
        options["IamInstanceProfile"] = {"Arn": facts["instance profile"]}
    if facts["tenancy"] != "default":
        options["Placement"] = {"Tenancy": facts["tenancy"]}
    if facts["enclave"]:
        options["EnclaveOptions"] = {"Enabled": True}
    if facts["automatic recovery"] != "default":
        options["MaintenanceOptions"] = {"AutoRecovery": facts["automatic recovery"]}
    if facts["licences"]:
        options["LicenseSpecifications"] = [
            {"LicenseConfigurationArn": arn} for arn in facts["licences"]
        ]
    return options


def _device(mapping: Record, instance: Record, volumes: Mapping[str, Record]) -> dict[str, Any]:
    """One block device mapping.

    The root keeps no SnapshotId: its content comes from the image's own mapping of that device,
    which the launch's mapping overrides field by field, and EC2 refuses another snapshot for it.
    Any other volume keeps the snapshot it was made from, or it would come up blank. Encryption is
    named only where it is on (an unencrypted snapshot may be encrypted, never the reverse); IOPS,
    throughput only for the types that take them (EC2 API reference, EbsBlockDevice).
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
    if volume.get("SnapshotId") and device != instance.get("RootDeviceName"):
        ebs["SnapshotId"] = volume["SnapshotId"]
    return {"DeviceName": device, "Ebs": ebs}


def _kept_away(instance: Record, image_devices: AbstractSet[str]) -> list[dict[str, Any]]:
    """The volumes of the image that the machine has no more.

    A launch adds the image's mappings to those that it names, by device; an empty ``NoDevice`` keeps
    one away (EC2 user guide, "Block device mappings"; API reference, LaunchTemplateBlockDeviceMapping).
    """
    held = {mapping["DeviceName"] for mapping in instance.get("BlockDeviceMappings") or ()}
    gone = image_devices - held - {instance.get("RootDeviceName")}
    return [{"DeviceName": device, "NoDevice": ""} for device in sorted(gone)]


def _interface(instance: Record) -> dict[str, Any]:
    """The primary interface, always spelt out: only here can a public address be asked for or
    declined, instead of what the subnet does by default.

    A machine with an elastic address gets a public one of its own until the hand-over: without it,
    it could not reach the internet while it boots. EC2 drops that one when the elastic one comes.
    """
    interface = primary_interface(instance)
    spec: dict[str, Any] = {
        "DeviceIndex": 0,
        "Groups": security_group_ids(instance),
        "AssociatePublicIpAddress": has_public_address(instance),
        "DeleteOnTermination": True,
    }
    addresses: Sequence[Record] = interface.get("Ipv6Addresses") or ()
    if addresses:
        spec["Ipv6AddressCount"] = len(addresses)
    if any(address.get("IsPrimaryIpv6") for address in addresses):
        spec["PrimaryIpv6"] = True
    if tracking := connection_tracking(instance):
        spec["ConnectionTrackingSpecification"] = tracking
    return spec


def _volume_tags(mappings: Iterable[Record], volumes: Mapping[str, Record]) -> dict[str, str]:
    """The tags of all volumes: a launch gives every volume the same."""
    tags = [user_tags(tags_of(volumes[each["Ebs"]["VolumeId"]])) for each in mappings]
    if any(other != tags[0] for other in tags[1:]):
        raise CannotReproduce("its volumes bear different tags, but a launch tags all alike")
    return tags[0] if tags else {}


def _tag_specification(
    resource: str, tags: Mapping[str, str], ours: Mapping[str, str]
) -> dict[str, Any]:
    whole = user_tags(tags) | dict(ours)
    if len(whole) + 1 > TAGS_MAX:  # the switch tag comes with the launch
        raise CannotReproduce(
            f"the {resource} would bear {len(whole) + 1} tags with ours, {TAGS_MAX} are allowed"
        )
    return {
        "ResourceType": resource,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(whole.items())],
    }


def fingerprint(instance: Record) -> str:
    """16 hex digits over what DescribeInstances shows of the machine.

    Changes when a user changes the machine, which then must be read again into its template; a
    faithful replacement has the same. User data, volumes and credit mode are not shown there: what is
    looked at for them stands in services/decide/template_renewal.py.
    """
    devices = {
        mapping["DeviceName"]: mapping.get("Ebs", {}).get("DeleteOnTermination")
        for mapping in instance.get("BlockDeviceMappings") or ()
    }
    return digest([kept_facts(instance), devices])


def data_hash(data: Mapping[str, Any]) -> str:
    """16 hex digits over a template's data: whether a new version is needed. User data enters it
    only as its hash."""
    return digest({**data, "UserData": user_data_hash(data.get("UserData"))})
