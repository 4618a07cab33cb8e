"""Elastic IP addresses."""

from simulator.world.errors import AwsError
from simulator.world.events import AddressMoved
from simulator.world.model import Address, Interface
from simulator.world.network import new_public_ip
from simulator.world.operations import Params, Reply, attributed_operation, operation
from simulator.world.queries import Row, filtered, select, tag_list
from simulator.world.state import WorldState
from simulator.world.tagging import specified_tags
from simulator.world.visibility import is_hidden


@operation("ec2", "DescribeAddresses")
def describe_addresses(state: WorldState, params: Params) -> Reply:
    """API_DescribeAddresses: not paged; unknown ids are InvalidAllocationID.NotFound, unknown
    addresses InvalidAddress.NotFound."""
    chosen = select(
        state.addresses,
        params.get("AllocationIds", []),
        "InvalidAllocationID.NotFound",
        "allocation",
    )
    wanted = params.get("PublicIps", [])
    missing = set(wanted) - {address.public_ip for address in state.addresses.values()}
    if missing:
        raise AwsError("InvalidAddress.NotFound", f"Address '{sorted(missing)[0]}' not found.")
    rows = [_row(state, a) for a in chosen if not wanted or a.public_ip in wanted]
    paths = {
        "allocation-id": "AllocationId",
        "association-id": "AssociationId",
        "instance-id": "InstanceId",
        "network-interface-id": "NetworkInterfaceId",
        "private-ip-address": "PrivateIpAddress",
        "public-ip": "PublicIp",
        "domain": "Domain",
    }
    return {"Addresses": filtered(rows, params, paths)}


def _row(state: WorldState, address: Address) -> Row:
    attached = address.interface_id is not None
    return {
        "AllocationId": address.allocation_id,
        "PublicIp": address.public_ip,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": state.region,
        "AssociationId": address.association_id,
        "InstanceId": state.instance_of_interface(address.interface_id),
        "NetworkInterfaceId": address.interface_id,
        "NetworkInterfaceOwnerId": state.account_id if attached else None,
        "PrivateIpAddress": address.private_ip,
        "Tags": tag_list(state, address.allocation_id),
    }


def new_address(state: WorldState, tags: dict[str, str]) -> Address:
    """Allocate an address; AWS's default quota is five a region."""
    if len(state.addresses) >= state.limits.quota_elastic_ips:
        raise AwsError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    address = Address(allocation_id=state.new_id("eipalloc"), public_ip=new_public_ip(state))
    state.addresses[address.allocation_id] = address
    state.tags[address.allocation_id] = tags
    return address


@operation("ec2", "AllocateAddress")
def allocate_address(state: WorldState, params: Params) -> Reply:
    """API_AllocateAddress."""
    tags = specified_tags(params.get("TagSpecifications", []), frozenset({"elastic-ip"}))
    address = new_address(state, tags.get("elastic-ip", {}))
    return {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": state.region,
        "Domain": "vpc",
    }


@attributed_operation("ec2", "AssociateAddress")
def associate_address(state: WorldState, params: Params, caller: object) -> Reply:
    """API_AssociateAddress: idempotent; an address that is associated elsewhere moves only with
    AllowReassociation (Resource.AlreadyAssociated); the instance must be running or stopped."""
    address = _find(state, params.get("AllocationId"), params.get("PublicIp"))
    interface = _target_interface(state, params)
    private_ip = params.get("PrivateIpAddress", interface.private_ips[0])
    if private_ip not in interface.private_ips:
        raise AwsError(
            "InvalidParameterValue",
            f"The private IP address {private_ip} is not assigned to interface "
            f"{interface.interface_id}",
        )
    if (address.interface_id, address.private_ip) != (interface.interface_id, private_ip):
        if address.association_id and not params.get("AllowReassociation"):
            raise AwsError(
                "Resource.AlreadyAssociated",
                f"resource {address.allocation_id} is already associated with associate-id "
                f"{address.association_id}",
            )
        move(state, address, interface, private_ip, caller)
    return {"AssociationId": address.association_id}


