"""Instances and their network, read in batches."""

from collections.abc import Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from spot_optimizer.aws.batches import batches, read_known
from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    WORKLOAD_TAG,
    Record,
    tags_of,
)

_NOT_TERMINATED = ("pending", "running", "shutting-down", "stopping", "stopped")


def read_managed_instances(stack_name: str, *, with_terminated: bool = False) -> list[Record]:
    """All instances that have our tag with this stack's name. Terminated ones, which EC2 shows for about
    an hour, are included on request."""
    states = list(_NOT_TERMINATED)
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


def read_instances_of_workload(
    managed_as: str, workload_id: str, instance_id: str
) -> dict[str, Record]:
    """Instances by id that have our tag and this workload's id, or that are ``instance_id``: without a
    workload tag the instance id is the workload's. Terminated ones are left out."""
    found: dict[str, Record] = {}
    for name, value in ((f"tag:{WORKLOAD_TAG}", workload_id), ("instance-id", instance_id)):
        reply = client("ec2").describe_instances(
            Filters=[
                {"Name": f"tag:{MANAGED_TAG}", "Values": [managed_as]},
                {"Name": "instance-state-name", "Values": list(_NOT_TERMINATED)},
                {"Name": name, "Values": [value]},
            ]
        )
        found |= {i["InstanceId"]: i for r in reply["Reservations"] for i in r["Instances"]}
    return {
        i: row
        for i, row in found.items()
        if (tags_of(row).get(WORKLOAD_TAG, "").strip() or i) == workload_id
    }


def read_instances(instance_ids: Iterable[str]) -> dict[str, Record]:
    """Instances by id; one that EC2 does not know (yet, or any more) is absent.

    Uses a filter, because an unknown id in InstanceIds makes the whole call fail. Without ids, no call.
    """
    found: dict[str, Record] = {}
    for ids in batches(sorted(instance_ids)):
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
    """Whether an instance that once ran has ended or is ending; EC2 shows it for about an hour."""
    row = read_instances([instance_id]).get(instance_id)
    return row is None or row["State"]["Name"] in ("shutting-down", "terminated")


def read_end_reason(instance_id: str) -> str:
    """StateReason code of an instance that is ending or has ended; empty if EC2 gives none."""
    row = read_instances([instance_id]).get(instance_id, {})
    return str(row.get("StateReason", {}).get("Code", ""))


def read_fleet_tokens(fleet_ids: Iterable[str]) -> dict[str, str]:
    """Fleet id -> client token of its CreateFleet call; a fleet that EC2 has deleted is absent.

    Instant fleets are shown only if they are named (EC2 API reference, DescribeFleets).
    """
    rows = read_known(
        fleet_ids,
        lambda ids: client("ec2").describe_fleets(FleetIds=ids)["Fleets"],
        lambda code: code == "InvalidFleetId.NotFound",
    )
    return {row["FleetId"]: row.get("ClientToken") or "" for row in rows}


def read_network() -> tuple[list[Record], list[Record]]:
    """Subnets and route tables of the region."""
    subnets = client("ec2").get_paginator("describe_subnets").paginate()
    tables = client("ec2").get_paginator("describe_route_tables").paginate()
    return (
        [row for page in subnets for row in page["Subnets"]],
        [row for page in tables for row in page["RouteTables"]],
    )


def write_workload_tag(instance_id: str, workload_id: str) -> None:
    """Tag an instance with its workload id; its replacement inherits the tag."""
    client("ec2").create_tags(
        Resources=[instance_id], Tags=[{"Key": WORKLOAD_TAG, "Value": workload_id}]
    )


def read_volumes(instances: Iterable[Record]) -> dict[str, Record]:
    """The volumes attached to these instances, by volume id; unknown ones are absent."""
    ids = [
        mapping["Ebs"]["VolumeId"]
        for instance in instances
        for mapping in instance.get("BlockDeviceMappings") or ()
        if "Ebs" in mapping
    ]
    rows: dict[str, Record] = {}
    for batch in batches(ids):
        reply = client("ec2").describe_volumes(Filters=[{"Name": "volume-id", "Values": batch}])
        rows.update({row["VolumeId"]: row for row in reply["Volumes"]})
    return rows


