"""RunInstances: template and request merged, checked, launched.

Source: API_RunInstances and EC2 user guide "Launch EC2 instances using a launch template": a
parameter of the request replaces the template's as a whole; tags are merged by resource type and
key.
"""

from typing import Any

from simulator.world import launch_checks, network
from simulator.world.capacity import check_capacity, check_quota, closed_with
from simulator.world.catalog import instance_types, zones_offering
from simulator.world.errors import AwsError, reject_unmodelled
from simulator.world.images import launchable_image
from simulator.world.instance_rows import reservation_row
from simulator.world.instances import launch
from simulator.world.launch_templates import find_template, find_version, made, once
from simulator.world.model import Instance, InterfaceSpec, LaunchSpec, SpotMarket, Subnet
from simulator.world.operations import Params, Reply, attributed_operation
from simulator.world.state import WorldState
from simulator.world.tagging import check_tag_count, specified_tags
from simulator.world.volumes import block_devices

_TAGGABLE = frozenset({"instance", "volume", "network-interface", "spot-instances-request"})
_MODELLED = frozenset(
    {
        "ImageId",
        "InstanceType",
        "MinCount",
        "MaxCount",
        "KeyName",
        "SecurityGroupIds",
        "SecurityGroups",
        "SubnetId",
        "PrivateIpAddress",
        "NetworkInterfaces",
        "Placement",
        "BlockDeviceMappings",
        "IamInstanceProfile",
        "UserData",
        "MetadataOptions",
        "Monitoring",
        "EbsOptimized",
        "CreditSpecification",
        "CpuOptions",
        "DisableApiTermination",
        "DisableApiStop",
        "InstanceInitiatedShutdownBehavior",
        "HibernationOptions",
        "EnclaveOptions",
        "MaintenanceOptions",
        "PrivateDnsNameOptions",
        "CapacityReservationSpecification",
        "LicenseSpecifications",
        "TagSpecifications",
        "InstanceMarketOptions",
        "LaunchTemplate",
        "ClientToken",
    }
)
_METADATA_DEFAULTS = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}


@attributed_operation("ec2", "RunInstances")
def run_instances(state: WorldState, params: Params, caller: object) -> Reply:
    """API_RunInstances.

    A client token counts per zone where the request names one ("Ensuring idempotency in Amazon
    EC2 API requests", RunInstances idempotency): the same token in another zone launches again.
    """
    merged, template_tags = merged_request(state, params)
    scope = named_zone(state, merged)
    earlier = once(state, "RunInstances", params, scope)
    if earlier is None:
        earlier = _launch_new(state, params, merged, template_tags, caller)
        made(state, "RunInstances", params, earlier, scope)
    return reservation_row(state, [state.instances[item] for item in earlier])


def _launch_new(
    state: WorldState, params: Params, merged: Params, aws_tags: dict[str, str], caller: object
) -> list[str]:
    low, high = merged["MinCount"], merged["MaxCount"]
    if not 1 <= low <= high:
        raise AwsError(
            "InvalidParameterValue",
            f"minCount {low} and maxCount {high} must satisfy 1 <= minCount <= maxCount",
        )
    spec = resolve(state, merged, aws_tags)
    if params.get("DryRun"):
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    check_quota(state, spec.instance_type, spec.lifecycle, low)
    check_capacity(
        state,
        spec.instance_type,
        spec.availability_zone,
        spec.lifecycle,
        spec.interfaces[0].subnet_id,
    )
    count = _launchable_count(state, spec, low, high)
    return [item.instance_id for item in launch_many(state, spec, count, caller)]


def _launchable_count(state: WorldState, spec: LaunchSpec, low: int, high: int) -> int:
    """As many as the quota and the subnet allow, at most `high`, at least `low`."""
    count = high
    while count > low:
        try:
            check_quota(state, spec.instance_type, spec.lifecycle, count)
            check_free_addresses(state, spec, count)
            break
        except AwsError:
            count -= 1
    check_free_addresses(state, spec, count)
    return count


def check_free_addresses(state: WorldState, spec: LaunchSpec, count: int = 1) -> None:
    """Raise InsufficientFreeAddressesInSubnet when the subnets cannot hold the launch."""
    needed: dict[str, int] = {}
    for item in spec.interfaces:
        if item.interface_id is None:
            size = max(1, len(item.private_ip_addresses)) + item.secondary_count
            needed[item.subnet_id] = needed.get(item.subnet_id, 0) + size * count
    for subnet_id, size in needed.items():
        if size > state.subnets[subnet_id].free_addresses():
            raise AwsError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the "
                "requested number of instances.",
            )