@attributed_operation("ec2", "DisassociateAddress")
def disassociate_address(state: WorldState, params: Params, caller: object) -> Reply:
    """API_DisassociateAddress: idempotent by AWS's list, yet an association id that is not there
    is InvalidAssociationID.NotFound."""
    for address in state.addresses.values():
        by_id = params.get("AssociationId") == address.association_id is not None
        if by_id or params.get("PublicIp") == address.public_ip:
            release(state, address, caller)
            return {}
    raise AwsError(
        "InvalidAssociationID.NotFound",
        f"The association ID '{params.get('AssociationId')}' does not exist",
    )


def move(
    state: WorldState, address: Address, interface: Interface, private_ip: str, caller: object
) -> None:
    """Point an address at a private one; an address that was there before is disassociated."""
    for other in state.addresses.values():
        same = (other.interface_id, other.private_ip) == (interface.interface_id, private_ip)
        if same and other is not address:
            release(state, other, caller)
    before = state.instance_of_interface(address.interface_id)
    point(state, address, interface, private_ip)
    _tell(state, address, before, interface.instance_id, caller)


def point(state: WorldState, address: Address, interface: Interface, private_ip: str) -> None:
    """Associate an address that nothing else claims, without an event."""
    address.association_id = state.new_id("eipassoc")
    address.interface_id, address.private_ip = interface.interface_id, private_ip
    if private_ip == interface.private_ips[0]:
        interface.auto_public_ip = None


def release(state: WorldState, address: Address, caller: object) -> None:
    """Free an address; the instance it leaves gets an automatic public one again."""
    before = state.instance_of_interface(address.interface_id)
    interface = state.interfaces.get(address.interface_id or "")
    if interface and before and address.private_ip == interface.private_ips[0]:
        interface.auto_public_ip = new_public_ip(state)
    address.association_id = address.interface_id = address.private_ip = None
    if before:
        _tell(state, address, before, None, caller)


def _tell(
    state: WorldState, address: Address, before: str | None, after: str | None, caller: object
) -> None:
    state.publish(AddressMoved(state.now(), caller, address.allocation_id, before, after))


def _find(state: WorldState, allocation_id: str | None, public_ip: str | None) -> Address:
    for address in state.addresses.values():
        if allocation_id == address.allocation_id or public_ip == address.public_ip:
            return address
    if allocation_id is None and public_ip is None:
        raise AwsError("MissingParameter", "Either public IP or allocation id must be specified")
    raise AwsError(
        "InvalidAllocationID.NotFound" if allocation_id else "InvalidAddress.NotFound",
        f"The allocation ID '{allocation_id or public_ip}' does not exist",
    )


def _target_interface(state: WorldState, params: Params) -> Interface:
    interface_id, instance_id = params.get("NetworkInterfaceId"), params.get("InstanceId")
    if interface_id:
        if interface_id not in state.interfaces:
            raise AwsError(
                "InvalidNetworkInterfaceID.NotFound",
                f"The networkInterface ID '{interface_id}' does not exist",
            )
        instance_id = state.interfaces[interface_id].instance_id
        if instance_id is None:
            return state.interfaces[interface_id]
    instance = state.instances.get(instance_id or "")
    if instance is None or is_hidden(state, instance.instance_id):
        raise AwsError(
            "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist"
        )
    if instance.state_at(state.now()) not in ("running", "stopped", "stopping"):
        raise AwsError(
            "InvalidInstanceID",
            f"The {instance.state_at(state.now())} instance '{instance_id}' is not in a valid "
            "state for this operation.",
        )
    if interface_id is None and len(instance.interface_ids) > 1:
        raise AwsError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance_id}'. Please specify "
            "an interface ID for the operation instead.",
        )
    return state.interfaces[interface_id or instance.interface_ids[0]]
