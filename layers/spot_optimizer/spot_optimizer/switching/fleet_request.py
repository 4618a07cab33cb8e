"""The CreateFleet call of a rescue: one call tries every spot pool of the standing plan.

EC2 API reference, CreateFleet: an ``instant`` fleet answers at once; pools that could not launch are
in ``Errors``, with HTTP 200. EC2 user guide, "Allocation strategies for Spot Instances":
``capacity-optimized-prioritized`` honours priorities on a best-effort basis, capacity first.

Neither call nor overrides take credit mode, shutdown behaviour or reservation preference. A template
that bore a credit mode would make EC2 refuse every type without one (see launch_template.py), so a
burstable replacement runs in the account's default mode; ``launch_traits`` keeps the workload's own for
its next move.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from spot_optimizer.switching.instance_record import SWITCH_TAG, Record
from spot_optimizer.switching.launch_request import LaunchCandidate, client_token

_Candidate = TypeVar("_Candidate", bound=LaunchCandidate)


def create_fleet_request(
    candidates: Sequence[LaunchCandidate],
    *,
    template_id: str,
    template_version: int,
    template_data: Record,
    switch_id: str,
    switch_hash: str,
    attempt: int,
) -> dict[str, Any]:
    """The parameters of CreateFleet that launch one spot instance in one of ``candidates``.

    The instance bears its tags and its switch from the first moment; volumes and interfaces are
    tagged by the template.
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
    """Which candidate a row of ``Instances`` in CreateFleet's answer is."""
    override = launched["LaunchTemplateAndOverrides"]["Overrides"]
    return next(
        candidate
        for candidate in candidates
        if (candidate.instance_type, candidate.subnet_id)
        == (override["InstanceType"], override["SubnetId"])
    )
