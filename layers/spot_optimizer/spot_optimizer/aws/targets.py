"""Target groups and elastic addresses: what turns traffic towards an instance."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spot_optimizer.aws.clients import client


@dataclass(frozen=True, slots=True)
class Registration:
    """One instance in one target group."""

    target_group_arn: str
    port: int
    state: str
    """``initial``, ``healthy``, ``unhealthy``, ``unhealthy.draining``, ``unused``, ``draining`` or
    ``unavailable`` (ELB API reference, TargetHealth)."""
    reason: str = ""

    @property
    def leaves(self) -> bool:
        return self.state == "draining"


def read_target_groups(vpc_id: str) -> list[str]:
    """ARNs of the VPC's target groups that hold instances."""
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    return [
        group["TargetGroupArn"]
        for page in pages
        for group in page["TargetGroups"]
        if group.get("VpcId") == vpc_id and group.get("TargetType") == "instance"
    ]


def read_registrations(
    target_group_arns: Iterable[str], instance_ids: Iterable[str]
) -> dict[str, list[Registration]]:
    """Instance id -> where it is registered, draining registrations included."""
    found: dict[str, list[Registration]] = {instance_id: [] for instance_id in instance_ids}
    for arn in target_group_arns:
        reply = client("elbv2").describe_target_health(TargetGroupArn=arn)
        for row in reply["TargetHealthDescriptions"]:
            health, target = row["TargetHealth"], row["Target"]
            if target["Id"] in found:
                found[target["Id"]].append(
                    Registration(arn, target["Port"], health["State"], health.get("Reason", ""))
                )
    return found


def register(instance_id: str, registrations: Iterable[Registration]) -> None:
    """Register an instance at the same groups and ports. Doing it twice changes nothing."""
    for each in registrations:
        client("elbv2").register_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": instance_id, "Port": each.port}],
        )


def deregister(instance_id: str, registrations: Iterable[Registration]) -> None:
    """Take an instance out of these groups; its connections drain. Doing it twice changes nothing."""
    for each in registrations:
        client("elbv2").deregister_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": instance_id, "Port": each.port}],
        )


def read_addresses(instance_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Elastic addresses associated with any of these instances."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "instance-id", "Values": sorted(instance_ids)}]
    )
    rows: list[dict[str, Any]] = reply["Addresses"]
    return rows


def move_address(allocation_id: str, instance_id: str) -> None:
    """Associate an elastic address with another instance, away from where it is."""
    client("ec2").associate_address(
        AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=True
    )
