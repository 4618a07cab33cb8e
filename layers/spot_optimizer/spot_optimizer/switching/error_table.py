"""The table of EC2 errors, sorted by what would cure them.

Codes and their meaning: AWS documentation "Error codes for the Amazon EC2 API" (client errors,
errors for specific actions, server errors), "StateReason" of the EC2 API reference, and the retry
lists of the AWS SDK. Codes marked "reported" stand in no list of AWS but in users' reports.
"""

from collections.abc import Mapping
from typing import NamedTuple

from spot_optimizer.vocabulary import Scope


class Refusal(NamedTuple):
    """Why EC2 launched nothing: the scope within which trying again is useless, and the cure."""

    scope: Scope
    cure: str
    """One sentence for people: what cures it, and whether it is ours, theirs or time's to do."""


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
    "UnsupportedOperation": "The type does not support the machine's image or options; another"
    " type is tried.",
    "InvalidInstanceType": "The type does not support the request; another type is tried.",
    "InstanceCreditSpecification.NotSupported": "The type has no CPU credits; another type is"
    " tried.",
    "InvalidInterface.IpAddressLimitExceeded": "The type's interface holds fewer addresses; another"
    " type is tried.",
    "PrivateIpAddressLimitExceeded": "The type's interface holds fewer addresses; another type is"
    " tried.",
    "AttachmentLimitExceeded": "The type takes fewer volumes or interfaces; another type is tried.",
    "EncryptedVolumesNotSupported": "The type takes no encrypted volumes; another type is tried.",
    "NonEBSInstance": "The type does not support EBS; another type is tried.",
    "IdempotentInstanceTerminated": "An earlier launch of this attempt has died; another pool is"
    " tried.",
}
_ZONE = {
    "InsufficientFreeAddressesInSubnet": "The zone's subnet has no free address: free some or name"
    " another subnet in spot-optimizer:subnets; another zone is tried.",
    "InvalidSubnetID.NotFound": "The zone's subnet is gone: correct spot-optimizer:subnets; another"
    " zone is tried.",
    "InvalidSubnetID.Malformed": "The zone's subnet id is malformed: correct"
    " spot-optimizer:subnets; another zone is tried.",
    "InvalidSubnet": "The zone's subnet does not exist: correct spot-optimizer:subnets; another"
    " zone is tried.",
    "InvalidAvailabilityZone": "The account cannot use this zone; another zone is tried.",
    "InvalidZone.NotFound": "The account cannot use this zone; another zone is tried.",
    "VolumeTypeNotAvailableInZone": "The zone does not offer the volume type; another zone is"
    " tried.",
    "InsufficientVolumeCapacity": "The zone has no room for the volumes; another zone is tried.",
    "InsufficientAddressCapacity": "The zone has no public address left; another zone is tried.",
}
_FAMILY = {
    "VcpuLimitExceeded": "The account's vCPU quota for this family class and lifecycle is used up:"
    " ask for more in Service Quotas; another class or lifecycle is tried.",
    "InstanceLimitExceeded": "The account's on-demand quota for this family class is used up: ask"
    " for more in Service Quotas; another class or lifecycle is tried.",
    # AWS's text: "The limit depends on the instance type"; spot quotas are one per family class.
    "MaxSpotInstanceCountExceeded": "The account's spot quota for this family class is used up: ask"
    " for more in Service Quotas; another class or lifecycle is tried.",
}
_LIFECYCLE = {
    "RequestResourceCountExceeded": "The account has too many spot requests; the other lifecycle is"
    " tried.",
    "MaxSpotFleetRequestCountExceeded": "The account has too many spot fleets or too much fleet"
    " capacity: ask for more in Service Quotas; the other lifecycle is tried.",
    # Reported: of CreateFleet, HTTP 400 (github.com/runs-on/runs-on, issue 88).
    "MaxFleetCountExceeded": "The account has too many fleets: ask for more in Service Quotas; the"
    " other lifecycle is tried.",
    # Spot alone needs the role (EC2 user guide, "Service-linked role for Spot Instance requests").
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": "The role AWSServiceRoleForEC2Spot is"
    " missing: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com; the other"
    " lifecycle is tried.",
}
_THROTTLED = "EC2 throttles the account's calls; repeated after a wait."
_BROKEN = "EC2 failed inside; repeated after a wait."
_TIME = {
    "RequestLimitExceeded": _THROTTLED,
    "ResourceCountExceeded": "The request was too large; repeated after a wait.",
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
    "RequestExpired": "The request was too old when it arrived; repeated with a new one.",
    "ConcurrentTagAccess": "Another call changes the same tags; repeated after a wait.",
    "CreditSpecificationUpdateInProgress": "The account's default credit mode is being changed;"
    " repeated after a wait.",
}
_TEMPLATE = {
    # Eventual consistency: what was made a moment ago may not be found yet.
    "InvalidLaunchTemplateId.NotFound": "The launch template is not visible yet, or was deleted:"
    " the next cycle makes it anew.",
    "InvalidLaunchTemplateId.VersionNotFound": "The launch template's version is not visible yet,"
    " or was deleted: the next cycle makes it anew.",
    "InvalidLaunchTemplateName.NotFoundException": "The launch template is not visible yet, or was"
    " deleted: the next cycle makes it anew.",
    "InvalidLaunchTemplateName.AlreadyExistsException": "Another run has just made the launch"
    " template: the next cycle finds it.",
}
_KMS = (
    "The volumes' KMS key cannot be used: enable the key, and grant it to the launching role and to"
    " AWSServiceRoleForEC2Spot."
)
_IMAGE = "The image cannot be launched from: make it available again, or move to another image."
_REQUEST = "EC2 rejects the request itself; its message names the parameter to correct."
_ACCOUNT = "The AWS account may not launch now: see the message, and ask AWS Support."
_NOTHING = {
    "UnauthorizedOperation": "The stack's role may not do this: widen its policy, or the"
    " organisation's.",
    "AccessDenied": "The stack's role may not do this: widen its policy, or the organisation's.",
    "AccessDeniedException": "The stack's role may not do this: widen its policy.",
    "AuthFailure": "The account may not use something that the machine is made of, such as a shared"
    " image.",
    "Blocked": _ACCOUNT,
    "PendingVerification": _ACCOUNT,
    "OptInRequired": "The image's AWS Marketplace product is not subscribed to: accept its terms.",
    "InvalidProductInfo": "The image's AWS Marketplace product code is not valid.",
    "InvalidAMIID.NotFound": _IMAGE,
    "InvalidAMIID.Unavailable": _IMAGE,
    "InvalidAMIID.Malformed": _IMAGE,
    "InvalidManifest": _IMAGE,
    "InvalidSnapshot.NotFound": "A snapshot that the machine is made from is gone or not shared.",
    "InvalidGroup.NotFound": "A security group of the machine was deleted: give it another.",
    "InvalidSecurityGroupID.NotFound": "A security group of the machine was deleted: give it"
    " another.",
    "InvalidKeyPair.NotFound": "The machine's key pair was deleted: import it again.",
    "InvalidIamInstanceProfileArn.Malformed": "The machine's instance profile is not valid.",
    "InvalidPlacementGroup.Unknown": "The machine's placement group was deleted.",
    "CustomerKeyHasBeenRevoked": _KMS,
    "InvalidKMSKey.InvalidState": _KMS,
    "IncorrectKmsKeyState": _KMS,
    "KmsKeyNotAccessible": _KMS,
    "VolumeLimitExceeded": "The account's EBS storage quota is used up: ask for more in Service"
    " Quotas.",
    "MaxIOPSLimitExceeded": "The account's EBS IOPS quota is used up: ask for more in Service"
    " Quotas.",
    "VolumeIOPSLimit": "The volume's IOPS are above what its type allows.",
    "UnknownVolumeType": "The volume type is not supported.",
    "BootForVolumeTypeUnsupported": "The root volume's type cannot be booted from.",
    "InvalidBlockDeviceMapping": _REQUEST,
    "NetworkInterfaceLimitExceeded": "The region's quota of network interfaces is used up: ask for"
    " more in Service Quotas.",
    "SecurityGroupsPerInterfaceLimitExceeded": "The machine has more security groups than its VPC"
    " allows on an interface.",
    "SecurityGroupsPerInstanceLimitExceeded": "The machine has more security groups than allowed.",
    "MaxTemplateLimitExceeded": "The region's 5,000 launch templates are used up: delete some.",
    "MaxTemplateVersionLimitExceeded": "The launch template has as many versions as allowed: delete"
    " some.",
    "TagLimitExceeded": "The machine has no room for our tags: 50 a resource, remove some.",
    "InvalidTagKey.Malformed": "A tag key of the machine is not valid.",
    "InvalidInstanceID.NotFound": "The original is gone.",
    "IncorrectInstanceState": "The original is in a state that forbids this.",
    "OperationNotPermitted": "Termination protection or another attribute forbids this.",
    "InvalidTenancy": "The machine's tenancy is not supported for this.",
    "UnsupportedTenancy": "The machine's tenancy is not supported for this.",
    "InsufficientHostCapacity": "No dedicated host has room for the machine.",
    "ReservationCapacityExceeded": "The capacity reservation that the machine names is full.",
    "IdempotentParameterMismatch": "An earlier launch used this client token with other parameters;"
    " a new decision uses a new one.",
    "InvalidParameter": _REQUEST,
    "InvalidParameterCombination": _REQUEST,
    "InvalidParameterDependency": _REQUEST,
    "InvalidParameterValue": _REQUEST,
    "InvalidRequest": _REQUEST,
    "InvalidInput": _REQUEST,
    "InvalidUserData.Malformed": "The machine's user data is not valid or above 16 KB.",
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
    **_all(Scope.ZONE, _ZONE),
    **_all(Scope.FAMILY, _FAMILY),
    **_all(Scope.LIFECYCLE, _LIFECYCLE),
    **_all(Scope.TIME, _TIME),
    **_all(Scope.TIME, _TEMPLATE),
    **_all(Scope.NOTHING, _NOTHING),
}
"""EC2 error code (without ``Client.`` or ``Server.``) -> what cures it."""

