"""Ownership: which AWS service or tool already replaces an instance."""

import base64
import binascii
import re
import zlib
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
    "spotinst:aws:ec2:group:id": "a Spot (Spotinst) Elastigroup or Ocean",
    "spotinst:aws:ec2:group:createdBy": "a Spot (Spotinst) Elastigroup or Ocean",
    "parallelcluster:cluster-name": "an AWS ParallelCluster",
    "aws:pcs:compute-node-group-id": "an AWS PCS compute node group",
    "aws:pcs:cluster-id": "an AWS PCS cluster",
    "ray-cluster-name": "a Ray cluster",
    "ray:ClusterName": "a Ray cluster",
    "AmazonECSManaged": "an ECS capacity provider",
}
"""Tags that a service or tool puts on the instances that it replaces.

Not all are in AWS's documentation. ``spotinst:``: filters of clients of Spot's API, which find by them
the instances of Elastigroups and of Ocean. ``parallelcluster:``: AWS ParallelCluster user guide,
"AWS ParallelCluster resources and tagging"; clustermgtd finds its nodes by it. ``aws:pcs:``: the filter
by which AWS's PCS examples find the nodes of a group. ``ray-``: Ray's ``autoscaler/tags.py``, which
SkyPilot uses too; ``ray:`` in its first versions. ``AmazonECSManaged``: ECS developer guide, "Amazon ECS
cluster auto scaling"."""

ECS_INSTANCE_PROFILE = "ecsInstanceRole"
"""The instance profile that the ECS and AWS Batch consoles create (ECS developer guide, "Amazon ECS
container instance IAM role")."""
_ECS_AGENT = re.compile(r"/etc/ecs/ecs\.config|\bECS_CLUSTER\b|settings\.ecs\b")
"""How user data joins a cluster (ECS developer guide, "Amazon ECS container agent configuration"):
the agent's file, its variable, or Bottlerocket's settings."""
_USER_DATA_BYTES_MAX = 1024 * 1024
"""Compressed user data of 16 KB may expand to more than can be user data."""


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
    profile = (instance.get("IamInstanceProfile") or {}).get("Arn", "")
    if profile.rpartition("/")[2] == ECS_INSTANCE_PROFILE:
        return (
            f"its instance profile {ECS_INSTANCE_PROFILE} is that of ECS container instances, whose tasks"
            " must be drained first; give it another profile if it runs no tasks"
        )
    if (instance.get("Operator") or {}).get("Managed"):
        return f"it is managed by {instance['Operator'].get('Principal', 'an AWS service')}"
    return None


def joins_ecs_cluster(user_data: str | None) -> bool:
    """Whether user data (base64, as EC2 returns it) configures an ECS container agent."""
    try:
        content = base64.b64decode(user_data or "")
        if content.startswith(b"\x1f\x8b"):  # cloud-init accepts gzip
            content = zlib.decompressobj(wbits=31).decompress(content, _USER_DATA_BYTES_MAX)
    except (binascii.Error, zlib.error):
        return False
    return _ECS_AGENT.search(content.decode(errors="replace")) is not None
