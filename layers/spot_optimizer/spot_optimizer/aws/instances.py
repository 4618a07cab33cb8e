"""Instances and their network, read in batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    WORKLOAD_TAG,
    Record,
)

IDS_MAX = 200
"""Ids per describe call: far below every limit, and an invalid id fails fewer others."""


def read_managed_instances(
    stack_name: str, *, with_terminated: bool = False
) -> list[dict[str, Any]]:
    """All instances that have our tag with this stack's name; terminated ones, which EC2 shows for
    about an hour, only on request."""
    states = ["pending", "running", "shutting-down", "stopping", "stopped"]
    pages = (
        client("ec2")
        .get_paginator("describe_instances")
        .paginate(
            Filters=[
                {"Name": f"tag:{MANAGED_TAG}", "Values": [stack_name]},
                {
                    "Name": "instance-state-name",
                    "Values": [*states, "terminated"] if with_terminated else states,
                },
            ],
            PaginationConfig={"PageSize": 1000},
        )
    )
    return [i for page in pages for r in page["Reservations"] for i in r["Instances"]]


def read_instances(instance_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Instances by id; one that EC2 does not know (yet, or any more) is absent.

    By filter: an unknown id in ``InstanceIds`` would fail the whole call. No call without ids.
    """
    found: dict[str, dict[str, Any]] = {}
    for ids in _batches(sorted(instance_ids)):
        reply = client("ec2").describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])
        found |= {i["InstanceId"]: i for r in reply["Reservations"] for i in r["Instances"]}
    return found


def read_holders(private_address: str, vpc_id: str) -> list[str]:
    """Ids of the instances that currently have this private IPv4 address of a VPC."""
    reply = client("ec2").describe_instances(
        Filters=[
            {
                "Name": "network-interface.addresses.private-ip-address",
                "Values": [private_address],
            },
            {"Name": "vpc-id", "Values": [vpc_id]},
        ]
    )
    return [i["InstanceId"] for r in reply["Reservations"] for i in r["Instances"]]


def is_gone(instance_id: str) -> bool:
    """Whether an instance that once ran is ending or has ended; EC2 forgets it an hour later."""
    row = read_instances([instance_id]).get(instance_id)
    return row is None or row["State"]["Name"] in ("shutting-down", "terminated")


def read_end_reason(instance_id: str) -> str:
    """StateReason code of an instance that is ending or has ended; empty if EC2 gives none."""
    row = read_instances([instance_id]).get(instance_id, {})
    return str(row.get("StateReason", {}).get("Code", ""))


def read_fleet_tokens(fleet_ids: Iterable[str]) -> dict[str, str]:
    """Fleet id -> the client token of its CreateFleet; a fleet that EC2 has forgotten is absent.
    Instant fleets are only shown by id (EC2 API reference, DescribeFleets)."""
    tokens: dict[str, str] = {}
    todo = list(_batches(sorted(fleet_ids)))
    while todo:
        ids = todo.pop()
        try:
            reply = client("ec2").describe_fleets(FleetIds=ids)
        except ClientError as error:
            if error_code(error) != "InvalidFleetId.NotFound":
                raise
            # One unknown id fails the whole call: halving finds it in few calls.
            middle = len(ids) // 2
            todo += [half for half in (ids[:middle], ids[middle:]) if middle]
        else:
            tokens |= {row["FleetId"]: row.get("ClientToken") or "" for row in reply["Fleets"]}
    return tokens


def read_network() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Subnets and route tables of the region."""
    subnets = client("ec2").get_paginator("describe_subnets").paginate()
    tables = client("ec2").get_paginator("describe_route_tables").paginate()
    return (
        [row for page in subnets for row in page["Subnets"]],
        [row for page in tables for row in page["RouteTables"]],
    )


def write_workload_tag(instance_id: str, workload_id: str) -> None:
    """Tag an instance with its workload's id, which its replacements inherit."""
    client("ec2").create_tags(
        Resources=[instance_id], Tags=[{"Key": WORKLOAD_TAG, "Value": workload_id}]
    )


