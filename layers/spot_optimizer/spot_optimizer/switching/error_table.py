"""The table of EC2 errors, sorted by what cures them.

Codes and their meaning: AWS documentation "Error codes for the Amazon EC2 API" (client errors,
errors for specific actions, server errors), "StateReason" of the EC2 API reference, and the retry
lists of the AWS SDK. Codes marked "reported" are not in AWS's lists but in users' reports.
"""

from collections.abc import Mapping
from typing import NamedTuple

from spot_optimizer.vocabulary import Scope


class Refusal(NamedTuple):
    """Why EC2 launched nothing: the scope in which another attempt is useless, and the cure."""

    scope: Scope
    cure: str
    """One sentence for people: what cures it, and who has to act, if anyone."""


def _all(scope: Scope, cures: Mapping[str, str]) -> dict[str, Refusal]:
    return {code: Refusal(scope, cure) for code, cure in cures.items()}


_POOL = {
    "InsufficientInstanceCapacity": "The pool has no capacity now; another pool is tried.",
    "InsufficientCapacity": "The pool has no capacity now; another pool is tried.",
    "InsufficientReservedInstanceCapacity": "The pool has no capacity now; another pool is tried.",
    "UnfulfillableCapacity": "The fleet found no capacity in the pool; another pool is tried.",
    "SpotMaxPriceTooLow": "The spot price is above on-demand, the default limit; another pool is"
    " tried.",
    "Unsupported": "The type or configuration is not offered in this zone; another pool is tried.",
    "UnsupportedOperation": "The type does not support the instance's image or options; another"
    " type is tried.",
    "InvalidInstanceType": "The type does not support the request; another type is tried.",
    "InstanceCreditSpecification.NotSupported": "The type has no CPU credits; another type is"
    " tried.",
    "InvalidInterface.IpAddressLimitExceeded": "The type's network interface takes fewer addresses;"
    " another type is tried.",
    "PrivateIpAddressLimitExceeded": "The type's interface holds fewer addresses; another type is"
    " tried.",
    "AttachmentLimitExceeded": "The type takes fewer volumes or interfaces; another type is tried.",
    "EncryptedVolumesNotSupported": "The type takes no encrypted volumes; another type is tried.",
    "NonEBSInstance": "The type does not support EBS; another type is tried.",
    "IdempotentInstanceTerminated": "An earlier launch of this attempt was terminated; another pool"
    " is tried.",
}
_NO_ADDRESS = (
    "The subnet has no free address or block of addresses: free some or name other subnets in"
    " spot-optimizer:subnets; another subnet of the zone is tried, then another zone."
)
_SUBNET = {
    "InsufficientFreeAddressesInSubnet": _NO_ADDRESS,
    # Reported with free addresses left: a prefix needs 16 in a row (amazon-vpc-cni-k8s, "prefix mode").
    "InsufficientCidrBlocks": _NO_ADDRESS,
    "InvalidSubnetID.NotFound": "The subnet was deleted: correct spot-optimizer:subnets; another subnet"
    " of the zone is tried, then another zone.",
    "InvalidSubnetID.Malformed": "The subnet's id is malformed: correct spot-optimizer:subnets; another"
    " subnet of the zone is tried, then another zone.",
    "InvalidSubnet": "The subnet does not exist: correct spot-optimizer:subnets; another subnet of the"
    " zone is tried, then another zone.",
}
_ZONE = {
    "InvalidAvailabilityZone": "The account cannot use this zone; another zone is tried.",
    "InvalidZone.NotFound": "The account cannot use this zone; another zone is tried.",
    "VolumeTypeNotAvailableInZone": "The zone does not offer the volume type; another zone is"
    " tried.",
    "InsufficientVolumeCapacity": "The zone has no capacity for the volumes; another zone is tried.",
    "InsufficientAddressCapacity": "The zone has no public address left; another zone is tried.",
}
_FAMILY = {
    "VcpuLimitExceeded": "The account's vCPU quota for this family class and lifecycle is used up:"
    " request an increase in Service Quotas; another class or lifecycle is tried.",
    "InstanceLimitExceeded": "The account's on-demand quota for this family class is used up:"
    " request an increase in Service Quotas; another class or lifecycle is tried.",
    # AWS's text: "The limit depends on the instance type"; spot quotas are one per family class.
    "MaxSpotInstanceCountExceeded": "The account's spot quota for this family class is used up:"
    " request an increase in Service Quotas; another class or lifecycle is tried.",
}
_LIFECYCLE = {
    "RequestResourceCountExceeded": "The account has too many spot requests; the other lifecycle is"
    " tried.",
    "MaxSpotFleetRequestCountExceeded": "The account has too many spot fleets or too much fleet"
    " capacity: request an increase in Service Quotas; the other lifecycle is tried.",
    # Reported for CreateFleet, with HTTP 400 (github.com/runs-on/runs-on, issue 88).
    "MaxFleetCountExceeded": "The account has too many fleets: request an increase in Service Quotas;"
    " the other lifecycle is tried.",
    # Only spot needs the role (EC2 user guide, "Service-linked role for Spot Instance requests").
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": "The role AWSServiceRoleForEC2Spot is"
    " missing: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com; the other"
    " lifecycle is tried.",
}
_THROTTLED = "EC2 throttles the account's calls; they are retried after a wait."
_BROKEN = "EC2 had an internal error; the call is retried after a wait."
_TIME = {
    "RequestLimitExceeded": _THROTTLED,
    "ResourceCountExceeded": "The request was too large; it is retried after a wait.",
    "Throttling": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "ThrottledException": _THROTTLED,
    "RequestThrottled": _THROTTLED,
    "RequestThrottledException": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
    "ProvisionedThroughputExceededException": _THROTTLED,
    "TransactionInProgressException": _THROTTLED,
    "LimitExceededException": _THROTTLED,
    "BandwidthLimitExceeded": _THROTTLED,
    "PriorRequestNotComplete": _THROTTLED,
    "SlowDown": _THROTTLED,
    "EC2ThrottledException": _THROTTLED,
    "RequestTimeout": _BROKEN,
    "RequestTimeoutException": _BROKEN,
    "InternalError": _BROKEN,
    "InternalFailure": _BROKEN,
    "ServiceUnavailable": _BROKEN,
    "Unavailable": _BROKEN,
    "RequestExpired": "The request expired before it arrived; a new one is sent.",
    "ConcurrentTagAccess": "Another call is changing the same tags; the call is retried after a wait.",
    "CreditSpecificationUpdateInProgress": "The account's default credit mode is being changed;"
    " the call is retried after a wait.",
}
_TEMPLATE = {
    # Eventual consistency: a new template may not be visible yet.
    "InvalidLaunchTemplateId.NotFound": "The launch template is not visible yet, or was deleted:"
    " the next cycle creates it again.",
    "InvalidLaunchTemplateId.VersionNotFound": "The launch template's version is not visible yet,"
    " or was deleted: the next cycle creates it again.",
    "InvalidLaunchTemplateName.NotFoundException": "The launch template is not visible yet, or was"
    " deleted: the next cycle creates it again.",
    "InvalidLaunchTemplateName.AlreadyExistsException": "Another run has just created the"
    " launch template: the next cycle finds it.",
}
_KMS = (
    "The volumes' KMS key cannot be used: enable the key, and grant the launching role and"
    " AWSServiceRoleForEC2Spot access to it (aws kms create-grant; the README has the command)."
)
_IMAGE = "The image cannot be launched: make it available again, or use another image."
_REQUEST = "EC2 rejects the request; its message names the parameter to correct."
_ACCOUNT = "The AWS account is blocked from launching: see the message, and contact AWS Support."
_NOTHING = {
    "UnauthorizedOperation": "The stack's role may not do this: allow it in the role's policy, or in"
    " the organization's.",
    "AccessDenied": "The stack's role may not do this: allow it in the role's policy, or in the"
    " organization's.",
    "AccessDeniedException": "The stack's role may not do this: allow it in the role's policy.",
    "AuthFailure": "The account may not use a resource of the instance, such as a shared image.",
    "Blocked": _ACCOUNT,
    "PendingVerification": _ACCOUNT,
    "OptInRequired": "Subscribe to the image's AWS Marketplace product: accept its terms.",
    "InvalidProductInfo": "The image's AWS Marketplace product code is not valid.",
    "InvalidAMIID.NotFound": _IMAGE,
    "InvalidAMIID.Unavailable": _IMAGE,
    "InvalidAMIID.Malformed": _IMAGE,
    "InvalidManifest": _IMAGE,
    "InvalidSnapshot.NotFound": "A snapshot of the volumes was deleted or is no longer shared.",
    "InvalidGroup.NotFound": "A security group of the instance was deleted: give it another.",
    "InvalidSecurityGroupID.NotFound": "A security group of the instance was deleted: give it"
    " another.",
    "InvalidKeyPair.NotFound": "The instance's key pair was deleted: import it again.",
    "InvalidIamInstanceProfileArn.Malformed": "The instance profile is not valid.",
    "InvalidPlacementGroup.Unknown": "The instance's placement group was deleted.",
    "CustomerKeyHasBeenRevoked": _KMS,
    "InvalidKMSKey.InvalidState": _KMS,
    "IncorrectKmsKeyState": _KMS,
    "KmsKeyNotAccessible": _KMS,
    "VolumeLimitExceeded": "The account's EBS storage quota is used up: request an increase in Service"
    " Quotas.",
    "MaxIOPSLimitExceeded": "The account's EBS IOPS quota is used up: request an increase in Service"
    " Quotas.",
    "VolumeIOPSLimit": "The volume has more IOPS than its type allows.",
    "UnknownVolumeType": "The volume type is not supported.",
    "BootForVolumeTypeUnsupported": "The root volume has a type that cannot boot.",
    "InvalidBlockDeviceMapping": _REQUEST,
    "NetworkInterfaceLimitExceeded": "The region's quota of network interfaces is used up: request"
    " an increase in Service Quotas.",
    "SecurityGroupsPerInterfaceLimitExceeded": "The instance has more security groups than its"
    " VPC allows on an interface.",
    "SecurityGroupsPerInstanceLimitExceeded": "The instance has more security groups than allowed.",
    "MaxTemplateLimitExceeded": "Delete launch templates: the region has the maximum of 5,000.",
    "MaxTemplateVersionLimitExceeded": "Delete versions of the launch template: it has the maximum.",
    "TagLimitExceeded": "Remove tags of the instance: 50 are allowed, ours included.",
    "InvalidTagKey.Malformed": "A tag key of the instance is not valid.",
    "InvalidInstanceID.NotFound": "The original is gone.",
    "IncorrectInstanceState": "The original is in a state that does not allow this.",
    "OperationNotPermitted": "Termination protection or another attribute does not allow this.",
    "InvalidTenancy": "The instance's tenancy is not supported for this.",
    "UnsupportedTenancy": "The instance's tenancy is not supported for this.",
    "InsufficientHostCapacity": "No dedicated host has capacity for the instance.",
    "ReservationCapacityExceeded": "The instance's capacity reservation is full.",
    "IdempotentParameterMismatch": "An earlier launch used this client token with other parameters;"
    " a new decision uses a new one.",
    "InvalidParameter": _REQUEST,
    "InvalidParameterCombination": _REQUEST,
    "InvalidParameterDependency": _REQUEST,
    "InvalidParameterValue": _REQUEST,
    "InvalidRequest": _REQUEST,
    "InvalidInput": _REQUEST,
    "InvalidUserData.Malformed": "The instance's user data is not valid or larger than 16 KB.",
    "InvalidFleetConfiguration": _REQUEST,
    "InvalidFleetConfig": _REQUEST,
    "MissingParameter": _REQUEST,
    "UnknownParameter": _REQUEST,
    "ValidationError": _REQUEST,
    "InvalidClientToken": _REQUEST,
    "VPCIdNotSpecified": "The account has no default VPC and the launch named no subnet.",
    "VPCResourceNotSpecified": "The launch named no subnet.",
    "ResourceLimitExceeded": "A quota of the account is used up; the message names it.",
}

