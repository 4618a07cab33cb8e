"""How to read an instance as boto3 returns it: tags, lifecycle, addresses, options."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from spot_optimizer.vocabulary import TAG_PREFIX, Lifecycle

Record = Mapping[str, Any]
"""A structure as boto3 returns it."""

MANAGED_TAG = TAG_PREFIX + "managed"
WORKLOAD_TAG = TAG_PREFIX + "workload"
SWITCH_TAG = TAG_PREFIX + "switch"
FLEET_TAG = "aws:ec2:fleet-id"
"""The tag that CreateFleet puts on its instances."""
OUR_TAGS = frozenset({MANAGED_TAG, WORKLOAD_TAG, SWITCH_TAG})
"""The tags that we write; all others under our prefix are the user's configuration."""

# What a launch takes under these names (EC2 API reference, RequestLaunchTemplateData). A response may
# have more fields, now or in the future, which the SDK would not send.
METADATA_OPTIONS = (
    "HttpEndpoint",
    "HttpTokens",
    "HttpPutResponseHopLimit",
    "HttpProtocolIpv6",
    "InstanceMetadataTags",
)
PRIVATE_DNS_NAME_OPTIONS = (
    "HostnameType",
    "EnableResourceNameDnsARecord",
    "EnableResourceNameDnsAAAARecord",
)
CONNECTION_TRACKING = ("TcpEstablishedTimeout", "UdpStreamTimeout", "UdpTimeout")


_DIGEST_DIGITS = 16


def digest(value: object) -> str:
    """16 hex digits over a structure of plain values; the order of its keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def tags_of(record: Record) -> dict[str, str]:
    """All tags of a resource."""
    return {tag["Key"]: tag["Value"] for tag in record.get("Tags") or ()}


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a replacement must have: neither AWS's (``aws:``, not copyable) nor ours."""
    return {k: v for k, v in tags.items() if not k.startswith("aws:") and k not in OUR_TAGS}


def primary_interface(instance: Record) -> Record:
    """The network interface with device index 0; empty if the instance has none (any more)."""
    for interface in instance.get("NetworkInterfaces") or ():
        if interface.get("Attachment", {}).get("DeviceIndex") == 0:
            return dict(interface)
    return {}


def private_addresses(instance: Record) -> tuple[str, ...]:
    """The private IPv4 address, "" if there is none (any more), then the IPv6 addresses."""
    ipv6 = primary_interface(instance).get("Ipv6Addresses") or ()
    return instance.get("PrivateIpAddress", ""), *(each["Ipv6Address"] for each in ipv6)


def security_group_ids(instance: Record) -> list[str]:
    """The security groups of the primary interface, sorted."""
    groups = primary_interface(instance).get("Groups") or instance.get("SecurityGroups") or ()
    return sorted(group["GroupId"] for group in groups)


def has_public_address(instance: Record) -> bool:
    """Whether it has a public IPv4 address, its own or an elastic one."""
    association = primary_interface(instance).get("Association") or {}
    return bool(association.get("PublicIp") or instance.get("PublicIpAddress"))


def monitoring_enabled(instance: Record) -> bool:
    """Whether detailed monitoring is on or being turned on."""
    return (instance.get("Monitoring") or {}).get("State") in ("enabled", "pending")


def lifecycle_of(instance: Record) -> Lifecycle:
    """Spot or on-demand."""
    return Lifecycle.SPOT if instance.get("InstanceLifecycle") == "spot" else Lifecycle.ON_DEMAND


def is_burstable(instance_type: str) -> bool:
    """Whether a type has CPU credits: the T families."""
    return re.match(r"t\d", instance_type) is not None


def user_data_hash(user_data: str | None) -> str:
    """SHA-256 of user data in base64, as EC2 returns it; empty if there is none.

    The bytes are hashed, not the base64 text, whose line breaks may vary.
    """
    if not user_data:
        return ""
    try:
        content = base64.b64decode(user_data)
    except binascii.Error:
        content = user_data.encode()
    return sha256(content).hexdigest()


def _picked(record: Record | None, names: Iterable[str]) -> dict[str, Any]:
    return {name: record[name] for name in names if record and name in record}


def metadata_options(instance: Record) -> dict[str, Any]:
    """The metadata options as a launch takes them.

    If the endpoint is disabled, only that is returned: EC2 has refused launches with tokens, hops or
    tags beside ``HttpEndpoint = disabled`` (terraform-provider-aws, pull request 30107, and its
    ``aws_instance``, which sends them only with an enabled endpoint).
    """
    options = _picked(instance.get("MetadataOptions"), METADATA_OPTIONS)
    if options.get("HttpEndpoint") == "disabled":
        return {"HttpEndpoint": "disabled"}
    return options


def private_dns_name_options(instance: Record) -> dict[str, Any]:
    """The options of the instance's private DNS name as a launch takes them."""
    return _picked(instance.get("PrivateDnsNameOptions"), PRIVATE_DNS_NAME_OPTIONS)


def connection_tracking(instance: Record) -> dict[str, Any]:
    """The connection tracking timeouts of the primary interface as a launch takes them; empty if it
    has the type's defaults."""
    found = primary_interface(instance).get("ConnectionTrackingConfiguration")
    return _picked(found, CONNECTION_TRACKING)
