"""The RunInstances call that launches one candidate from a workload's launch template.

EC2 API reference, RunInstances: "Any additional parameters that you specify for the new instance
overwrite the corresponding parameters included in the launch template"; a subnet or security groups
beside a network interface are refused (InvalidParameterCombination). So the request has the complete
interface and tags: the result is the same whether EC2 merges or replaces them.
"""

from hashlib import sha256
from typing import Any

from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    is_burstable,
)
from spot_optimizer.switching.launch_traits import LaunchTraits
from spot_optimizer.switching.next_candidate import Placement
from spot_optimizer.vocabulary import Lifecycle

CLIENT_TOKEN_CHARACTERS_MAX = 64


def switch_hash(switch_id: str) -> str:
    """The start of a switch's client tokens, 32 hexadecimal digits."""
    return sha256(switch_id.encode()).hexdigest()[:32]


def client_token(switch_hash: str, attempt: int) -> str:
    """The token that makes a repeated call return the instance of the first; one per attempt.

    Raises ValueError if it would be longer than EC2 accepts.
    """
    token = f"{switch_hash}-{attempt}"
    if not token.isascii() or len(token) > CLIENT_TOKEN_CHARACTERS_MAX:
        raise ValueError(
            f"client token '{token}' is not ASCII of up to {CLIENT_TOKEN_CHARACTERS_MAX} characters"
        )
    return token


def is_token_of(switch_id: str, token: str) -> bool:
    """Whether a client token is one of this switch's attempts."""
    return bool(switch_id) and token.startswith(f"{switch_hash(switch_id)}-")


def run_instances_request(
    candidate: Placement,
    *,
    template_id: str,
    template_version: int,
    template_data: Record,
    traits: LaunchTraits,
    switch_id: str,
    switch_hash: str,
    attempt: int,
) -> dict[str, Any]:
    """The parameters of RunInstances that launch exactly one instance of ``candidate``.

    ``template_data`` is the data of that version of the template. A spot launch is a one-time request,
    which ends with its instance. It has no maximum price: according to AWS, one makes interruptions
    more frequent.
    """
    spot = candidate.lifecycle is Lifecycle.SPOT
    request: dict[str, Any] = {
        "LaunchTemplate": {"LaunchTemplateId": template_id, "Version": str(template_version)},
        "InstanceType": candidate.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": client_token(switch_hash, attempt),
        "NetworkInterfaces": [
            {**interface, "SubnetId": candidate.subnet_id}
            for interface in template_data["NetworkInterfaces"]
        ],
        "TagSpecifications": _tag_specifications(template_data, switch_id, spot=spot),
    }
    if spot:
        request["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {
                "SpotInstanceType": "one-time",
                "InstanceInterruptionBehavior": "terminate",
            },
        }
    else:
        request.update(_on_demand_options(traits))
    if traits.cpu_credits and is_burstable(candidate.instance_type):
        request["CreditSpecification"] = {"CpuCredits": traits.cpu_credits}
    return request


def _on_demand_options(traits: LaunchTraits) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if traits.shutdown_behavior:
        options["InstanceInitiatedShutdownBehavior"] = traits.shutdown_behavior
    if traits.capacity_reservation_preference:
        options["CapacityReservationSpecification"] = {
            "CapacityReservationPreference": traits.capacity_reservation_preference
        }
    return options


def _tag_specifications(
    template_data: Record, switch_id: str, *, spot: bool
) -> list[dict[str, Any]]:
    switch = {"Key": SWITCH_TAG, "Value": switch_id}
    specifications = [
        {"ResourceType": each["ResourceType"], "Tags": [*each["Tags"], switch]}
        for each in template_data["TagSpecifications"]
    ]
    if spot:
        instance_tags = next(
            each["Tags"] for each in specifications if each["ResourceType"] == "instance"
        )
        ours = [tag for tag in instance_tags if tag["Key"] in (MANAGED_TAG, WORKLOAD_TAG)]
        specifications.append({"ResourceType": "spot-instances-request", "Tags": [*ours, switch]})
    return specifications
