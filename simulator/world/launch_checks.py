"""Whether a type, an image and the options of a launch fit together.

Sources of the messages: replies of EC2 quoted in public issue threads
(hashicorp/terraform-provider-aws #5067 for credits, RhinoSecurityLabs/cloudgoat #247 for UEFI)
and "Error codes for the Amazon EC2 API".
"""

import base64
import binascii
import re

from simulator.limits import LIMITS
from simulator.world.catalog import instance_types, is_offered, zones_offering
from simulator.world.errors import AwsError
from simulator.world.model import Image, InterfaceSpec, Subnet
from simulator.world.operations import Params
from simulator.world.state import WorldState


def check_type(instance_type: str) -> None:
    """The type must exist at all."""
    if instance_type not in instance_types():
        raise AwsError(
            "InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType."
        )


def check_offered(state: WorldState, instance_type: str, subnet: Subnet, lifecycle: str) -> None:
    """The type must be offered in the zone, for this lifecycle; the Outposts here have no hosts."""
    if subnet.outpost_arn is not None:
        raise AwsError("Unsupported", f"{instance_type} is not supported on {subnet.outpost_arn}.")
    zone = subnet.availability_zone
    if not is_offered(state, instance_type, zone):
        others = ", ".join(zones_offering(state, instance_type))
        raise AwsError(
            "Unsupported",
            f"Your requested instance type ({instance_type}) is not supported in your requested "
            f"Availability Zone ({zone}). Please retry your request by not specifying an "
            f"Availability Zone or choosing {others}.",
        )
    if lifecycle not in instance_types()[instance_type]["SupportedUsageClasses"]:
        raise AwsError(
            "UnsupportedOperation",
            f"The instance type '{instance_type}' is not supported for {lifecycle} launches.",
        )


def check_image(instance_type: str, image: Image) -> None:
    """Architecture, enhanced networking and boot mode must fit."""
    info = instance_types()[instance_type]
    architectures = info["ProcessorInfo"]["SupportedArchitectures"]
    if image.architecture not in architectures:
        raise AwsError(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does "
            f"not match the architecture '{image.architecture}' of the specified AMI. Specify an "
            "instance type and an AMI that have matching architectures, and try again.",
        )
    if info["NetworkInfo"]["EnaSupport"] == "required" and not image.ena_support:
        raise AwsError(
            "InvalidParameterCombination",
            "Enhanced networking with the Elastic Network Adapter (ENA) is required for the "
            f"'{instance_type}' instance type. Ensure that you are using an AMI that is enabled "
            "for ENA.",
        )
    # uefi-preferred falls back to legacy BIOS; an image without a mode uses the type's default.
    if image.boot_mode in ("uefi", "legacy-bios"):
        _check_boot_mode(instance_type, image.boot_mode, info["SupportedBootModes"])


def _check_boot_mode(instance_type: str, boot_mode: str, supported: list[str]) -> None:
    if boot_mode in supported:
        return
    if boot_mode == "uefi":
        raise AwsError(
            "InvalidParameterValue",
            f"The {instance_type} instance type does not support an AMI with a boot mode of UEFI. "
            "Only instance types built on the Nitro System support UEFI. Specify an instance "
            "type that supports UEFI, and try again.",
        )
    raise AwsError(
        "InvalidParameterValue",
        f"The {instance_type} instance type does not support an AMI with a boot mode of Legacy "
        "BIOS. Specify an instance type that supports Legacy BIOS, and try again.",
    )


