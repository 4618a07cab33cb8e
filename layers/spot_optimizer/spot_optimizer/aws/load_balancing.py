"""Load balancers and Elastic IP addresses of instances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from spot_optimizer.aws.batches import read_known
from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.instance_record import Record

Names = Sequence[str]
"""Names by which an instance may be registered: its id, its private IPv4 address ("" if it has none), its
IPv6 addresses. A name of an instance is replaced by the name at the same position of its replacement."""


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
    """Position of the registered name among the instance's names."""

    @property
    def is_draining(self) -> bool:
        return self.state == "draining"

    @property
    def by_address(self) -> bool:
        return self.position > 0

    @property
    def place(self) -> tuple[str, int, int]:
        """Group, port and position: equal for an instance and its replacement."""
        return self.target_group_arn, self.port, self.position


def read_target_groups(vpc_id: str) -> dict[str, tuple[str, ...]]:
    """ARN of a target group of the VPC, of type ``instance`` or ``ip`` -> ARNs of its load balancers (ELB
    allows one at most).

    Groups of other VPCs are ignored: there, the same private address belongs to another instance.
    """
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    return {
        group["TargetGroupArn"]: tuple(group.get("LoadBalancerArns") or ())
        for page in pages
        for group in page["TargetGroups"]
        if group.get("VpcId") == vpc_id and group.get("TargetType") in ("instance", "ip")
    }


def existing_target_groups(target_group_arns: Iterable[str]) -> tuple[str, ...]:
    """Those of these target groups that have not been deleted, in their order."""
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    existing = {group["TargetGroupArn"] for page in pages for group in page["TargetGroups"]}
    return tuple(arn for arn in target_group_arns if arn in existing)


_BALANCERS_MAX = 20
"""Load balancers in one call (ELB API reference, DescribeLoadBalancers)."""


def read_enabled_zones(load_balancer_arns: Iterable[str]) -> dict[str, frozenset[str]]:
    """ARN of a load balancer -> names of its enabled zones.

    A target in another zone is ``unused`` (ELB API reference, TargetHealth). This holds for each type of
    load balancer (their guides, "Health checks"), also with cross-zone load balancing, which distributes
    over the enabled zones only. A load balancer that has just been deleted is absent.
    """
    rows = read_known(
        load_balancer_arns,
        lambda arns: client("elbv2").describe_load_balancers(LoadBalancerArns=arns)[
            "LoadBalancers"
        ],
        lambda code: code == "LoadBalancerNotFound",
        most=_BALANCERS_MAX,
    )
    return {
        row["LoadBalancerArn"]: frozenset(
            zone["ZoneName"] for zone in row.get("AvailabilityZones") or ()
        )
        for row in rows
    }


def read_registrations(
    target_group_arns: Iterable[str], names: Mapping[str, Names]
) -> dict[str, list[Registration]]:
    """Instance id -> its registrations, draining ones included.

    ``names``: instance id -> all its names. Raises TargetGroupDeleted.
    """
    owners = {
        name: (instance_id, position)
        for instance_id, each in names.items()
        for position, name in enumerate(each)
        if name
    }
    found: dict[str, list[Registration]] = {instance_id: [] for instance_id in names}
    for arn in target_group_arns:
        try:
            reply = client("elbv2").describe_target_health(TargetGroupArn=arn)
        except ClientError as error:
            if error_code(error) != "TargetGroupNotFound":
                raise
            raise TargetGroupDeleted(arn) from error
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


class TargetGroupDeleted(Exception):
    """A target group has been deleted since it was listed; the text is its ARN."""


def register(names: Names, registrations: Iterable[Registration]) -> None:
    """Register an instance in the same groups and at the same ports. Idempotent.

    Names no availability zone: ELB derives it for an address in the group's VPC and refuses ``all`` (ELB
    API reference, TargetDescription). A group that refuses does not keep the instance out of the others:
    all are tried before the first error is raised.
    """
    first: ClientError | None = None
    for each in registrations:
        try:
            client("elbv2").register_targets(
                TargetGroupArn=each.target_group_arn,
                Targets=[{"Id": names[each.position], "Port": each.port}],
            )
        except ClientError as error:
            first = first or error
    if first is not None:
        raise first


def deregister(names: Names, registrations: Iterable[Registration]) -> None:
    """Deregister an instance from these groups; its connections drain. Idempotent."""
    for each in registrations:
        client("elbv2").deregister_targets(
            TargetGroupArn=each.target_group_arn,
            Targets=[{"Id": names[each.position], "Port": each.port}],
        )


def read_classic_load_balancers(instance_id: str) -> list[str]:
    """Names of the Classic Load Balancers with which an instance is registered."""
    pages = client("elb").get_paginator("describe_load_balancers").paginate()
    return [
        balancer["LoadBalancerName"]
        for page in pages
        for balancer in page["LoadBalancerDescriptions"]
        if any(row["InstanceId"] == instance_id for row in balancer["Instances"])
    ]


def read_addresses(instance_ids: Iterable[str]) -> list[Record]:
    """Elastic IP addresses that are associated with any of these instances."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "instance-id", "Values": sorted(instance_ids)}]
    )
    return list(reply["Addresses"])


def read_all_addresses() -> list[Record]:
    """All Elastic IP addresses of the region; the API does not page them."""
    return list(client("ec2").describe_addresses()["Addresses"])


def read_allocations(allocation_ids: Iterable[str]) -> list[Record]:
    """These Elastic IP addresses, associated or not; a released one is absent."""
    reply = client("ec2").describe_addresses(
        Filters=[{"Name": "allocation-id", "Values": sorted(allocation_ids)}]
    )
    return list(reply["Addresses"])


class InstanceEnded(Exception):
    """An address cannot be associated because the instance has ended."""


def take_free_address(allocation_id: str, instance_id: str) -> bool:
    """Associate an Elastic IP address that is not associated. False if it is associated by now. Raises
    InstanceEnded."""
    try:
        _associate(allocation_id, instance_id, away=False)
    except ClientError as error:
        if error_code(error) == "Resource.AlreadyAssociated":
            return False
        raise
    return True


def move_address(allocation_id: str, instance_id: str) -> None:
    """Associate an Elastic IP address with an instance, wherever it is associated now. Raises
    InstanceEnded."""
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
