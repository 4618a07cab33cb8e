"""Virtual network: VPC, subnets, route tables, security groups, network interfaces."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

from simulator.world.errors import AwsError
from simulator.world.model import Instance, Interface, InterfaceSpec, RouteTable, Subnet
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import (
    Row,
    filtered,
    no_paging_with_ids,
    page,
    select,
    tag_list,
)
from simulator.world.state import WorldState

_VPC_CIDR = "172.31.0.0/16"


def private_dns_name(state: WorldState, address: str) -> str:
    """Host name of a private address (VPC guide "DNS attributes")."""
    domain = "ec2.internal" if state.region == "us-east-1" else f"{state.region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"


def public_dns_name(state: WorldState, address: str) -> str:
    """Host name of a public address (VPC guide "DNS attributes")."""
    domain = "compute-1" if state.region == "us-east-1" else f"{state.region}.compute"
    return f"ec2-{address.replace('.', '-')}.{domain}.amazonaws.com"


def new_public_ip(state: WorldState) -> str:
    """A public address that is not in use."""
    return str(IPv4Address("3.80.0.0") + state.count("public-ip"))


def default_subnet(state: WorldState, availability_zone: str) -> Subnet:
    """The default VPC's default subnet in a zone."""
    for subnet in state.subnets.values():
        if subnet.default_for_az and subnet.availability_zone == availability_zone:
            return subnet
    raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{availability_zone}]")


def find_subnet(state: WorldState, subnet_id: str) -> Subnet:
    """The subnet, or InvalidSubnetID.NotFound."""
    if subnet_id not in state.subnets:
        raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")
    return state.subnets[subnet_id]


def route_table_of(state: WorldState, subnet_id: str) -> RouteTable:
    """The route table that serves a subnet: its own, else the main one of the VPC."""
    for table in state.route_tables.values():
        if subnet_id in table.subnet_ids:
            return table
    return state.route_tables[state.main_route_table_id]


def check_private_ip(subnet: Subnet, address: str) -> None:
    """Raise when an address cannot be had in a subnet."""
    if IPv4Address(address) not in subnet.cidr:
        raise AwsError(
            "InvalidParameterValue",
            f"Address {address} does not fall within the subnet's address range",
        )
    if address in subnet.used:
        raise AwsError("InvalidIPAddress.InUse", f"Address {address} is in use.")


def take_address(subnet: Subnet) -> str:
    """The lowest free address of a subnet; the first four and the last are AWS's."""
    base = int(subnet.cidr.network_address)
    for offset in range(4, subnet.cidr.num_addresses - 1):
        address = str(IPv4Address(base + offset))
        if address not in subnet.used:
            subnet.used.add(address)
            return address
    raise AwsError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet.subnet_id}' to satisfy the "
        "requested number of instances.",
    )


def attach_interface(state: WorldState, instance: Instance, spec: InterfaceSpec) -> Interface:
    """Create the interface of a launch, or attach the existing one that it names."""
    if spec.interface_id is not None:
        interface = state.interfaces[spec.interface_id]
        interface.delete_on_termination = False
        interface.attachment_id = state.new_id("eni-attach")
    else:
        interface = _new_interface(state, spec)
        interface.delete_on_termination = spec.delete_on_termination
    interface.instance_id = instance.instance_id
    interface.device_index = spec.device_index
    instance.interface_ids.append(interface.interface_id)
    return interface


def _new_interface(state: WorldState, spec: InterfaceSpec) -> Interface:
    subnet = state.subnets[spec.subnet_id]
    subnet.used.update(spec.private_ip_addresses)
    addresses = list(spec.private_ip_addresses) or [take_address(subnet)]
    addresses += [take_address(subnet) for _ in range(spec.secondary_count)]
    interface_id = state.new_id("eni")
    mac = state.digest("mac", interface_id).hex()[:10]
    interface = Interface(
        interface_id=interface_id,
        subnet_id=spec.subnet_id,
        group_ids=list(spec.group_ids),
        private_ips=addresses,
        description=spec.description,
        mac_address=":".join(["02", *(mac[i : i + 2] for i in range(0, 10, 2))]),
        attachment_id=state.new_id("eni-attach"),
        create_time=state.now().replace(microsecond=0),
        ipv6_addresses=tuple(
            _ipv6_address(state, subnet, f"{interface_id}/{n}") for n in range(spec.ipv6_count)
        ),
    )
    if spec.associate_public_ip is not False and spec.device_index == 0:
        interface.auto_public_ip = new_public_ip(state)
    state.interfaces[interface_id] = interface
    return interface


