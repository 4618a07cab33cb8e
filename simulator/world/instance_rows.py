"""An instance as EC2's replies show it."""

from simulator.world.catalog import instance_types
from simulator.world.instances import state_row
from simulator.world.model import Instance, Interface, Volume
from simulator.world.network import (
    address_association,
    group_rows,
    ipv6_rows,
    private_dns_name,
    public_dns_name,
)
from simulator.world.queries import Row, tag_list
from simulator.world.state import WorldState
from simulator.world.volumes import ebs_parameters


def reservation_row(state: WorldState, instances: list[Instance]) -> Row:
    """A reservation with these of its instances."""
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": state.account_id,
        "Groups": [],
        "Instances": [instance_row(state, instance) for instance in instances],
    }


def instance_row(state: WorldState, instance: Instance) -> Row:
    """API data type Instance; a terminated one has lost its network and its devices."""
    current = instance.state_at(state.now())
    spec, image = instance.spec, state.images[instance.spec.image_id]
    windows = image.platform == "windows"
    row: Row = {
        "InstanceId": instance.instance_id,
        "InstanceType": instance.instance_type,
        "ImageId": spec.image_id,
        "AmiLaunchIndex": instance.launch_index,
        "Architecture": image.architecture,
        "ClientToken": spec.client_token or "",
        "EbsOptimized": spec.ebs_optimized,
        "EnaSupport": image.ena_support,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "BootMode": image.boot_mode,
        "CurrentInstanceBootMode": _boot_mode(instance, image.boot_mode),
        "IamInstanceProfile": _profile(spec.profile_arn),
        "InstanceLifecycle": "spot" if spec.spot else None,
        "SpotInstanceRequestId": instance.spot_request_id,
        "KeyName": spec.key_name,
        "LaunchTime": instance.launch_time,
        "Monitoring": {"State": "enabled" if spec.detailed_monitoring else "disabled"},
        "Placement": {
            "AvailabilityZone": instance.availability_zone,
            "AvailabilityZoneId": state.zone_id(instance.availability_zone),
            "GroupName": "",
            "Tenancy": spec.tenancy,
        },
        "Platform": image.platform,
        "PlatformDetails": "Windows" if windows else "Linux/UNIX",
        "UsageOperation": "RunInstances:0002" if windows else "RunInstances",
        "UsageOperationUpdateTime": instance.launch_time,
        "ProductCodes": [],
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "State": state_row(current),
        "StateTransitionReason": instance.transition_reason,
        "StateReason": _reason(instance),
        "CpuOptions": dict(spec.cpu_options),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "HibernationOptions": {"Configured": spec.hibernation},
        "EnclaveOptions": {"Enabled": spec.enclave},
        "MaintenanceOptions": {"AutoRecovery": spec.auto_recovery, "RebootMigration": "default"},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False, "HiddenByDefault": False},
        "Licenses": [{"LicenseConfigurationArn": arn} for arn in spec.license_arns],
        "SecondaryInterfaces": [],
        "MetadataOptions": {
            "State": "pending" if current == "pending" else "applied",
            **spec.metadata_options,
        },
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
            **spec.private_dns,
        },
        "PrivateDnsName": "",
        "PublicDnsName": "",
        "BlockDeviceMappings": [],
        "NetworkInterfaces": [],
        "SecurityGroups": [],
        "Tags": tag_list(state, instance.instance_id),
    }
    if current != "terminated":
        row.update(_network(state, instance))
        row["BlockDeviceMappings"] = [
            block_device_row(state.volumes[item]) for item in instance.volume_ids
        ]
    return row


def _profile(arn: str | None) -> Row | None:
    return {"Arn": arn, "Id": "AIPA0EXAMPLEPROFILE00"} if arn else None


def _boot_mode(instance: Instance, image_mode: str | None) -> str:
    modes = instance_types()[instance.instance_type]["SupportedBootModes"]
    wants_uefi = image_mode in ("uefi", "uefi-preferred") or modes == ["uefi"]
    return "uefi" if wants_uefi and "uefi" in modes else "legacy-bios"


def _reason(instance: Instance) -> Row | None:
    if instance.state_reason is None:
        return None
    return {"Code": instance.state_reason[0], "Message": instance.state_reason[1]}


def block_device_row(volume: Volume) -> Row:
    """A device as DescribeInstances and DescribeInstanceAttribute show it."""
    return {
        "DeviceName": volume.device.device_name,
        "Ebs": {
            "AttachTime": volume.create_time,
            "DeleteOnTermination": volume.device.delete_on_termination,
            "Status": "attached",
            "VolumeId": volume.volume_id,
            "EbsCardIndex": 0,
        },
    }


def _network(state: WorldState, instance: Instance) -> Row:
    interfaces = [state.interfaces[item] for item in instance.interface_ids]
    primary = interfaces[0]
    subnet = state.subnets[primary.subnet_id]
    association = address_association(state, primary, primary.private_ips[0])
    public_ip = association["PublicIp"] if association else None
    return {
        "SubnetId": subnet.subnet_id,
        "VpcId": subnet.vpc_id,
        "SourceDestCheck": True,
        "PrivateIpAddress": primary.private_ips[0],
        "PrivateDnsName": private_dns_name(state, primary.private_ips[0]),
        "PublicIpAddress": public_ip,
        "PublicDnsName": public_dns_name(state, public_ip) if public_ip else "",
        "SecurityGroups": group_rows(state, primary.group_ids),
        "NetworkInterfaces": [_interface_row(state, item) for item in interfaces],
    }


