"""Customer managed keys of volumes, and the grant without which no spot instance starts with them.

Sources: EC2 user guide, "Service-linked role for Spot Instance requests", "Grant access to customer
managed keys for use with encrypted AMIs and EBS snapshots" (a grant for AWSServiceRoleForEC2Spot), and
"Troubleshoot instance launch issues", "Instance terminates immediately"; API_StateReason,
``Client.InternalError``. The message is as users report it: aws-samples/
aws-service-catalog-reference-architectures #103, aws/karpenter-provider-aws #933 of a spot instance. That
a new volume without a snapshot needs the grant too is assumed.
"""

from simulator.world.model import LaunchSpec
from simulator.world.operations import Params, Reply, operation
from simulator.world.state import WorldState

__all__ = ["LAUNCH_FAILED", "aws_managed_key", "customer_key", "lacks_key"]

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


def lacks_key(state: WorldState, spec: LaunchSpec) -> bool:
    """Whether a launch needs a key that is disabled, or that EC2 spot may not use.

    EC2 accepts such a launch, and the instance ends before it runs.
    """
    keys = {customer_key(state, device.kms_key_id) for device in spec.block_devices} - {None}
    lacks_grant = spec.lifecycle == "spot" and not keys <= state.keys_granted_to_spot
    return lacks_grant or not keys.isdisjoint(state.disabled_keys)


@operation("kms", "DescribeKey")
def describe_key(state: WorldState, params: Params) -> Reply:
    """API_DescribeKey of KMS. Every key exists here, and is enabled until somebody disables it."""
    arn = params["KeyId"]
    disabled = arn in state.disabled_keys
    return {
        "KeyMetadata": {
            "KeyId": arn.rpartition("/")[2],
            "Arn": arn,
            "Enabled": not disabled,
            "KeyState": "Disabled" if disabled else "Enabled",
            "KeyManager": "AWS" if arn == aws_managed_key(state) else "CUSTOMER",
        }
    }