BY_CODE: Mapping[str, Refusal] = {
    **_all(Scope.POOL, _POOL),
    **_all(Scope.SUBNET, _SUBNET),
    **_all(Scope.ZONE, _ZONE),
    **_all(Scope.FAMILY, _FAMILY),
    **_all(Scope.LIFECYCLE, _LIFECYCLE),
    **_all(Scope.TIME, _TIME),
    **_all(Scope.TIME, _TEMPLATE),
    **_all(Scope.NOTHING, _NOTHING),
}
"""EC2 error code (without ``Client.`` or ``Server.``) -> what cures it."""

TRANSIENT = frozenset(_TIME)
"""Codes that may not occur again if the same call is retried after some seconds."""

TEMPLATE_UNSEEN = frozenset(_TEMPLATE)
"""Codes of a launch template that time cures too, but in the next cycle rather than in seconds."""

MAY_HAVE_LAUNCHED = frozenset({"IdempotentParameterMismatch"})
"""Codes of an earlier request with the same client token ("Ensuring idempotency in Amazon EC2 API
requests"): its instance may be running. With ``IdempotentInstanceTerminated`` it has ended."""

BY_MESSAGE: tuple[tuple[str, str, Refusal], ...] = (
    # One type refuses a parameter that another accepts (all reported).
    (
        "Invalid*",
        "*not supported*spot*",
        Refusal(
            Scope.LIFECYCLE,
            "Spot does not support one of the instance's options; the other lifecycle is tried.",
        ),
    ),
    (
        "InvalidParameterValue",
        "*invalid availability zone*",
        Refusal(Scope.ZONE, "The account cannot use this zone; another zone is tried."),
    ),
    (
        "Invalid*",
        "*architecture*",
        Refusal(
            Scope.POOL,
            "The type and the image have different architectures; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*enhanced networking*",
        Refusal(
            Scope.POOL,
            "The type needs ENA, which the image does not support; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*boot mode*",
        Refusal(
            Scope.POOL, "The type does not support the image's boot mode; another type is tried."
        ),
    ),
    (
        "Invalid*",
        "*instance type*not support*",
        Refusal(
            Scope.POOL,
            "The type does not support one of the instance's options; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*not supported*instance type*",
        Refusal(
            Scope.POOL,
            "The type does not support one of the instance's options; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*ebs-optimized*not supported*",
        Refusal(Scope.POOL, "The type cannot be EBS-optimized; another type is tried."),
    ),
    # A subnet without a block of the wanted kind, or without a free one.
    *(
        ("In*", pattern, Refusal(Scope.SUBNET, _NO_ADDRESS))
        for pattern in ("*subnet*cidr*", "*cidr*subnet*", "*subnet*prefix*", "*prefix*subnet*")
    ),
)
"""(code pattern, message pattern in lower case, refusal): stronger than the code alone; the first match
counts."""

BY_PATTERN: tuple[tuple[str, Refusal], ...] = (
    ("InvalidKMSKey*", Refusal(Scope.NOTHING, _KMS)),
    ("*KMS*", Refusal(Scope.NOTHING, _KMS)),
    (
        "Insufficient*Capacity*",
        Refusal(Scope.POOL, "The pool has no capacity now; another pool is tried."),
    ),
    ("*Throttl*", Refusal(Scope.TIME, _THROTTLED)),
    (
        "*LimitExceeded",
        Refusal(
            Scope.NOTHING,
            "A quota of the account is used up; the message names it: request an increase in Service"
            " Quotas.",
        ),
    ),
    (
        "AuthFailure*",
        Refusal(
            Scope.NOTHING, "The account may not do this; the message names the missing permission."
        ),
    ),
    ("Invalid*", Refusal(Scope.NOTHING, _REQUEST)),
)
"""(code pattern, refusal) for codes that are not in ``BY_CODE``; the first match counts."""

BY_STATE_REASON: Mapping[str, Refusal] = {
    # "A client error caused the instance to terminate during launch": with encrypted volumes it is
    # the key ("Troubleshoot instance launch issues", instance terminates immediately).
    "Client.InternalError": Refusal(Scope.NOTHING, _KMS),
    "Client.VolumeLimitExceeded": BY_CODE["VolumeLimitExceeded"],
    "Client.InvalidSnapshot.NotFound": BY_CODE["InvalidSnapshot.NotFound"],
    "Client.InstanceInitiatedShutdown": Refusal(
        Scope.NOTHING, "The instance shut itself down: its boot scripts or user data do so."
    ),
    "Client.UserInitiatedShutdown": Refusal(
        Scope.NOTHING, "Somebody stopped or terminated the replacement."
    ),
    "Server.InsufficientInstanceCapacity": BY_CODE["InsufficientInstanceCapacity"],
    # Unlike the error of a call, this instance failed on its host: it may start elsewhere.
    "Server.InternalError": Refusal(
        Scope.POOL,
        "EC2 had an internal error while it started the instance; another pool is tried.",
    ),
    "Server.SpotInstanceTermination": Refusal(
        Scope.POOL, "EC2 reclaimed the instance before it was ready; another pool is tried."
    ),
    "Server.SpotInstanceShutdown": Refusal(
        Scope.POOL, "EC2 reclaimed the instance before it was ready; another pool is tried."
    ),
}
"""StateReason code of an instance that ended during its launch -> what cures it."""