def _interface_row(state: WorldState, interface: Interface) -> Row:
    addresses = []
    for number, private_ip in enumerate(interface.private_ips):
        association = address_association(state, interface, private_ip)
        if association:
            association.pop("AllocationId", None)
            association.pop("AssociationId", None)
        addresses.append(
            {
                "Primary": number == 0,
                "PrivateIpAddress": private_ip,
                "PrivateDnsName": private_dns_name(state, private_ip),
                "Association": association,
            }
        )
    return {
        "NetworkInterfaceId": interface.interface_id,
        "SubnetId": interface.subnet_id,
        "VpcId": state.subnets[interface.subnet_id].vpc_id,
        "OwnerId": state.account_id,
        "Description": interface.description,
        "MacAddress": interface.mac_address,
        "InterfaceType": "interface",
        "SourceDestCheck": True,
        "Status": "in-use",
        "PrivateIpAddress": interface.private_ips[0],
        "PrivateDnsName": private_dns_name(state, interface.private_ips[0]),
        "PrivateIpAddresses": addresses,
        "Association": addresses[0]["Association"],
        "Groups": group_rows(state, interface.group_ids),
        "Ipv6Addresses": ipv6_rows(interface),
        "Operator": {"Managed": False},
        "Attachment": {
            "AttachTime": interface.create_time,
            "AttachmentId": interface.attachment_id,
            "DeleteOnTermination": interface.delete_on_termination,
            "DeviceIndex": interface.device_index,
            "NetworkCardIndex": 0,
            "Status": "attached",
        },
    }


def launch_template_data(state: WorldState, instance: Instance) -> Row:
    """API data type ResponseLaunchTemplateData, of a live instance.

    As AWS does, it names what no second instance can have (the interface, its private addresses,
    the subnet and the zone), spells out unused options, and holds what no launch
    takes (``Operator``'s parts, the metadata options' ``State``). Source: API_GetLaunchTemplateData,
    the example in the AWS CLI reference "get-launch-template-data", and for the options of an
    ordinary instance what DescribeInstances answers in 2026.
    """
    spec = instance.spec
    burstable = instance_types()[instance.instance_type]["BurstablePerformanceSupported"]
    profile = spec.profile_arn
    data: Row = {
        "ImageId": spec.image_id,
        "InstanceType": instance.instance_type,
        "KeyName": spec.key_name,
        "EbsOptimized": spec.ebs_optimized,
        "IamInstanceProfile": {"Arn": profile} if profile else None,
        "BlockDeviceMappings": [
            {
                "DeviceName": state.volumes[item].device.device_name,
                "Ebs": ebs_parameters(state.volumes[item].device),
            }
            for item in instance.volume_ids
        ],
        "NetworkInterfaces": [
            _template_interface(state.interfaces[item]) for item in instance.interface_ids
        ],
        "Monitoring": {"Enabled": spec.detailed_monitoring},
        "Placement": {
            "AvailabilityZone": instance.availability_zone,
            "AvailabilityZoneId": state.zone_id(instance.availability_zone),
            "GroupName": "",
            "Tenancy": spec.tenancy,
        },
        "DisableApiTermination": instance.disable_api_termination,
        "DisableApiStop": spec.disable_api_stop,
        "InstanceInitiatedShutdownBehavior": spec.shutdown_behavior,
        "UserData": spec.user_data or None,
        "CreditSpecification": {"CpuCredits": spec.cpu_credits} if burstable else None,
        "CpuOptions": dict(spec.cpu_options),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "HibernationOptions": {"Configured": spec.hibernation},
        "EnclaveOptions": {"Enabled": spec.enclave},
        "MaintenanceOptions": {"AutoRecovery": spec.auto_recovery},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False, "HiddenByDefault": False},
        "LicenseSpecifications": [{"LicenseConfigurationArn": arn} for arn in spec.license_arns],
        "ElasticGpuSpecifications": [],
        "ElasticInferenceAccelerators": [],
        "SecondaryInterfaces": [],
        "MetadataOptions": {"State": "applied", **spec.metadata_options},
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
            **spec.private_dns,
        },
        "TagSpecifications": _template_tags(state, instance),
    }
    if spec.spot:
        data["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {
                "SpotInstanceType": spec.spot.request_type,
                "InstanceInterruptionBehavior": spec.spot.interruption_behavior,
                "MaxPrice": spec.spot.max_price,
            },
        }
    return data


def _template_tags(state: WorldState, instance: Instance) -> list[Row]:
    tags = tag_list(state, instance.instance_id)
    return [{"ResourceType": "instance", "Tags": tags}] if tags else []


def _template_interface(interface: Interface) -> Row:
    return {
        "AssociatePublicIpAddress": interface.auto_public_ip is not None,
        "DeleteOnTermination": interface.delete_on_termination,
        "Description": interface.description,
        "DeviceIndex": interface.device_index,
        "Groups": list(interface.group_ids),
        "InterfaceType": "interface",
        "Ipv6Addresses": ipv6_rows(interface),
        "NetworkCardIndex": 0,
        "NetworkInterfaceId": interface.interface_id,
        "PrivateIpAddress": interface.private_ips[0],
        "PrivateIpAddresses": [
            {"Primary": number == 0, "PrivateIpAddress": address}
            for number, address in enumerate(interface.private_ips)
        ],
        "SubnetId": interface.subnet_id,
    }