def check_options(instance_type: str, merged: Params) -> None:
    """Credits, CPU options, EBS optimization, hibernation and enclaves must fit the type."""
    info = instance_types()[instance_type]
    if merged.get("CreditSpecification") and not info["BurstablePerformanceSupported"]:
        raise AwsError(
            "InstanceCreditSpecification.NotSupported",
            f"The {instance_type} instance type does not support T2 Unlimited.",
        )
    if merged.get("EbsOptimized") and info["EbsInfo"]["EbsOptimizedSupport"] == "unsupported":
        raise AwsError(
            "InvalidParameterCombination",
            "EBS-optimized instances are not supported for your requested configuration.",
        )
    options = merged.get("CpuOptions", {})
    for name, valid in (("CoreCount", "ValidCores"), ("ThreadsPerCore", "ValidThreadsPerCore")):
        default = "DefaultCores" if name == "CoreCount" else "DefaultThreadsPerCore"
        allowed = info["VCpuInfo"].get(valid, [info["VCpuInfo"].get(default)])
        if name in options and options[name] not in allowed:
            raise AwsError(
                "InvalidParameterValue",
                f"Value ({options[name]}) for parameter {name} is invalid for {instance_type}. "
                f"Valid values are {allowed}.",
            )
    if merged.get("HibernationOptions", {}).get("Configured") and not info["HibernationSupported"]:
        raise AwsError(
            "UnsupportedHibernationConfiguration",
            f"The instance type {instance_type} does not support hibernation.",
        )
    enclave = merged.get("EnclaveOptions", {}).get("Enabled")
    if enclave and info["NitroEnclavesSupport"] != "supported":
        raise AwsError(
            "InvalidParameterCombination",
            f"The instance type {instance_type} does not support Nitro Enclaves.",
        )


def check_interfaces(instance_type: str, interfaces: tuple[InterfaceSpec, ...]) -> None:
    """Interfaces and addresses within the type's maximum."""
    network = instance_types()[instance_type]["NetworkInfo"]
    if len(interfaces) > network["MaximumNetworkInterfaces"]:
        raise AwsError(
            "AttachmentLimitExceeded",
            f"Interface count {len(interfaces)} exceeds the limit for {instance_type}",
        )
    for spec in interfaces:
        count = max(1, len(spec.private_ip_addresses)) + spec.secondary_count
        if count > network["Ipv4AddressesPerInterface"]:
            raise AwsError(
                "PrivateIpAddressLimitExceeded",
                f"Number of private addresses {count} exceeds the limit for {instance_type}",
            )


def check_metadata_options(options: Params) -> None:
    """An endpoint that is off takes no further options (hashicorp/terraform-provider-aws,
    ``aws_instance``: "not allowed unless HttpEndpoint is enabled"; its pull request 30107 says that
    launch templates may hold them, so this is the stricter reading)."""
    others = sorted(options.keys() - {"HttpEndpoint", "State"})
    if options.get("HttpEndpoint") == "disabled" and others:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameters {', '.join(others)} are not allowed unless HttpEndpoint is enabled.",
        )


def check_licenses(merged: Params) -> tuple[str, ...]:
    """The ARNs of the launch's license configurations (License Manager user guide)."""
    arns = tuple(
        each.get("LicenseConfigurationArn", "") for each in merged.get("LicenseSpecifications", ())
    )
    for arn in arns:
        if not re.fullmatch(
            r"arn:[^:]+:license-manager:[^:]+:\d{12}:license-configuration:.+", arn
        ):
            raise AwsError(
                "InvalidParameterValue", f"'{arn}' is not the ARN of a license configuration."
            )
    return arns


def check_user_data(user_data: str) -> None:
    """User data must be base64 of at most 16 KB (EC2 user guide, "user data")."""
    try:
        raw = base64.b64decode(user_data, validate=True)
    except binascii.Error:
        raise AwsError("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None
    if len(raw) > LIMITS.user_data_bytes:
        raise AwsError("InvalidParameterValue", "User data is limited to 16384 bytes")


def check_identity(state: WorldState, merged: Params) -> str | None:
    """Key pair and instance profile must exist; returns the profile's ARN."""
    key_name = merged.get("KeyName")
    if key_name is not None and key_name not in state.key_names:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
    profile = merged.get("IamInstanceProfile", {})
    for arn in sorted(state.instance_profile_arns):
        if profile.get("Arn") == arn or profile.get("Name") == arn.rpartition("/")[2]:
            return arn
    if profile:
        kind = "arn" if "Arn" in profile else "name"
        value = profile.get("Arn", profile.get("Name"))
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{kind} is invalid. "
            f"Invalid IAM Instance Profile {kind}",
        )
    return None