def launch_many(state: WorldState, spec: LaunchSpec, count: int, caller: object) -> list[Instance]:
    """Launch `count` instances into one reservation."""
    reservation_id = state.new_id("r")
    return [
        launch(state, spec, caller, reservation_id=reservation_id, launch_index=number)
        for number in range(count)
    ]


def merged_request(state: WorldState, params: Params) -> tuple[Params, dict[str, str]]:
    """The request with its template filled in, and the tags that AWS adds for the template."""
    data: Params = {}
    aws_tags: dict[str, str] = {}
    if "LaunchTemplate" in params:
        template = find_template(state, params["LaunchTemplate"])
        version = find_version(state, template, params["LaunchTemplate"].get("Version"))
        data = dict(version.data)
        aws_tags = {
            "aws:ec2launchtemplate:id": template.template_id,
            "aws:ec2launchtemplate:version": str(version.number),
        }
    merged = {**data, **params}
    merged["TagSpecifications"] = merged_tags(
        data.get("TagSpecifications", []), params.get("TagSpecifications", [])
    )
    reject_unmodelled("RunInstances", merged, _MODELLED)
    return merged, aws_tags


def merged_tags(base: list[Params], over: list[Params]) -> list[Params]:
    """Tag specifications of both, by resource type and key; `over` wins."""
    found: dict[str, dict[str, str]] = {}
    for item in (*specified_or_empty(base).items(), *specified_or_empty(over).items()):
        found.setdefault(item[0], {}).update(item[1])
    return [
        {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        for kind, tags in found.items()
    ]


def specified_or_empty(specifications: list[Params]) -> dict[str, dict[str, str]]:
    """Checked tag specifications of a launch."""
    return specified_tags(specifications, _TAGGABLE)


def named_zone(state: WorldState, merged: Params) -> str | None:
    """The zone that a merged request names, by a subnet or by itself."""
    for item in merged.get("NetworkInterfaces", [merged]):
        subnet = state.subnets.get(item.get("SubnetId", ""))
        if subnet is not None:
            return subnet.availability_zone
    zone: str | None = merged.get("Placement", {}).get("AvailabilityZone")
    return zone


def resolve(state: WorldState, merged: Params, aws_tags: dict[str, str]) -> LaunchSpec:
    """Check a merged request and fill in the defaults; raises what RunInstances would."""
    if "ImageId" not in merged:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    instance_type = merged.get("InstanceType", "m1.small")
    launch_checks.check_type(instance_type)
    image = launchable_image(state, merged["ImageId"])
    launch_checks.check_image(instance_type, image)
    launch_checks.check_options(instance_type, merged)
    launch_checks.check_user_data(merged.get("UserData", ""))
    launch_checks.check_metadata_options(merged.get("MetadataOptions", {}))
    profile_arn = launch_checks.check_identity(state, merged)
    spot = _spot_market(merged.get("InstanceMarketOptions"))
    lifecycle = "spot" if spot else "on-demand"
    interfaces = _interfaces(state, merged, instance_type, lifecycle)
    subnet = state.subnets[interfaces[0].subnet_id]
    launch_checks.check_offered(state, instance_type, subnet, lifecycle)
    launch_checks.check_interfaces(instance_type, interfaces)
    info = instance_types()[instance_type]
    credits = merged.get("CreditSpecification", {}).get("CpuCredits")
    if info["BurstablePerformanceSupported"] and credits is None:
        # T2 is standard by default, all later families unlimited (EC2 user guide).
        credits = "standard" if instance_type.startswith("t2.") else "unlimited"
    return LaunchSpec(
        instance_type=instance_type,
        image_id=image.image_id,
        availability_zone=subnet.availability_zone,
        interfaces=interfaces,
        block_devices=block_devices(state, image, merged.get("BlockDeviceMappings", [])),
        spot=spot,
        tags=_tags(merged, aws_tags, spot),
        key_name=merged.get("KeyName"),
        profile_arn=profile_arn,
        user_data=merged.get("UserData", ""),
        metadata_options={**_METADATA_DEFAULTS, **_without_state(merged)},
        detailed_monitoring=bool(merged.get("Monitoring", {}).get("Enabled", False)),
        ebs_optimized=bool(merged.get("EbsOptimized", False)),
        tenancy=_tenancy(merged.get("Placement", {})),
        cpu_credits=credits,
        cpu_options=_cpu_options(info["VCpuInfo"], merged.get("CpuOptions", {})),
        disable_api_termination=bool(merged.get("DisableApiTermination", False)),
        disable_api_stop=bool(merged.get("DisableApiStop", False)),
        shutdown_behavior=merged.get("InstanceInitiatedShutdownBehavior", "stop"),
        hibernation=bool(merged.get("HibernationOptions", {}).get("Configured", False)),
        enclave=bool(merged.get("EnclaveOptions", {}).get("Enabled", False)),
        auto_recovery=merged.get("MaintenanceOptions", {}).get("AutoRecovery", "default"),
        private_dns=merged.get("PrivateDnsNameOptions", {}),
        license_arns=launch_checks.check_licenses(merged),
        client_token=merged.get("ClientToken"),
    )


def _without_state(merged: Params) -> Params:
    return {k: v for k, v in merged.get("MetadataOptions", {}).items() if k != "State"}


def _cpu_options(info: dict[str, int], chosen: dict[str, int]) -> dict[str, int]:
    cores: int = chosen.get("CoreCount", info.get("DefaultCores", info["DefaultVCpus"]))
    threads: int = chosen.get("ThreadsPerCore", info.get("DefaultThreadsPerCore", 1))
    return {"CoreCount": cores, "ThreadsPerCore": threads}


def _tenancy(placement: Params) -> str:
    if placement.get("GroupName"):
        raise AwsError(
            "InvalidPlacementGroup.Unknown",
            f"The placement group '{placement['GroupName']}' is unknown.",
        )
    tenancy: str = placement.get("Tenancy", "default")
    return tenancy


def _spot_market(options: Params | None) -> SpotMarket | None:
    if not options:
        return None
    if options.get("MarketType") != "spot":
        raise AwsError(
            "InvalidParameterValue",
            f"MarketType {options.get('MarketType')!r} must be 'spot' for a spot launch",
        )
    chosen = options.get("SpotOptions", {})
    market = SpotMarket(
        request_type=chosen.get("SpotInstanceType", "one-time"),
        interruption_behavior=chosen.get("InstanceInterruptionBehavior", "terminate"),
        max_price=chosen.get("MaxPrice"),
    )
    if (market.request_type == "one-time") != (market.interruption_behavior == "terminate"):
        # pahud/cdk-spot-one #206 quotes the message.
        raise AwsError(
            "InvalidParameterCombination",
            f"The {market.interruption_behavior} InstanceInterruptionBehavior is not supported "
            f"when requestType is set to {market.request_type}.",
        )
    return market


def _tags(
    merged: Params, aws_tags: dict[str, str], spot: SpotMarket | None
) -> dict[str, dict[str, str]]:
    tags = specified_or_empty(merged["TagSpecifications"])
    if "spot-instances-request" in tags and spot is None:
        # github-aws-runners/terraform-aws-github-runner #4561 quotes the message.
        raise AwsError(
            "InvalidParameterCombination",
            "You cannot specify tags for Spot instances requests if there are no Spot instances "
            "requests being created by the request.",
        )
    tags["instance"] = {**tags.get("instance", {}), **aws_tags}
    check_tag_count(tags["instance"])
    return tags


def _interfaces(
    state: WorldState, merged: Params, instance_type: str, lifecycle: str
) -> tuple[InterfaceSpec, ...]:
    if not merged.get("NetworkInterfaces"):
        placed = _default_placement(state, merged, instance_type, lifecycle)
        addresses = [merged["PrivateIpAddress"]] if "PrivateIpAddress" in merged else []
        item = {
            "SubnetId": placed,
            "Groups": _top_level_groups(state, merged),
            "PrivateIpAddresses": [{"PrivateIpAddress": a} for a in addresses],
        }
        return (_interface(state, item, placed),)
    for name, noun in (
        ("SubnetId", "subnet ID"),
        ("SecurityGroupIds", "security groups"),
        ("SecurityGroups", "security groups"),
        ("PrivateIpAddress", "private address"),
    ):
        if merged.get(name):
            raise AwsError(
                "InvalidParameterCombination",
                f"Network interfaces and an instance-level {noun} may not be specified on the "
                "same request",
            )
    items = sorted(merged["NetworkInterfaces"], key=lambda item: item.get("DeviceIndex", 0))
    primary_subnet = _subnet_of(state, items[0])
    if primary_subnet is None:
        primary_subnet = _default_placement(state, merged, instance_type, lifecycle)
    _check_zone(state, merged, primary_subnet)
    return tuple(_interface(state, item, primary_subnet) for item in items)


def _subnet_of(state: WorldState, item: Params) -> str | None:
    interface_id = item.get("NetworkInterfaceId")
    if interface_id is None:
        subnet: str | None = item.get("SubnetId")
        return subnet
    if interface_id not in state.interfaces:
        raise AwsError(
            "InvalidNetworkInterfaceID.NotFound",
            f"The networkInterface ID '{interface_id}' does not exist",
        )
    return state.interfaces[interface_id].subnet_id


def _default_placement(
    state: WorldState, merged: Params, instance_type: str, lifecycle: str
) -> str:
    """The subnet of the launch: the named one, the zone's default, or where capacity is."""
    if "SubnetId" in merged:
        network.find_subnet(state, merged["SubnetId"])
        _check_zone(state, merged, merged["SubnetId"])
        named: str = merged["SubnetId"]
        return named
    zone = merged.get("Placement", {}).get("AvailabilityZone")
    if zone is None:
        zones = zones_offering(state, instance_type) or [z.name for z in state.zones]
        open_zones = [z for z in zones if not closed_with(state, instance_type, z, lifecycle)]
        zone = (open_zones or zones)[0]
    return network.default_subnet(state, zone).subnet_id


def _check_zone(state: WorldState, merged: Params, subnet_id: str) -> None:
    zone = merged.get("Placement", {}).get("AvailabilityZone")
    actual = network.find_subnet(state, subnet_id).availability_zone
    if zone is not None and zone != actual:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnet '{subnet_id}' is "
            f"in the availability zone {actual}",
        )


