"""Ownership: which AWS service or tool already replaces an instance."""

from collections.abc import Mapping

from spot_optimizer.switching.instance_record import (
    FLEET_TAG,
    Record,
    tags_of,
)

_OWNERS: Mapping[str, str] = {
    "aws:autoscaling:groupName": "an Auto Scaling group",
    "eks:nodegroup-name": "an EKS node group",
    "eks:cluster-name": "an EKS cluster",
    "aws:eks:cluster-name": "an EKS cluster",
    "alpha.eksctl.io/nodegroup-name": "an EKS node group",
    "karpenter.sh/nodepool": "a Karpenter node pool",
    "karpenter.sh/provisioner-name": "a Karpenter provisioner",
    "aws:batch:compute-environment": "an AWS Batch compute environment",
    "AWSBatchServiceTag": "an AWS Batch compute environment",
    "aws:elasticmapreduce:job-flow-id": "an EMR cluster",
    "elasticbeanstalk:environment-id": "an Elastic Beanstalk environment",
    "elasticbeanstalk:environment-name": "an Elastic Beanstalk environment",
    "aws:ec2spot:fleet-request-id": "a Spot Fleet",
}
"""Tags that a service puts on the instances that it replaces."""


def other_owner(instance: Record, own_fleet_ids: frozenset[str] = frozenset()) -> str | None:
    """The other owner that replaces this instance, as a refusal; None if there is none.

    ``own_fleet_ids`` are the stack's own instant fleets, which also leave a tag but replace nothing.
    """
    tags = tags_of(instance)
    for key, service in _OWNERS.items():
        if key in tags:
            return f"{service} owns it ({key} = {tags[key]}) and replaces it"
    cluster = next((key for key in tags if key.startswith("kubernetes.io/cluster/")), None)
    if cluster:
        return f"it is a Kubernetes node ({cluster}), which must be drained first"
    fleet = tags.get(FLEET_TAG)
    if fleet and fleet not in own_fleet_ids:
        return f"the EC2 Fleet {fleet} owns it and maintains its own capacity"
    if (instance.get("Operator") or {}).get("Managed"):
        return f"it is managed by {instance['Operator'].get('Principal', 'an AWS service')}"
    return None
