"""The CreateFleet call of a failover: one call tries every spot pool of the standing plan.

EC2 API reference, CreateFleet: an ``instant`` fleet answers synchronously; pools that could not launch
are in ``Errors``, with HTTP 200. EC2 User Guide, "Allocation strategies for Spot Instances":
``capacity-optimized-prioritized`` honors priorities on a best-effort basis, capacity first.

Neither the call nor its overrides accept a credit mode, shutdown behavior or reservation preference.
With a credit mode in the template, EC2 would refuse every type without one (see launch_template.py).
So a burstable replacement gets the account's default mode; ``launch_traits`` keeps the workload's own
for its next switch.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from spot_optimizer.switching.instance_record import SWITCH_TAG, Record
from spot_optimizer.switching.launch_request import client_token
from spot_optimizer.switching.next_candidate import Placement

_Candidate = TypeVar("_Candidate", bound=Placement)


def create_fleet_request(
    candidates: Sequence[Placement],
    *,
    template_id: str,
    template_version: int,
    template_data: Record,
    switch_id: str,
    switch_hash: str,
    attempt: int,
) -> dict[str, Any]:
    """The parameters of CreateFleet that launch one spot instance in one of ``candidates``.

    The instance has its tags and its switch's from the start; the template tags volumes and
    interfaces.
    """
    switch = {"Key": SWITCH_TAG, "Value": switch_id}
    tags = next(
        each["Tags"]
        for each in template_data["TagSpecifications"]
        if each["ResourceType"] == "instance"
    )
    return {
        "Type": "instant",
        "ClientToken": client_token(switch_hash, attempt),
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "SpotTargetCapacity": 1,
            "OnDemandTargetCapacity": 0,
            "DefaultTargetCapacityType": "spot",
        },
        "SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"},
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": template_id,
                    "Version": str(template_version),
                },
                "Overrides": [
                    {
                        "InstanceType": candidate.instance_type,
                        "SubnetId": candidate.subnet_id,
                        "Priority": float(rank),
                    }
                    for rank, candidate in enumerate(candidates)
                ],
            }
        ],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [*tags, switch]}],
    }


def chosen_candidate(candidates: Sequence[_Candidate], launched: Record) -> _Candidate:
    """The candidate of a row of ``Instances`` in CreateFleet's response."""
    override = launched["LaunchTemplateAndOverrides"]["Overrides"]
    return next(
        candidate
        for candidate in candidates
        if (candidate.instance_type, candidate.subnet_id)
        == (override["InstanceType"], override["SubnetId"])
    )
