"""Proof that a replacement is the machine that it replaces (spec section 5).

Compared before the hand-over; whatever differs without an explanation undoes the switch. User data
is only ever compared by its hash.

Tags are the exception to "the same": tools write their own on everything that is launched, within
seconds. A replacement must bear every tag of the original. More is no loss, and neither is another
value where the template asked for the original's: somebody changed it after the launch.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spot_optimizer.switching.instance_record import (
    Record,
    digest,
    is_burstable,
    kept_facts,
    lifecycle_of,
    tags_of,
    user_tags,
)
from spot_optimizer.vocabulary import Lifecycle


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """All that is compared of one machine."""

    instance_id: str
    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    facts: Mapping[str, Any]
    """Name -> value, of the machine itself (``machine.kept_facts``, VPC, hash of the user data)."""
    tags: Mapping[str, str]
    devices: Mapping[str, Mapping[str, Any]]
    """Device name -> volume property -> value, ``tags`` among them; a device that is still coming up
    is left out."""
    ebs_optimized: bool
    cpu_credits: str | None = None
    """None for a type without credits, or where it was not read."""
    shutdown_behavior: str | None = None
    termination_protection: bool | None = None
    pending: tuple[str, ...] = field(default=())
    """What cannot be compared yet, because EC2 is still doing it: look again later."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the switch set out to launch."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    cpu_credits: str | None = None
    """The credit mode that the workload keeps through types without credits (``LaunchTraits``)."""
    original_as_read: bool = False
    """The original is still what was read into its template: what that asks for is what it has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact in which the replacement is not what it should be; values as text for people."""

    field: str
    original: str
    replacement: str
    explanation: str = ""
    """Why it is no loss; empty where it undoes the switch."""

    def __str__(self) -> str:
        became = f"{self.field}: {self.original} became {self.replacement}"
        return f"{became} ({self.explanation})" if self.explanation else became


def instance_facts(
    instance: Record,
    volumes: Iterable[Record],
    *,
    user_data_hash: str,
    cpu_credits: str | None = None,
    shutdown_behavior: str | None = None,
    termination_protection: bool | None = None,
) -> InstanceFacts:
    """The facts of one machine, from DescribeInstances, DescribeVolumes, and what one
    GetLaunchTemplateData shows besides: user data (its hash), shutdown behaviour, protection.

    A volume that is not attached yet, or that EC2 does not find yet, and metadata options that are
    not yet applied make the machine ``pending``.
    """
    facts = kept_facts(instance)
    tags: dict[str, str] = facts.pop("tags")
    facts |= {"VPC": instance.get("VpcId"), "user data": user_data_hash}
    by_id = {volume["VolumeId"]: volume for volume in volumes}
    devices: dict[str, Mapping[str, Any]] = {}
    pending = []
    for mapping in instance.get("BlockDeviceMappings") or ():
        attached = mapping.get("Ebs") or {}
        volume = by_id.get(attached.get("VolumeId", ""))
        if volume is None or attached.get("Status") != "attached":
            pending.append(f"device {mapping['DeviceName']}")
        else:
            devices[mapping["DeviceName"]] = _device(attached, volume)
    if (instance.get("MetadataOptions") or {}).get("State") == "pending":
        pending.append("metadata options")
    burstable = is_burstable(instance["InstanceType"])
    return InstanceFacts(
        instance_id=instance["InstanceId"],
        instance_type=instance["InstanceType"],
        availability_zone=instance["Placement"]["AvailabilityZone"],
        lifecycle=lifecycle_of(instance),
        facts=facts,
        tags=tags,
        devices=devices,
        ebs_optimized=bool(instance.get("EbsOptimized")),
        cpu_credits=cpu_credits if burstable else None,
        shutdown_behavior=shutdown_behavior,
        termination_protection=termination_protection,
        pending=tuple(pending),
    )


def _device(attached: Record, volume: Record) -> dict[str, Any]:
    return {
        "size": f"{volume['Size']} GiB",
        "type": volume["VolumeType"],
        "IOPS": volume.get("Iops"),
        "throughput": volume.get("Throughput"),
        "encrypted": bool(volume.get("Encrypted")),
        "KMS key": volume.get("KmsKeyId"),
        "deleted on termination": attached.get("DeleteOnTermination"),
        "tags": user_tags(tags_of(volume)),
    }