def _top_level_groups(state: WorldState, merged: Params) -> list[str]:
    groups = list(merged.get("SecurityGroupIds", []))
    ids = {group.name: group.group_id for group in state.security_groups.values()}
    return groups + [ids.get(name, name) for name in merged.get("SecurityGroups", [])]


def _interface(state: WorldState, item: Params, primary_subnet: str) -> InterfaceSpec:
    interface_id = item.get("NetworkInterfaceId")
    if interface_id is not None:
        return _existing_interface(state, item, interface_id)
    subnet = network.find_subnet(state, item.get("SubnetId", primary_subnet))
    groups = item.get("Groups") or [
        group.group_id for group in state.security_groups.values() if group.name == "default"
    ]
    for group_id in groups:
        network.check_group(state, group_id)
    listed: list[Any] = sorted(
        item.get("PrivateIpAddresses", []), key=lambda entry: not entry.get("Primary", False)
    )
    addresses = [entry["PrivateIpAddress"] for entry in listed]
    single = item.get("PrivateIpAddress")
    if single and single not in addresses:
        addresses.insert(0, single)
    for address in addresses:
        network.check_private_ip(subnet, address)
    return InterfaceSpec(
        subnet_id=subnet.subnet_id,
        group_ids=tuple(groups),
        device_index=item.get("DeviceIndex", 0),
        description=item.get("Description", ""),
        delete_on_termination=item.get("DeleteOnTermination", True),
        associate_public_ip=item.get("AssociatePublicIpAddress"),
        private_ip_addresses=tuple(addresses),
        secondary_count=item.get("SecondaryPrivateIpAddressCount", 0),
        ipv6_count=_ipv6_count(item, subnet),
    )


def _ipv6_count(item: Params, subnet: Subnet) -> int:
    """EC2 user guide, "IPv6 addresses": they are of the subnet's IPv6 block. No error code is named."""
    count: int = item.get("Ipv6AddressCount", 0)
    if count and subnet.ipv6_cidr is None:
        raise AwsError(
            "InvalidParameterValue", f"The subnet '{subnet.subnet_id}' has no IPv6 CIDR block"
        )
    return count


def _existing_interface(state: WorldState, item: Params, interface_id: str) -> InterfaceSpec:
    for name in ("SubnetId", "Groups", "PrivateIpAddress", "PrivateIpAddresses"):
        if item.get(name):
            raise AwsError(
                "InvalidParameterCombination",
                f"A network interface may not specify both a network interface ID and {name}",
            )
    interface = state.interfaces[interface_id]
    if interface.instance_id is not None:
        raise AwsError("InvalidNetworkInterface.InUse", f"Interface: [{interface_id}] in use.")
    return InterfaceSpec(
        subnet_id=interface.subnet_id,
        group_ids=tuple(interface.group_ids),
        device_index=item.get("DeviceIndex", 0),
        interface_id=interface_id,
        private_ip_addresses=tuple(interface.private_ips),
    )