def _ipv6_address(state: WorldState, subnet: Subnet, of: str) -> str:
    """Any of the block's 2**64 addresses; EC2 draws them too."""
    assert subnet.ipv6_cidr is not None
    return str(subnet.ipv6_cidr[int.from_bytes(state.digest("ipv6", of)[:8], "big")])


def release_interface(state: WorldState, interface: Interface) -> None:
    """Delete an interface whose instance is gone, or make it available."""
    interface.instance_id = None
    interface.auto_public_ip = None
    if interface.delete_on_termination:
        del state.interfaces[interface.interface_id]
        state.subnets[interface.subnet_id].used.difference_update(interface.private_ips)
        state.tags.pop(interface.interface_id, None)


def ipv6_rows(interface: Interface) -> list[Row]:
    """IPv6 addresses as interfaces and instances show them."""
    return [{"Ipv6Address": address} for address in interface.ipv6_addresses]


def group_rows(state: WorldState, group_ids: list[str]) -> list[Row]:
    """Groups as interfaces and instances name them; a deleted group keeps its id."""
    rows = []
    for group_id in group_ids:
        group = state.security_groups.get(group_id)
        rows.append({"GroupId": group_id, "GroupName": group.name if group else group_id})
    return rows


def address_association(state: WorldState, interface: Interface, private_ip: str) -> Row | None:
    """The public address behind a private one: elastic, else automatic on the primary one."""
    for address in state.addresses.values():
        if address.interface_id == interface.interface_id and address.private_ip == private_ip:
            return {
                "PublicIp": address.public_ip,
                "PublicDnsName": public_dns_name(state, address.public_ip),
                "IpOwnerId": state.account_id,
                "AllocationId": address.allocation_id,
                "AssociationId": address.association_id,
            }
    if interface.auto_public_ip and private_ip == interface.private_ips[0]:
        return {
            "PublicIp": interface.auto_public_ip,
            "PublicDnsName": public_dns_name(state, interface.auto_public_ip),
            "IpOwnerId": "amazon",
        }
    return None


@operation("ec2", "DescribeVpcs")
def describe_vpcs(state: WorldState, params: Params) -> Reply:
    """API_DescribeVpcs."""
    no_paging_with_ids(params, "VpcIds")
    row: Row = {
        "VpcId": state.vpc_id,
        "CidrBlock": _VPC_CIDR,
        "DhcpOptionsId": "dopt-0default",
        "State": "available",
        "OwnerId": state.account_id,
        "InstanceTenancy": "default",
        "IsDefault": True,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": "vpc-cidr-assoc-0default",
                "CidrBlock": _VPC_CIDR,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "Tags": tag_list(state, state.vpc_id),
    }
    rows = select({state.vpc_id: row}, params.get("VpcIds", []), "InvalidVpcID.NotFound", "vpc")
    paths = {"vpc-id": "VpcId", "cidr": "CidrBlock", "is-default": "IsDefault", "state": "State"}
    shown, token = page(state, "DescribeVpcs", filtered(rows, params, paths), params)
    return {"Vpcs": shown, "NextToken": token}


@operation("ec2", "DescribeSubnets")
def describe_subnets(state: WorldState, params: Params) -> Reply:
    """API_DescribeSubnets."""
    no_paging_with_ids(params, "SubnetIds")
    chosen = select(
        state.subnets, params.get("SubnetIds", []), "InvalidSubnetID.NotFound", "subnet"
    )
    paths = {
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "available-ip-address-count": "AvailableIpAddressCount",
        "cidr-block": "CidrBlock",
        "default-for-az": "DefaultForAz",
        "state": "State",
    }
    rows = filtered([_subnet_row(state, subnet) for subnet in chosen], params, paths)
    shown, token = page(state, "DescribeSubnets", rows, params)
    return {"Subnets": shown, "NextToken": token}