TRANSIENT = frozenset(_TIME)
"""Codes that the same call, asked again after a wait of seconds, may not meet again."""

TEMPLATE_UNSEEN = frozenset(_TEMPLATE)
"""Codes about a launch template that time cures too, but the next cycle's rather than a wait's."""

MAY_HAVE_LAUNCHED = frozenset({"IdempotentParameterMismatch"})
"""Codes that tell of an earlier request with the same client token ("Ensuring idempotency in Amazon EC2
API requests"): what it launched may run. With ``IdempotentInstanceTerminated`` it has ended."""

BY_MESSAGE: tuple[tuple[str, str, Refusal], ...] = (
    # A parameter that one type refuses is accepted by another (all reported, by users).
    (
        "Invalid*",
        "*not supported*spot*",
        Refusal(
            Scope.LIFECYCLE,
            "Spot does not take one of the machine's options; the other lifecycle is tried.",
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
        Refusal(Scope.POOL, "The type's architecture is not the image's; another type is tried."),
    ),
    (
        "Invalid*",
        "*enhanced networking*",
        Refusal(Scope.POOL, "The type needs ENA, which the image lacks; another type is tried."),
    ),
    (
        "Invalid*",
        "*boot mode*",
        Refusal(Scope.POOL, "The type does not boot the image's boot mode; another type is tried."),
    ),
    (
        "Invalid*",
        "*instance type*not support*",
        Refusal(
            Scope.POOL,
            "The type does not support one of the machine's options; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*not supported*instance type*",
        Refusal(
            Scope.POOL,
            "The type does not support one of the machine's options; another type is tried.",
        ),
    ),
    (
        "Invalid*",
        "*ebs-optimized*not supported*",
        Refusal(Scope.POOL, "The type cannot be EBS optimised; another type is tried."),
    ),
)
"""(code pattern, message pattern in lower case, refusal): finer than the code alone; first wins."""

BY_PATTERN: tuple[tuple[str, Refusal], ...] = (
    ("InvalidKMSKey*", Refusal(Scope.NOTHING, _KMS)),
    ("*KMS*", Refusal(Scope.NOTHING, _KMS)),
    ("Insufficient*Capacity*", Refusal(Scope.POOL, "There is no capacity; another pool is tried.")),
    ("*Throttl*", Refusal(Scope.TIME, _THROTTLED)),
    (
        "*LimitExceeded",
        Refusal(
            Scope.NOTHING,
            "A quota of the account is used up; the message names"
            " it: ask for more in Service Quotas.",
        ),
    ),
    (
        "AuthFailure*",
        Refusal(Scope.NOTHING, "The account may not do this; the message names what is missing."),
    ),
    ("Invalid*", Refusal(Scope.NOTHING, _REQUEST)),
)
"""(code pattern, refusal) for codes that the table does not name; first wins."""

BY_STATE_REASON: Mapping[str, Refusal] = {
    # "A client error caused the instance to terminate during launch": with encrypted volumes it is
    # the key ("Troubleshoot instance launch issues", instance terminates immediately).
    "Client.InternalError": Refusal(Scope.NOTHING, _KMS),
    "Client.VolumeLimitExceeded": BY_CODE["VolumeLimitExceeded"],
    "Client.InvalidSnapshot.NotFound": BY_CODE["InvalidSnapshot.NotFound"],
    "Client.InstanceInitiatedShutdown": Refusal(
        Scope.NOTHING, "The machine shut itself down: its boot scripts or user data do so."
    ),
    "Client.UserInitiatedShutdown": Refusal(
        Scope.NOTHING, "Somebody stopped or terminated the replacement."
    ),
    "Server.InsufficientInstanceCapacity": BY_CODE["InsufficientInstanceCapacity"],
    # Unlike the error of a call, this machine has failed on its host: elsewhere it may start.
    "Server.InternalError": Refusal(
        Scope.POOL, "EC2 failed inside while it started the machine; another pool is tried."
    ),
    "Server.SpotInstanceTermination": Refusal(
        Scope.POOL, "The pool was reclaimed before the machine was ready; another pool is tried."
    ),
    "Server.SpotInstanceShutdown": Refusal(
        Scope.POOL, "The pool was reclaimed before the machine was ready; another pool is tried."
    ),
}
"""Code of DescribeInstances' StateReason of a machine that died at launch -> what cures it."""
