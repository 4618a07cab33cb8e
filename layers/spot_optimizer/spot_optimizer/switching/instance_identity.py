"""The identity of an instance: what its replacement must equal.

Not part of it: ids, type, zone, lifecycle and times, which a switch changes, and the instance's disks
and addresses (``instance_state``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spot_optimizer.switching.difference import Difference, tag_differences, value_differences
from spot_optimizer.switching.instance_record import (
    Record,
    connection_tracking,
    digest,
    is_burstable,
    lifecycle_of,
    metadata_options,
    monitoring_enabled,
    primary_interface,
    private_dns_name_options,
    security_group_ids,
    tags_of,
    user_tags,
)
from spot_optimizer.vocabulary import Lifecycle


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """What a replacement must equal. User data is only ever kept as its hash."""

    image_id: str | None
    key_name: str | None
    instance_profile_arn: str | None
    security_group_ids: tuple[str, ...]
    """Of the primary network interface, sorted."""
    metadata_options: Mapping[str, Any]
    detailed_monitoring: bool
    tenancy: str
    connection_tracking: Mapping[str, Any]
    source_dest_check: bool
    private_dns_name_options: Mapping[str, Any]
    enclave: bool
    license_arns: tuple[str, ...]
    automatic_recovery: str
    vpc_id: str | None
    tags: Mapping[str, str]
    """Without AWS's and ours."""
    ebs_optimized: bool
    user_data_hash: str
    """Empty if it was not read, or if there is none."""
    cpu_credits: str | None
    """None if it was not read, and for a type without CPU credits."""
    shutdown_behavior: str | None
    """None if it was not read, and for a spot instance, which can only terminate."""
    termination_protection: bool | None
    """None if it was not read, and for a spot instance, which cannot have it."""


LABELS: Mapping[str, str] = {
    "image_id": "image",
    "key_name": "key",
    "instance_profile_arn": "instance profile",
    "security_group_ids": "security groups",
    "metadata_options": "metadata options",
    "detailed_monitoring": "detailed monitoring",
    "tenancy": "tenancy",
    "connection_tracking": "connection tracking",
    "source_dest_check": "source/destination check",
    "private_dns_name_options": "private DNS name options",
    "enclave": "enclave",
    "license_arns": "licenses",
    "automatic_recovery": "automatic recovery",
    "vpc_id": "VPC",
    "user_data_hash": "user data",
}
"""Field that must always be equal -> its name for people."""


def identity_of(
    instance: Record,
    *,
    user_data_hash: str = "",
    cpu_credits: str | None = None,
    shutdown_behavior: str | None = None,
    termination_protection: bool | None = None,
) -> InstanceIdentity:
    """The identity of an instance as DescribeInstances returns it; the keywords come from other calls."""
    on_demand = lifecycle_of(instance) is Lifecycle.ON_DEMAND
    return InstanceIdentity(
        image_id=instance.get("ImageId"),
        key_name=instance.get("KeyName"),
        instance_profile_arn=(instance.get("IamInstanceProfile") or {}).get("Arn"),
        security_group_ids=tuple(security_group_ids(instance)),
        metadata_options=metadata_options(instance),
        detailed_monitoring=monitoring_enabled(instance),
        tenancy=(instance.get("Placement") or {}).get("Tenancy", "default"),
        connection_tracking=connection_tracking(instance),
        source_dest_check=primary_interface(instance).get(
            "SourceDestCheck", instance.get("SourceDestCheck", True)
        ),
        private_dns_name_options=private_dns_name_options(instance),
        enclave=bool((instance.get("EnclaveOptions") or {}).get("Enabled")),
        license_arns=tuple(
            sorted(each["LicenseConfigurationArn"] for each in instance.get("Licenses") or ())
        ),
        automatic_recovery=(instance.get("MaintenanceOptions") or {}).get(
            "AutoRecovery", "default"
        ),
        vpc_id=instance.get("VpcId"),
        tags=user_tags(tags_of(instance)),
        ebs_optimized=bool(instance.get("EbsOptimized")),
        user_data_hash=user_data_hash,
        cpu_credits=cpu_credits if is_burstable(instance["InstanceType"]) else None,
        shutdown_behavior=shutdown_behavior if on_demand else None,
        termination_protection=termination_protection if on_demand else None,
    )


def identity_digest(identity: InstanceIdentity) -> str:
    """16 hex digits; another value means that the instance was changed or is a different one."""
    return digest(asdict(identity))


def identity_differences(
    original: InstanceIdentity,
    replacement: InstanceIdentity,
    *,
    cpu_credits: str | None,
    original_as_read: bool,
) -> Iterator[Difference]:
    """What differs.

    ``cpu_credits`` is the mode that the replacement must have, None if its type has no CPU credits.
    ``original_as_read``: the original is unchanged since it was read into its launch template. Not a
    difference: a replacement that is EBS-optimized because its type always is.
    """
    pairs = [(LABELS[n], getattr(original, n), getattr(replacement, n)) for n in LABELS]
    if original.ebs_optimized:
        pairs.append(("EBS optimization", True, replacement.ebs_optimized))
    if cpu_credits:
        pairs.append(("CPU credits", cpu_credits, replacement.cpu_credits))
    for label, was, now in (
        ("shutdown behavior", original.shutdown_behavior, replacement.shutdown_behavior),
        (
            "termination protection",
            original.termination_protection,
            replacement.termination_protection,
        ),
    ):
        if was is not None and now is not None:
            pairs.append((label, was, now))
    yield from value_differences(pairs)
    yield from tag_differences(
        "tag", original.tags, replacement.tags, original_as_read=original_as_read
    )