def _subnet_row(state: WorldState, subnet: Subnet) -> Row:
    return {
        "SubnetId": subnet.subnet_id,
        "SubnetArn": f"arn:aws:ec2:{state.region}:{state.account_id}:subnet/{subnet.subnet_id}",
        "VpcId": subnet.vpc_id,
        "OwnerId": state.account_id,
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": state.zone_id(subnet.availability_zone),
        "AvailableIpAddressCount": subnet.free_addresses(),
        "CidrBlock": str(subnet.cidr),
        "Ipv6CidrBlockAssociationSet": [
            {
                "AssociationId": subnet.subnet_id.replace("subnet-", "subnet-cidr-assoc-"),
                "Ipv6CidrBlock": str(subnet.ipv6_cidr),
                "Ipv6CidrBlockState": {"State": "associated"},
            }
        ]
        if subnet.ipv6_cidr
        else [],
        "OutpostArn": subnet.outpost_arn,
        "DefaultForAz": subnet.default_for_az,
        "MapPublicIpOnLaunch": True,
        "AssignIpv6AddressOnCreation": False,
        "State": "available",
        "Tags": tag_list(state, subnet.subnet_id),
    }


@operation("ec2", "DescribeRouteTables")
def describe_route_tables(state: WorldState, params: Params) -> Reply:
    """API_DescribeRouteTables: a subnet without an association of its own uses the main table
    and appears in none."""
    no_paging_with_ids(params, "RouteTableIds")
    chosen = select(
        state.route_tables,
        params.get("RouteTableIds", []),
        "InvalidRouteTableID.NotFound",
        "routeTable",
    )
    paths = {
        "route-table-id": "RouteTableId",
        "vpc-id": "VpcId",
        "association.subnet-id": "Associations.SubnetId",
        "association.main": "Associations.Main",
        "association.route-table-id": "Associations.RouteTableId",
        "association.route-table-association-id": "Associations.RouteTableAssociationId",
        "route.gateway-id": "Routes.GatewayId",
        "route.destination-cidr-block": "Routes.DestinationCidrBlock",
    }
    rows = filtered([_route_table_row(state, table) for table in chosen], params, paths)
    shown, token = page(state, "DescribeRouteTables", rows, params, largest=100)
    return {"RouteTables": shown, "NextToken": token}


def _route_table_row(state: WorldState, table: RouteTable) -> Row:
    subnets: list[str | None] = [None] if table.main else []
    routes: list[dict[str, Any]] = [
        {
            "DestinationCidrBlock": _VPC_CIDR,
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        }
    ]
    if table.main:
        routes.append(
            {
                "DestinationCidrBlock": "0.0.0.0/0",
                "GatewayId": "igw-0default",
                "Origin": "CreateRoute",
                "State": "active",
            }
        )
    return {
        "RouteTableId": table.route_table_id,
        "VpcId": table.vpc_id,
        "OwnerId": state.account_id,
        "PropagatingVgws": [],
        "Routes": routes,
        "Associations": [
            {
                "Main": subnet_id is None,
                "RouteTableAssociationId": f"rtbassoc-{table.route_table_id[4:]}{number}",
                "RouteTableId": table.route_table_id,
                "SubnetId": subnet_id,
                "AssociationState": {"State": "associated"},
            }
            for number, subnet_id in enumerate([*subnets, *table.subnet_ids])
        ],
        "Tags": tag_list(state, table.route_table_id),
    }


@operation("ec2", "DescribeSecurityGroups")
def describe_security_groups(state: WorldState, params: Params) -> Reply:
    """API_DescribeSecurityGroups: unknown ids are InvalidGroup.NotFound."""
    no_paging_with_ids(params, "GroupIds")
    wanted = list(params.get("GroupIds", []))
    ids = {group.name: group.group_id for group in state.security_groups.values()}
    for name in params.get("GroupNames", []):
        wanted.append(ids.get(name, name))
    for group_id in wanted:
        check_group(state, group_id)
    rows: list[Row] = [
        {
            "GroupId": group.group_id,
            "GroupName": group.name,
            "Description": group.description,
            "VpcId": group.vpc_id,
            "OwnerId": state.account_id,
            "IpPermissions": [],
            "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
            "Tags": tag_list(state, group.group_id),
        }
        for group in state.security_groups.values()
        if not wanted or group.group_id in wanted
    ]
    paths = {
        "group-id": "GroupId",
        "group-name": "GroupName",
        "vpc-id": "VpcId",
        "description": "Description",
    }
    kept = filtered(rows, params, paths)
    shown, token = page(state, "DescribeSecurityGroups", kept, params)
    return {"SecurityGroups": shown, "NextToken": token}


