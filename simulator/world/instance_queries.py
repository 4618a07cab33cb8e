"""What can be asked about instances, and the attributes that can be changed."""

from datetime import timedelta
from typing import Any

from simulator.world.catalog import instance_types
from simulator.world.errors import AwsError, reject_unmodelled
from simulator.world.instance_rows import (
    block_device_row,
    instance_row,
    launch_template_data,
)
from simulator.world.instances import find, state_row
from simulator.world.model import Instance
from simulator.world.network import group_rows
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, no_paging_with_ids, page
from simulator.world.scheduled_events import event_rows
from simulator.world.state import WorldState
from simulator.world.visibility import is_hidden

_FILTERS = {
    "instance-id": "InstanceId",
    "instance-type": "InstanceType",
    "instance-state-name": "State.Name",
    "instance-state-code": "State.Code",
    "instance-lifecycle": "InstanceLifecycle",
    "spot-instance-request-id": "SpotInstanceRequestId",
    "availability-zone": "Placement.AvailabilityZone",
    "image-id": "ImageId",
    "key-name": "KeyName",
    "architecture": "Architecture",
    "client-token": "ClientToken",
    "launch-time": "LaunchTime",
    "platform": "Platform",
    "platform-details": "PlatformDetails",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
    "private-ip-address": "PrivateIpAddress",
    "ip-address": "PublicIpAddress",
    "private-dns-name": "PrivateDnsName",
    "root-device-name": "RootDeviceName",
    "tenancy": "Placement.Tenancy",
    "instance.group-id": "SecurityGroups.GroupId",
    "iam-instance-profile.arn": "IamInstanceProfile.Arn",
    "block-device-mapping.volume-id": "BlockDeviceMappings.Ebs.VolumeId",
    "block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
    "network-interface.network-interface-id": "NetworkInterfaces.NetworkInterfaceId",
    "network-interface.addresses.private-ip-address": (
        "NetworkInterfaces.PrivateIpAddresses.PrivateIpAddress"
    ),
    "metadata-options.http-tokens": "MetadataOptions.HttpTokens",
}