def read_volumes(instances: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """The volumes of these instances, by volume id; unknown ones are absent."""
    ids = [
        mapping["Ebs"]["VolumeId"]
        for instance in instances
        for mapping in instance.get("BlockDeviceMappings") or ()
        if "Ebs" in mapping
    ]
    rows: dict[str, dict[str, Any]] = {}
    for batch in _batches(ids):
        reply = client("ec2").describe_volumes(Filters=[{"Name": "volume-id", "Values": batch}])
        rows.update({row["VolumeId"]: row for row in reply["Volumes"]})
    return rows


def read_image_devices(image_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Image id -> device names of its EBS volumes; an image that the account cannot see (any more) is
    absent.

    An image that was deregistered or is not shared any more fails the whole call; deprecated ones are
    only shown on request (EC2 API reference, DescribeImages, and "Client error codes").
    """
    found: dict[str, frozenset[str]] = {}
    for batch in _batches(sorted(set(image_ids))):
        try:
            reply = client("ec2").describe_images(ImageIds=batch, IncludeDeprecated=True)
        except ClientError as error:
            if not _hides_images(error_code(error)):
                raise
            reply = {"Images": []}
            for image_id in batch if len(batch) > 1 else ():
                found |= read_image_devices([image_id])
        for row in reply["Images"]:
            mappings = row.get("BlockDeviceMappings") or ()
            found[row["ImageId"]] = frozenset(m["DeviceName"] for m in mappings if "Ebs" in m)
    return found


def _hides_images(code: str) -> bool:
    return code.startswith("InvalidAMIID.") or code == "AuthFailure"


def read_credit_modes(instance_ids: Iterable[str]) -> dict[str, str]:
    """Instance id -> ``standard`` or ``unlimited``; only for burstable instances."""
    modes: dict[str, str] = {}
    for batch in _batches(list(instance_ids)):
        try:
            reply = client("ec2").describe_instance_credit_specifications(InstanceIds=batch)
        except ClientError as error:
            if error_code(error) == "InvalidInstanceID.NotFound":
                continue
            raise
        modes.update(
            {row["InstanceId"]: row["CpuCredits"] for row in reply["InstanceCreditSpecifications"]}
        )
    return modes


def read_interface_tags(instances: Iterable[Record]) -> dict[str, dict[str, str]]:
    """Tags of the network interfaces of these instances, by interface id."""
    ids = [
        interface["NetworkInterfaceId"]
        for instance in instances
        for interface in instance.get("NetworkInterfaces") or ()
    ]
    tags: dict[str, dict[str, str]] = {}
    for batch in _batches(ids):
        reply = client("ec2").describe_network_interfaces(
            Filters=[{"Name": "network-interface-id", "Values": batch}]
        )
        for row in reply["NetworkInterfaces"]:
            tags[row["NetworkInterfaceId"]] = {t["Key"]: t["Value"] for t in row.get("TagSet", ())}
    return tags


def read_persistent_requests(instances: Iterable[Record]) -> dict[str, str]:
    """Instance id -> id of its spot request, if that is persistent: it would launch another instance
    after this one ends (EC2 User Guide, "Persistent Spot Instance requests")."""
    by_request = {
        instance["SpotInstanceRequestId"]: instance["InstanceId"]
        for instance in instances
        if instance.get("SpotInstanceRequestId")
    }
    persistent: dict[str, str] = {}
    for batch in _batches(list(by_request)):
        reply = client("ec2").describe_spot_instance_requests(
            Filters=[{"Name": "spot-instance-request-id", "Values": batch}]
        )
        for row in reply["SpotInstanceRequests"]:
            if row.get("Type") == "persistent":
                request_id = row["SpotInstanceRequestId"]
                persistent[by_request[request_id]] = request_id
    return persistent


@dataclass(frozen=True, slots=True)
class LaunchTemplateSource:
    """GetLaunchTemplateData of one instance, the only response with its user data. It goes into the
    launch template and is neither logged nor stored."""

    data: dict[str, Any]

    @property
    def termination_protection(self) -> bool:
        return bool(self.data.get("DisableApiTermination"))

    @property
    def stop_protection(self) -> bool:
        return bool(self.data.get("DisableApiStop"))

    def __repr__(self) -> str:
        return "LaunchTemplateSource(...)"


def read_launch_template_source(instance_id: str) -> LaunchTemplateSource:
    """One instance as the data of a launch template."""
    reply = client("ec2").get_launch_template_data(InstanceId=instance_id)
    return LaunchTemplateSource(reply["LaunchTemplateData"])


def termination_is_protected(instance_id: str) -> bool:
    """Whether EC2 would currently refuse to terminate this instance."""
    reply = client("ec2").describe_instance_attribute(
        InstanceId=instance_id, Attribute="disableApiTermination"
    )
    return bool(reply["DisableApiTermination"]["Value"])


def read_user_data(instance_id: str) -> str | None:
    """User data in base64, to be hashed at once; None if there is none."""
    reply = client("ec2").describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    value: str | None = reply.get("UserData", {}).get("Value")
    return value


def read_status(instance_id: str) -> dict[str, Any] | None:
    """State and status checks of an instance in any state; None while EC2 does not know it."""
    try:
        reply = client("ec2").describe_instance_status(
            InstanceIds=[instance_id], IncludeAllInstances=True
        )
    except ClientError as error:
        # EC2 is eventually consistent: a new id may be unknown for seconds.
        if error_code(error) == "InvalidInstanceID.NotFound":
            return None
        raise
    rows = reply["InstanceStatuses"]
    return rows[0] if rows else None


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(ids), IDS_MAX):
        yield ids[first : first + IDS_MAX]


def end_instance(instance_id: str) -> None:
    """Terminate an instance. Idempotent."""
    client("ec2").terminate_instances(InstanceIds=[instance_id])
