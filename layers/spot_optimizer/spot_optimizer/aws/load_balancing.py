"""Load balancers and elastic addresses: what turns traffic towards an instance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.instance_record import Record

Names = Sequence[str]
"""What an instance is registered by: its id, its private IPv4 address ("" if it has none), its IPv6
addresses. Names at the same position stand for each other when an instance replaces another."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One instance in one target group."""

    target_group_arn: str
    port: int
    state: str
    """``initial``, ``healthy``, ``unhealthy``, ``unhealthy.draining``, ``unused``, ``draining`` or
    ``unavailable`` (ELB API reference, TargetHealth)."""
    reason: str = ""
    position: int = 0
    """Of the name that is registered, among the instance's names."""

    @property
    def leaves(self) -> bool:
        return self.state == "draining"

    @property
    def by_address(self) -> bool:
        return self.position > 0

    @property
    def place(self) -> tuple[str, int, int]:
        """The same for an instance and for its replacement."""
        return self.target_group_arn, self.port, self.position


def read_target_groups(vpc_id: str) -> dict[str, tuple[str, ...]]:
    """The VPC's target groups that hold instances or addresses: ARN -> ARNs of the load balancers
    that use it, one at most as ELB is now.

    Groups of type ``ip`` of other VPCs are left out: a private address means another machine there.
    """
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    return {
        group["TargetGroupArn"]: tuple(group.get("LoadBalancerArns") or ())
        for page in pages
        for group in page["TargetGroups"]
        if group.get("VpcId") == vpc_id and group.get("TargetType") in ("instance", "ip")
    }


_BALANCERS_MAX = 20
"""In a call (ELB API reference, DescribeLoadBalancers)."""


def read_enabled_zones(load_balancer_arns: Iterable[str]) -> dict[str, frozenset[str]]:
    """ARN of a load balancer -> names of the zones that are enabled for it.

    A target in any other zone is ``unused`` (ELB API reference, TargetHealth), behind a load balancer
    of each type (its guide, "Health checks"), and also with cross-zone load balancing, which spreads
    over the enabled zones alone. Raises ClientError for one that has just been deleted.
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
    """Instance id -> where it is registered, draining registrations included.

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
    """Register an instance at the same groups and ports. Doing it twice changes nothing.

    No availability zone is named: ELB knows that of an address in the group's VPC, and refuses
    ``all`` for it (ELB API reference, TargetDescription).
    """
    for each in registrations:
        client("elbv2").register_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": names[each.position], "Port": each.port}],
        )


def deregister(names: Names, registrations: Iterable[Registration]) -> None:
    """Take an instance out of these groups; its connections drain. Doing it twice changes nothing."""
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


def read_addresses(instance_ids: Iterable[str]) -> list[Record]:
    """Elastic addresses associated with any of these instances."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "instance-id", "Values": sorted(instance_ids)}]
    )
    return list(reply["Addresses"])


def read_all_addresses() -> list[Record]:
    """All elastic addresses of the region; the reply is not paged."""
    return list(client("ec2").describe_addresses()["Addresses"])


def read_allocations(allocation_ids: Iterable[str]) -> list[Record]:
    """These elastic addresses, wherever they are; one that was released is absent."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "allocation-id", "Values": sorted(allocation_ids)}]
    )
    return list(reply["Addresses"])


class InstanceEnded(Exception):
    """An address cannot be associated: the instance has ended."""


def take_free_address(allocation_id: str, instance_id: str) -> bool:
    """Associate an elastic address that is with nobody; False where somebody was faster. Raises
    MachineEnded."""
    try:
        _associate(allocation_id, instance_id, away=False)
    except ClientError as error:
        if error_code(error) == "Resource.AlreadyAssociated":
            return False
        raise
    return True


def move_address(allocation_id: str, instance_id: str) -> None:
    """Associate an elastic address with another instance, away from where it is. Raises
    MachineEnded."""
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