@operation("ec2", "DescribeInstances")
def describe_instances(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstances: pages count instances; those of a reservation stay together within
    a page. `reservation-id` is not among the filters here."""
    no_paging_with_ids(params, "InstanceIds")
    rows = []
    if not params.get("NextToken"):
        chosen = find(state, params.get("InstanceIds", []))
        rows = filtered([_row(state, item) for item in chosen], params, _FILTERS)
    shown, token = page(state, "DescribeInstances", rows, params)
    reservations: dict[str, Row] = {}
    for row in shown:
        reservation_id = state.instances[row["InstanceId"]].reservation_id
        reservation = reservations.setdefault(
            reservation_id,
            {
                "ReservationId": reservation_id,
                "OwnerId": state.account_id,
                "Groups": [],
                "Instances": [],
            },
        )
        reservation["Instances"].append(row)
    return {"Reservations": list(reservations.values()), "NextToken": token}


def _row(state: WorldState, instance: Instance) -> Row:
    row = instance_row(state, instance)
    hidden = is_hidden(state, instance.instance_id, "tags") or _has_lost_its_tags(state, instance)
    return {**row, "Tags": []} if hidden else row


def _has_lost_its_tags(state: WorldState, instance: Instance) -> bool:
    """EC2 user guide, "Terminate Amazon EC2 instances": after a short while resources such as tags may no
    longer be visible on a terminated instance, which itself is for an hour."""
    gone = instance.terminated_at()
    tagged = timedelta(seconds=state.limits.terminated_tagged_s)
    return gone is not None and state.now() >= gone + tagged


@operation("ec2", "DescribeInstanceStatus")
def describe_instance_status(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstanceStatus: only running instances unless IncludeAllInstances."""
    no_paging_with_ids(params, "InstanceIds")
    now = state.now()
    rows = [
        _status_row(state, item)
        for item in find(state, params.get("InstanceIds", []))
        if params.get("IncludeAllInstances") or item.state_at(now) == "running"
    ]
    paths = {
        "availability-zone": "AvailabilityZone",
        "instance-state-name": "InstanceState.Name",
        "instance-state-code": "InstanceState.Code",
        "instance-status.status": "InstanceStatus.Status",
        "instance-status.reachability": "InstanceStatus.Details.Status",
        "system-status.status": "SystemStatus.Status",
        "system-status.reachability": "SystemStatus.Details.Status",
        "event.code": "Events.Code",
        "event.description": "Events.Description",
    }
    kept = filtered(rows, params, paths)
    shown, token = page(state, "DescribeInstanceStatus", kept, params)
    return {"InstanceStatuses": shown, "NextToken": token}


def _status_row(state: WorldState, instance: Instance) -> Row:
    current = instance.state_at(state.now())
    waiting = state.now() < instance.checks_pass_at
    system: tuple[str, str | None] = ("not-applicable", None)
    if current == "running":
        system = ("initializing", "initializing") if waiting else ("ok", "passed")
    failed = current == "running" and instance.impaired and not waiting
    checks = ("impaired", "failed") if failed else system
    return {
        "InstanceId": instance.instance_id,
        "AvailabilityZone": instance.availability_zone,
        "AvailabilityZoneId": state.zone_id(instance.availability_zone),
        "InstanceState": state_row(current),
        "Events": event_rows(state, instance),
        "InstanceStatus": _summary(*checks),
        "SystemStatus": _summary(*system),
        "AttachedEbsStatus": _summary(*system),
    }


def _summary(status: str, detail: str | None) -> Row:
    details = [{"Name": "reachability", "Status": detail}] if detail else []
    return {"Status": status, "Details": details}


@operation("ec2", "DescribeInstanceAttribute")
def describe_instance_attribute(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstanceAttribute: one attribute; user data is base64."""
    (instance,) = find(state, [params["InstanceId"]])
    spec, image = instance.spec, state.images[instance.spec.image_id]
    volumes = [state.volumes[v] for v in instance.volume_ids if v in state.volumes]
    devices = [block_device_row(volume) for volume in volumes]
    values: dict[str, tuple[str, Any]] = {
        "userData": ("UserData", {"Value": spec.user_data} if spec.user_data else {}),
        "disableApiTermination": (
            "DisableApiTermination",
            {"Value": instance.disable_api_termination},
        ),
        "disableApiStop": ("DisableApiStop", {"Value": spec.disable_api_stop}),
        "instanceType": ("InstanceType", {"Value": instance.instance_type}),
        "instanceInitiatedShutdownBehavior": (
            "InstanceInitiatedShutdownBehavior",
            {"Value": spec.shutdown_behavior},
        ),
        "ebsOptimized": ("EbsOptimized", {"Value": spec.ebs_optimized}),
        "enaSupport": ("EnaSupport", {"Value": image.ena_support}),
        "enclaveOptions": ("EnclaveOptions", {"Enabled": spec.enclave}),
        "rootDeviceName": ("RootDeviceName", {"Value": image.root_device_name}),
        "sourceDestCheck": ("SourceDestCheck", {"Value": True}),
        "productCodes": ("ProductCodes", []),
        "blockDeviceMapping": ("BlockDeviceMappings", devices),
        "groupSet": ("Groups", group_rows(state, list(spec.interfaces[0].group_ids))),
        "kernel": ("KernelId", {}),
        "ramdisk": ("RamdiskId", {}),
        "sriovNetSupport": ("SriovNetSupport", {}),
    }
    name, value = values[_known_attribute(params["Attribute"], values)]
    return {"InstanceId": instance.instance_id, name: value}


def _known_attribute(name: str, values: dict[str, Any]) -> str:
    if name not in values:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter attribute is invalid. Valid values are "
            f"{', '.join(values)}.",
        )
    return name


@operation("ec2", "ModifyInstanceAttribute")
def modify_instance_attribute(state: WorldState, params: Params) -> Reply:
    """API_ModifyInstanceAttribute, for disableApiTermination; refused for spot instances whatever
    the value (message as in cloud-custodian/cloud-custodian #2083)."""
    reject_unmodelled(
        "ModifyInstanceAttribute",
        params,
        ("InstanceId", "DisableApiTermination", "Attribute", "Value"),
    )
    (instance,) = find(state, [params["InstanceId"]])
    value = params.get("DisableApiTermination", {}).get("Value")
    if params.get("Attribute") == "disableApiTermination":
        value = params.get("Value") == "true"
    if value is None:
        raise AwsError("InvalidParameterCombination", "No attributes specified.")
    if instance.spec.spot:
        raise AwsError(
            "UnsupportedOperation",
            "Modifying 'disableApiTermination' is not supported for spot instances.",
        )
    instance.disable_api_termination = value
    return {}


@operation("ec2", "DescribeInstanceCreditSpecifications")
def describe_instance_credit_specifications(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstanceCreditSpecifications: without ids those on unlimited only; an id of a
    fixed-performance instance is InstanceCreditSpecification.NotSupported."""
    wanted = params.get("InstanceIds", [])
    no_paging_with_ids(params, "InstanceIds")
    rows = []
    for instance in find(state, wanted):
        burstable = instance_types()[instance.instance_type]["BurstablePerformanceSupported"]
        if wanted and not burstable:
            raise AwsError(
                "InstanceCreditSpecification.NotSupported",
                f"The instance '{instance.instance_id}' does not use CPU credits for CPU usage.",
            )
        if burstable and (wanted or instance.spec.cpu_credits == "unlimited"):
            rows.append(
                {"InstanceId": instance.instance_id, "CpuCredits": instance.spec.cpu_credits}
            )
    kept = filtered(rows, params, {"instance-id": "InstanceId"})
    shown, token = page(state, "DescribeInstanceCreditSpecifications", kept, params)
    return {"InstanceCreditSpecifications": shown, "NextToken": token}


@operation("ec2", "GetLaunchTemplateData")
def get_launch_template_data(state: WorldState, params: Params) -> Reply:
    """API_GetLaunchTemplateData."""
    (instance,) = find(state, [params["InstanceId"]])
    if instance.state_at(state.now()) in ("shutting-down", "terminated"):
        raise AwsError(
            "IncorrectInstanceState",
            f"The instance '{instance.instance_id}' is not in a valid state for this operation.",
        )
    return {"LaunchTemplateData": launch_template_data(state, instance)}
