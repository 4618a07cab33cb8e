"""Load balancers and elastic addresses of an instance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code

Names = Sequence[str]
"""What an instance can be registered by: its id, its private IPv4 address ("" if it has none), its IPv6
addresses. A replacement is registered by its name at the same position."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One target in one target group."""

    target_group_arn: str
    port: int
    state: str
    """``initial``, ``healthy``, ``unhealthy``, ``unhealthy.draining``, ``unused``, ``draining`` or
    ``unavailable`` (ELB API reference, TargetHealth)."""
    reason: str = ""
    position: int = 0
    """Position of the registered name in the instance's ``Names``."""

    @property
    def is_draining(self) -> bool:
        return self.state == "draining"

    @property
    def by_address(self) -> bool:
        return self.position > 0

    @property
    def place(self) -> tuple[str, int, int]:
        """Equal for an instance and its replacement."""
        return self.target_group_arn, self.port, self.position


def read_target_groups(vpc_id: str) -> dict[str, tuple[str, ...]]:
    """The VPC's target groups of type ``instance`` or ``ip``: ARN -> ARNs of the load balancers that
    use it, currently one at most.

    In other VPCs, a private address belongs to another instance.
    """
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    return {
        group["TargetGroupArn"]: tuple(group.get("LoadBalancerArns") or ())
        for page in pages
        for group in page["TargetGroups"]
        if group.get("VpcId") == vpc_id and group.get("TargetType") in ("instance", "ip")
    }


_BALANCERS_MAX = 20
"""Per call (ELB API reference, DescribeLoadBalancers)."""


def read_enabled_zones(load_balancer_arns: Iterable[str]) -> dict[str, frozenset[str]]:
    """ARN of a load balancer -> names of the zones that are enabled for it.

    A target in any other zone is ``unused`` (ELB API reference, TargetHealth), behind load balancers
    of every type (their guides, "Health checks"), also with cross-zone load balancing, which only uses
    enabled zones. Raises ClientError if one has just been deleted.
    """
    arns = sorted(set(load_balancer_arns))
    zones: dict[str, frozenset[str]] = {}
    for start in range(0, len(arns), _BALANCERS_MAX):
        reply = client("elbv2").describe_load_balancers(
            LoadBalancerArns=arns[start : start + _BALANCERS_MAX]
        )
        for row in reply["LoadBalancers"]:
            zones[row["LoadBalancerArn"]] = frozenset(
                zone["ZoneName"] for zone in row.get("AvailabilityZones") or ()
            )
    return zones


def read_registrations(
    target_group_arns: Iterable[str], names: Mapping[str, Names]
) -> dict[str, list[Registration]]:
    """Instance id -> its registrations, including draining ones.

    names: instance id -> all its names.
    """
    owners = {
        name: (instance_id, position)
        for instance_id, each in names.items()
        for position, name in enumerate(each)
        if name
    }
    found: dict[str, list[Registration]] = {instance_id: [] for instance_id in names}
    for arn in target_group_arns:
        reply = client("elbv2").describe_target_health(TargetGroupArn=arn)
        for row in reply["TargetHealthDescriptions"]:
            health, target = row["TargetHealth"], row["Target"]
            if target["Id"] in owners:
                instance_id, position = owners[target["Id"]]
                found[instance_id].append(
                    Registration(
                        arn, target["Port"], health["State"], health.get("Reason", ""), position
                    )
                )
    return found


def register(names: Names, registrations: Iterable[Registration]) -> None:
    """Register an instance in the same groups and ports. Idempotent.

    No availability zone is given: ELB knows that of an address in the group's VPC, and refuses ``all``
    for it (ELB API reference, TargetDescription).
    """
    for each in registrations:
        client("elbv2").register_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": names[each.position], "Port": each.port}],
        )


def deregister(names: Names, registrations: Iterable[Registration]) -> None:
    """Deregister an instance from these groups; its connections drain. Idempotent."""
    for each in registrations:
        client("elbv2").deregister_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": names[each.position], "Port": each.port}],
        )


def read_classic_load_balancers(instance_id: str) -> list[str]:
    """Names of the Classic Load Balancers that an instance is registered with."""
    pages = client("elb").get_paginator("describe_load_balancers").paginate()
    return [
        balancer["LoadBalancerName"]
        for page in pages
        for balancer in page["LoadBalancerDescriptions"]
        if any(row["InstanceId"] == instance_id for row in balancer["Instances"])
    ]


def read_addresses(instance_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Elastic addresses that are associated with any of these instances."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "instance-id", "Values": sorted(instance_ids)}]
    )
    rows: list[dict[str, Any]] = reply["Addresses"]
    return rows


def read_all_addresses() -> list[dict[str, Any]]:
    """All elastic addresses of the region; the response is not paged."""
    rows: list[dict[str, Any]] = client("ec2").describe_addresses()["Addresses"]
    return rows


def read_allocations(allocation_ids: Iterable[str]) -> list[dict[str, Any]]:
    """These elastic addresses, associated or not; released ones are absent."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "allocation-id", "Values": sorted(allocation_ids)}]
    )
    rows: list[dict[str, Any]] = reply["Addresses"]
    return rows


class InstanceEnded(Exception):
    """An address cannot be associated because the instance has ended."""


def take_free_address(allocation_id: str, instance_id: str) -> bool:
    """Associate an unused elastic address; False if it is in use meanwhile. Raises InstanceEnded."""
    try:
        _associate(allocation_id, instance_id, away=False)
    except ClientError as error:
        if error_code(error) == "Resource.AlreadyAssociated":
            return False
        raise
    return True


def move_address(allocation_id: str, instance_id: str) -> None:
    """Associate an elastic address with another instance than now. Raises InstanceEnded."""
    _associate(allocation_id, instance_id, away=True)


def _associate(allocation_id: str, instance_id: str, *, away: bool) -> None:
    try:
        client("ec2").associate_address(
            AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=away
        )
    except ClientError as error:
        # EC2 API reference, error codes: "not in a valid state for the requested action".
        if error_code(error) in ("InvalidInstanceID", "IncorrectInstanceState"):
            raise InstanceEnded(
                f"{instance_id} cannot be given {allocation_id}: {error}"
            ) from error
        raise
