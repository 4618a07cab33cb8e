"""What a machine is: the facts of an instance that must outlive its replacement.

Works on the dicts that boto3 answers (``Record``). ``kept_facts`` is the one list of what
DescribeInstances shows and a faithful replacement shares; ids, type, zone, addresses, times, and
what depends on the type or the lifecycle are not in it.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from spot_optimizer.vocabulary import TAG_PREFIX, Lifecycle

Record = Mapping[str, Any]
"""A structure as boto3 answers it."""

MANAGED_TAG = TAG_PREFIX + "managed"
WORKLOAD_TAG = TAG_PREFIX + "workload"
SWITCH_TAG = TAG_PREFIX + "switch"
FLEET_TAG = "aws:ec2:fleet-id"
"""What CreateFleet leaves on its instances."""
OUR_TAGS = frozenset({MANAGED_TAG, WORKLOAD_TAG, SWITCH_TAG})
"""The tags that we write; all others under our prefix are the user's configuration."""

# What launches take by these names (EC2 API reference, RequestLaunchTemplateData). Answers may hold
# more, today or one day, and the SDK would not send it.
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
    """16 hex digits over a structure of plain values, whatever the order of its names."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def tags_of(record: Record) -> dict[str, str]:
    """All tags of a resource."""
    return {tag["Key"]: tag["Value"] for tag in record.get("Tags") or ()}


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a replacement must bear: neither AWS's (``aws:``, not copyable) nor ours."""
    return {k: v for k, v in tags.items() if not k.startswith("aws:") and k not in OUR_TAGS}


def primary_interface(instance: Record) -> Record:
    """The network interface with device index 0; empty if the instance shows none (any longer)."""
    for interface in instance.get("NetworkInterfaces") or ():
        if interface.get("Attachment", {}).get("DeviceIndex") == 0:
            return dict(interface)
    return {}


def private_addresses(instance: Record) -> tuple[str, ...]:
    """The private IPv4 address, "" for none (any longer), then the IPv6 addresses."""
    ipv6 = primary_interface(instance).get("Ipv6Addresses") or ()
    return instance.get("PrivateIpAddress", ""), *(each["Ipv6Address"] for each in ipv6)


def security_group_ids(instance: Record) -> list[str]:
    """The security groups of the primary interface, sorted."""
    groups = primary_interface(instance).get("Groups") or instance.get("SecurityGroups") or ()
    return sorted(group["GroupId"] for group in groups)


def has_public_address(instance: Record) -> bool:
    """Whether it is reachable by a public IPv4 address, its own or an elastic one."""
    association = primary_interface(instance).get("Association") or {}
    return bool(association.get("PublicIp") or instance.get("PublicIpAddress"))


def monitoring_enabled(instance: Record) -> bool:
    """Whether detailed monitoring is on, or about to be."""
    return (instance.get("Monitoring") or {}).get("State") in ("enabled", "pending")


def lifecycle_of(instance: Record) -> Lifecycle:
    """Spot or on-demand, as DescribeInstances tells it."""
    return Lifecycle.SPOT if instance.get("InstanceLifecycle") == "spot" else Lifecycle.ON_DEMAND


def is_burstable(instance_type: str) -> bool:
    """Whether a type lives on CPU credits: the T families."""
    return re.match(r"t\d", instance_type) is not None


def user_data_hash(user_data: str | None) -> str:
    """SHA-256 of user data given in base64, as EC2 answers it; empty where there is none.

    The bytes are hashed, not the base64 text, which may be wrapped into lines in several ways.
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

    Of an endpoint that is off nothing else is named: tokens, hops and tags say how it answers, and
    launches beside ``HttpEndpoint = disabled`` have been refused (terraform-provider-aws, pull
    request 30107, and its ``aws_instance``, which sends them to an enabled one only).
    """
    options = _picked(instance.get("MetadataOptions"), METADATA_OPTIONS)
    if options.get("HttpEndpoint") == "disabled":
        return {"HttpEndpoint": "disabled"}
    return options


def private_dns_name_options(instance: Record) -> dict[str, Any]:
    """The options of the instance's private DNS name as a launch takes them."""
    return _picked(instance.get("PrivateDnsNameOptions"), PRIVATE_DNS_NAME_OPTIONS)


def connection_tracking(instance: Record) -> dict[str, Any]:
    """The time-outs of the primary interface's connection tracking as a launch takes them; empty
    where the type's own hold."""
    found = primary_interface(instance).get("ConnectionTrackingConfiguration")
    return _picked(found, CONNECTION_TRACKING)


def kept_facts(instance: Record) -> dict[str, Any]:
    """What a faithful replacement shows alike in DescribeInstances, by names for people."""
    interface = primary_interface(instance)
    return {
        "image": instance.get("ImageId"),
        "key": instance.get("KeyName"),
        "instance profile": (instance.get("IamInstanceProfile") or {}).get("Arn"),
        "security groups": security_group_ids(instance),
        "metadata options": metadata_options(instance),
        "detailed monitoring": monitoring_enabled(instance),
        "tenancy": (instance.get("Placement") or {}).get("Tenancy", "default"),
        "public address": has_public_address(instance),
        "IPv6 addresses": len(interface.get("Ipv6Addresses") or ()),
        "connection tracking": connection_tracking(instance),
        "source/destination check": interface.get(
            "SourceDestCheck", instance.get("SourceDestCheck", True)
        ),
        "private DNS name options": private_dns_name_options(instance),
        "enclave": bool((instance.get("EnclaveOptions") or {}).get("Enabled")),
        "licences": sorted(x["LicenseConfigurationArn"] for x in instance.get("Licenses") or ()),
        "automatic recovery": (instance.get("MaintenanceOptions") or {}).get(
            "AutoRecovery", "default"
        ),
        "tags": user_tags(tags_of(instance)),
    }