def check_group(state: WorldState, group_id: str) -> None:
    """Raise InvalidGroup.NotFound for a security group that is not there."""
    if group_id not in state.security_groups:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


@operation("ec2", "DescribeNetworkInterfaces")
def describe_network_interfaces(state: WorldState, params: Params) -> Reply:
    """API_DescribeNetworkInterfaces."""
    no_paging_with_ids(params, "NetworkInterfaceIds")
    chosen = select(
        state.interfaces,
        params.get("NetworkInterfaceIds", []),
        "InvalidNetworkInterfaceID.NotFound",
        "networkInterface",
    )
    paths = {
        "network-interface-id": "NetworkInterfaceId",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
        "availability-zone": "AvailabilityZone",
        "description": "Description",
        "status": "Status",
        "group-id": "Groups.GroupId",
        "attachment.instance-id": "Attachment.InstanceId",
        "attachment.device-index": "Attachment.DeviceIndex",
        "attachment.status": "Attachment.Status",
        "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
        "private-ip-address": "PrivateIpAddress",
        "association.public-ip": "Association.PublicIp",
        "association.allocation-id": "Association.AllocationId",
    }
    rows = filtered([_interface_row(state, item) for item in chosen], params, paths)
    shown, token = page(state, "DescribeNetworkInterfaces", rows, params)
    return {"NetworkInterfaces": shown, "NextToken": token}


def _interface_row(state: WorldState, interface: Interface) -> Row:
    subnet = state.subnets[interface.subnet_id]
    attachment: Row | None = None
    if interface.instance_id:
        attachment = {
            "AttachTime": interface.create_time,
            "AttachmentId": interface.attachment_id,
            "DeleteOnTermination": interface.delete_on_termination,
            "DeviceIndex": interface.device_index,
            "NetworkCardIndex": 0,
            "InstanceId": interface.instance_id,
            "InstanceOwnerId": state.account_id,
            "Status": "attached",
        }
    addresses = [
        {
            "PrivateIpAddress": private_ip,
            "PrivateDnsName": private_dns_name(state, private_ip),
            "Primary": number == 0,
            "Association": address_association(state, interface, private_ip),
        }
        for number, private_ip in enumerate(interface.private_ips)
    ]
    return {
        "NetworkInterfaceId": interface.interface_id,
        "SubnetId": interface.subnet_id,
        "VpcId": subnet.vpc_id,
        "AvailabilityZone": subnet.availability_zone,
        "Description": interface.description,
        "OwnerId": state.account_id,
        "Status": "in-use" if attachment else "available",
        "InterfaceType": "interface",
        "MacAddress": interface.mac_address,
        "PrivateIpAddress": interface.private_ips[0],
        "PrivateDnsName": private_dns_name(state, interface.private_ips[0]),
        "PrivateIpAddresses": addresses,
        "Association": addresses[0]["Association"],
        "Attachment": attachment,
        "Groups": group_rows(state, interface.group_ids),
        "Ipv6Addresses": ipv6_rows(interface),
        "RequesterManaged": False,
        "SourceDestCheck": True,
        "TagSet": tag_list(state, interface.interface_id),
    }


def make_subnet(
    state: WorldState,
    availability_zone: str,
    cidr: str,
    *,
    default_for_az: bool,
    ipv6: bool = False,
    outpost_arn: str | None = None,
) -> Subnet:
    """Add a subnet of the VPC; AWS allows blocks from /28 to /16. ipv6: with an IPv6 block, of /64."""
    network = IPv4Network(cidr)
    if not 16 <= network.prefixlen <= 28 or not network.subnet_of(IPv4Network(_VPC_CIDR)):
        raise ValueError(f"cidr: {cidr!r} must be a /16 to /28 block within {_VPC_CIDR}")
    if any(network.overlaps(other.cidr) for other in state.subnets.values()):
        raise ValueError(f"cidr: {cidr!r} overlaps with another subnet")
    subnet = Subnet(
        subnet_id=state.new_id("subnet"),
        vpc_id=state.vpc_id,
        availability_zone=availability_zone,
        cidr=network,
        default_for_az=default_for_az,
        ipv6_cidr=IPv6Network(f"2600:1f18:0:{len(state.subnets):x}::/64") if ipv6 else None,
        outpost_arn=outpost_arn,
    )
    state.subnets[subnet.subnet_id] = subnet
    return subnet
