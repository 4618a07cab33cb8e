"""Customer managed keys of volumes, and the grant without which no spot instance starts with them.

Sources: EC2 user guide, "Service-linked role for Spot Instance requests", "Grant access to customer
managed keys for use with encrypted AMIs and EBS snapshots" (a grant for AWSServiceRoleForEC2Spot), and
"Troubleshoot instance launch issues", "Instance terminates immediately"; API_StateReason,
``Client.InternalError``. The message is as users report it: aws-samples/
aws-service-catalog-reference-architectures #103, aws/karpenter-provider-aws #933 of a spot instance. That
a new volume without a snapshot needs the grant too is assumed.
"""

from simulator.world.model import LaunchSpec
from simulator.world.state import WorldState

__all__ = ["LAUNCH_FAILED", "aws_managed_key", "customer_key", "lacks_grant"]

LAUNCH_FAILED = ("Client.InternalError", "Client.InternalError: Client error on launch")
"""Code and message of the state reason of an instance that cannot use a key."""


def aws_managed_key(state: WorldState) -> str:
    """The key ``aws/ebs`` of the account, which encrypts where no key is named."""
    return f"arn:aws:kms:{state.region}:{state.account_id}:key/aws-ebs-default"


def customer_key(state: WorldState, key: str | None) -> str | None:
    """The ARN of a key that a launch names by its ARN or id; None of ``aws/ebs``, or of no key."""
    if key is None or key in ("alias/aws/ebs", aws_managed_key(state)):
        return None
    arn = f"arn:aws:kms:{state.region}:{state.account_id}:key/{key}"
    return key if key.startswith("arn:") else arn


def lacks_grant(state: WorldState, spec: LaunchSpec) -> bool:
    """Whether a launch is of a spot instance with a key that EC2 spot may not use.

    EC2 accepts such a launch, and the instance ends before it runs.
    """
    keys = {customer_key(state, device.kms_key_id) for device in spec.block_devices} - {None}
    return spec.lifecycle == "spot" and not keys <= state.keys_granted_to_spot