def read_image_devices(image_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Image id -> device names of its EBS volumes; an image that the account cannot see is absent.

    An image that was deregistered or is no longer shared makes a whole call fail. Deprecated images are
    shown on request only (EC2 API reference, DescribeImages, and "Client error codes").
    """
    images = read_known(
        image_ids,
        lambda ids: client("ec2").describe_images(ImageIds=ids, IncludeDeprecated=True)["Images"],
        _hides_images,
    )
    return {
        row["ImageId"]: frozenset(
            m["DeviceName"] for m in row.get("BlockDeviceMappings") or () if "Ebs" in m
        )
        for row in images
    }


def _hides_images(code: str) -> bool:
    return code.startswith("InvalidAMIID.") or code == "AuthFailure"


def read_credit_modes(instance_ids: Iterable[str]) -> dict[str, str]:
    """Instance id -> ``standard`` or ``unlimited``; for burstable instances only.

    Instances that have just ended, or were given a type without credits, are absent.
    """
    rows = read_known(
        instance_ids,
        lambda ids: client("ec2").describe_instance_credit_specifications(InstanceIds=ids)[
            "InstanceCreditSpecifications"
        ],
        _has_no_credits,
    )
    return {row["InstanceId"]: row["CpuCredits"] for row in rows}


def _has_no_credits(code: str) -> bool:
    return code.startswith("InvalidInstanceID.") or code == (
        "InstanceCreditSpecification.NotSupported"
    )


def read_interface_tags(instances: Iterable[Record]) -> dict[str, dict[str, str]]:
    """Tags of the network interfaces of these instances, by interface id."""
    ids = [
        interface["NetworkInterfaceId"]
        for instance in instances
        for interface in instance.get("NetworkInterfaces") or ()
    ]
    tags: dict[str, dict[str, str]] = {}
    for batch in batches(ids):
        reply = client("ec2").describe_network_interfaces(
            Filters=[{"Name": "network-interface-id", "Values": batch}]
        )
        for row in reply["NetworkInterfaces"]:
            tags[row["NetworkInterfaceId"]] = {t["Key"]: t["Value"] for t in row.get("TagSet", ())}
    return tags


def read_spot_requests(instances: Iterable[Record]) -> dict[str, Record]:
    """Instance id -> its spot request, of the instances that have one."""
    by_request = {
        instance["SpotInstanceRequestId"]: instance["InstanceId"]
        for instance in instances
        if instance.get("SpotInstanceRequestId")
    }
    requests: dict[str, Record] = {}
    for batch in batches(list(by_request)):
        reply = client("ec2").describe_spot_instance_requests(
            Filters=[{"Name": "spot-instance-request-id", "Values": batch}]
        )
        for row in reply["SpotInstanceRequests"]:
            requests[by_request[row["SpotInstanceRequestId"]]] = row
    return requests


@dataclass(frozen=True, slots=True)
class LaunchTemplateSource:
    """GetLaunchTemplateData of one instance, which contains its user data.

    Never logged or stored: it goes into the launch template only.
    """

    data: Record

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
    """Whether the instance has termination protection."""
    reply = client("ec2").describe_instance_attribute(
        InstanceId=instance_id, Attribute="disableApiTermination"
    )
    return bool(reply["DisableApiTermination"]["Value"])


def read_user_data(instance_id: str) -> str | None:
    """User data in base64; None if there is none. Callers hash it at once."""
    reply = client("ec2").describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    value: str | None = reply.get("UserData", {}).get("Value")
    return value


def read_status(instance_id: str) -> Record | None:
    """State and status checks of an instance in any state; None while EC2 does not know it."""
    try:
        reply = client("ec2").describe_instance_status(
            InstanceIds=[instance_id], IncludeAllInstances=True
        )
    except ClientError as error:
        # EC2 is eventually consistent: a new id may be unknown for some seconds.
        if error_code(error) == "InvalidInstanceID.NotFound":
            return None
        raise
    rows = reply["InstanceStatuses"]
    return rows[0] if rows else None


def read_scheduled_events(codes: Iterable[str]) -> dict[str, list[Record]]:
    """Instance id -> its scheduled events, of all running instances of the region that have an event
    with one of these codes. Usually an empty answer to one call."""
    pages = (
        client("ec2")
        .get_paginator("describe_instance_status")
        .paginate(
            Filters=[{"Name": "event.code", "Values": list(codes)}],
            PaginationConfig={"PageSize": 1000},
        )
    )
    rows = (row for page in pages for row in page["InstanceStatuses"])
    return {row["InstanceId"]: list(row.get("Events") or ()) for row in rows}


def end_instance(instance_id: str) -> None:
    """Terminate an instance. Idempotent."""
    client("ec2").terminate_instances(InstanceIds=[instance_id])
