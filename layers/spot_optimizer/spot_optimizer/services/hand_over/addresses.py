"""Elastic addresses, handed over to the replacement or back to the original."""

from dataclasses import dataclass

from spot_optimizer.aws.instances import is_gone
from spot_optimizer.aws.load_balancing import (
    InstanceEnded,
    move_address,
    read_addresses,
    read_allocations,
    take_free_address,
)
from spot_optimizer.contracts.steps import HandOverRequest
from spot_optimizer.contracts.switch import StandingLoadBalancing
from spot_optimizer.services.hand_over.errors import ended_or_not_yet
from spot_optimizer.telemetry import logger


@dataclass(frozen=True, slots=True)
class HandedOverAddresses:
    """What became of the original's elastic addresses."""

    moved: list[str]
    """Allocation ids of the addresses that the replacement has, also from an earlier run."""
    in_use_elsewhere: list[str]
    """Addresses that another instance has taken meanwhile, in words."""


def hand_over_addresses(request: HandOverRequest) -> HandedOverAddresses:
    """Move the addresses that the original has, or had before it ended, to the replacement.

    Raises TargetsNotHealthy if the replacement has ended.
    """
    try:
        moved = _move_addresses(request)
        standing = request.standing.allocation_ids if request.standing else ()
        if moved or not standing or not is_gone(request.original_id):
            return HandedOverAddresses(moved, [])
        return _take_addresses(request.replacement_id, standing)
    except InstanceEnded as error:
        raise ended_or_not_yet(request, f"is given no address: {error}") from error


def _move_addresses(request: HandOverRequest) -> list[str]:
    """Move the original's addresses; the result includes those that were moved before."""
    addresses = read_addresses([request.original_id, request.replacement_id])
    for address in addresses:
        if address["InstanceId"] == request.original_id:
            move_address(address["AllocationId"], request.replacement_id)
    return [address["AllocationId"] for address in addresses]


def _take_addresses(replacement_id: str, allocation_ids: tuple[str, ...]) -> HandedOverAddresses:
    """Take the addresses of an ended original, unless another instance has one by now."""
    taken: list[str] = []
    elsewhere: list[str] = []
    for address in read_allocations(allocation_ids):
        allocation_id = address["AllocationId"]
        is_free = "AssociationId" not in address
        if is_free and take_free_address(allocation_id, replacement_id):
            taken.append(allocation_id)
            continue
        holder = address.get("InstanceId") or address.get("NetworkInterfaceId") or "another owner"
        elsewhere.append(f"{address['PublicIp']} ({allocation_id}) is now in use by {holder}")
    if elsewhere:
        logger.warning("addresses in use elsewhere", addresses=elsewhere)
    return HandedOverAddresses(taken, elsewhere)


def give_addresses_back(request: HandOverRequest) -> None:
    """Move the replacement's addresses back to the original. Raises InstanceEnded."""
    addresses = read_addresses([request.replacement_id])
    standing = _standing_allocations(request.original_id, request.standing)
    # An original that is gone gets none back: they are free again when the replacement ends.
    if not (addresses or standing) or is_gone(request.original_id):
        return
    for address in addresses:
        move_address(address["AllocationId"], request.original_id)
    # A replacement that has ended has no addresses any more.
    for address in read_allocations(standing) if standing else ():
        if "AssociationId" not in address:
            take_free_address(address["AllocationId"], request.original_id)


def _standing_allocations(
    original_id: str, standing: StandingLoadBalancing | None
) -> tuple[str, ...]:
    """The original's elastic addresses before the hand-over, as far as they are known."""
    return standing.allocation_ids if standing and standing.instance_id == original_id else ()