def details_digest(facts: InstanceFacts) -> str:
    """16 hex digits over what DescribeInstances does not show of a machine, but other calls show of
    many at once: its volumes and its credit mode."""
    return digest([facts.devices, facts.cpu_credits])


def identity_digest(facts: InstanceFacts) -> str:
    """16 hex digits over all that is compared and not of one type or place: another one means that
    the machine was changed. User data enters it as its hash."""
    return digest([facts.facts, facts.tags, facts.devices, facts.ebs_optimized, facts.cpu_credits])


def differences(
    original: InstanceFacts, replacement: InstanceFacts, expected: Expected
) -> list[Difference]:
    """What differs, in a fixed order; the replacement is faithful when all has an explanation.

    Not even told are: a type that is always EBS-optimised; a volume that the account now encrypts by
    default; the shutdown behaviour of spot, which can only be ``terminate``. Only meaningful once
    ``pending`` of both machines is empty.
    """
    pairs: list[tuple[str, Any, Any]] = [
        ("instance type", expected.instance_type, replacement.instance_type),
        ("availability zone", expected.availability_zone, replacement.availability_zone),
        ("lifecycle", expected.lifecycle.value, replacement.lifecycle.value),
        *_pairs("", original.facts, replacement.facts),
        *_device_pairs(original.devices, replacement.devices),
        *_trait_pairs(original, replacement, expected),
    ]
    as_read = expected.original_as_read
    return [
        *(Difference(name, str(was), str(now)) for name, was, now in pairs if was != now),
        *_tag_differences("tag", original.tags, replacement.tags, as_read),
        *_device_tag_differences(original.devices, replacement.devices, as_read),
    ]


def _tag_differences(
    name: str, was: Mapping[str, str], now: Mapping[str, str], as_read: bool
) -> Iterator[Difference]:
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        explanation = ""
        if old is None:
            explanation = "more than the original bears"
        elif new is not None and as_read:
            explanation = "changed after the launch"
        yield Difference(f"{name} {key}", str(old), str(new), explanation)


def _device_tag_differences(
    was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]], as_read: bool
) -> Iterator[Difference]:
    for device in sorted(was.keys() & now.keys()):
        tags = was[device]["tags"], now[device]["tags"]
        yield from _tag_differences(f"device {device} tag", *tags, as_read)


def _pairs(
    prefix: str, was: Mapping[str, Any], now: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    return [(prefix + name, was.get(name), now.get(name)) for name in sorted({*was, *now})]


def _device_pairs(
    was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = []
    for device in sorted({*was, *now}):
        if device not in was or device not in now:
            pairs.append((f"device {device}", _there(device in was), _there(device in now)))
            continue
        for name, old, new in _pairs("", was[device], now[device]):
            if name == "tags":
                continue
            newly_encrypted = now[device]["encrypted"] and not was[device]["encrypted"]
            if not (newly_encrypted and name in ("encrypted", "KMS key")):
                pairs.append((f"device {device} {name}", old, new))
    return pairs


def _there(present: bool) -> str:
    return "present" if present else "missing"


def _trait_pairs(
    original: InstanceFacts, replacement: InstanceFacts, expected: Expected
) -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = []
    if original.ebs_optimized:
        pairs.append(("EBS optimisation", True, replacement.ebs_optimized))
    credits = expected.cpu_credits or original.cpu_credits
    if is_burstable(replacement.instance_type) and credits:
        pairs.append(("CPU credits", credits, replacement.cpu_credits))
    both_on_demand = (
        original.lifecycle is Lifecycle.ON_DEMAND and replacement.lifecycle is Lifecycle.ON_DEMAND
    )
    if both_on_demand and original.shutdown_behavior and replacement.shutdown_behavior:
        pairs.append(
            ("shutdown behaviour", original.shutdown_behavior, replacement.shutdown_behavior)
        )
    protections = (original.termination_protection, replacement.termination_protection)
    if both_on_demand and None not in protections:
        pairs.append(("termination protection", *protections))
    return pairs
