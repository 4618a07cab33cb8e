"""The target group registrations of original and replacement, as they are now.

If the original has ended, the standing plan supplies the registrations that it had.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from spot_optimizer.aws.clients import TryAgain
from spot_optimizer.aws.instances import is_gone, read_holders, read_instances
from spot_optimizer.aws.load_balancing import (
    Names,
    Registration,
    TargetGroupDeleted,
    existing_target_groups,
    read_registrations,
    read_target_groups,
)
from spot_optimizer.contracts.steps import FoundLoadBalancing, HandOverProgress, HandOverRequest
from spot_optimizer.contracts.switch import StandingLoadBalancing
from spot_optimizer.switching.instance_record import private_addresses
from spot_optimizer.telemetry import logger


@dataclass(frozen=True, slots=True)
class BothRegistrations:
    """The registrations of original and replacement, and the names that they are registered by."""

    original: list[Registration]
    replacement: list[Registration]
    original_names: Names
    replacement_names: Names
    load_balancing: FoundLoadBalancing
    lost: list[Registration]
    """Registrations that an ended original had and the replacement must get."""

    @property
    def wanted(self) -> list[Registration]:
        """The registrations that the replacement must get."""
        return [*(r for r in self.original if not r.is_draining), *self.lost]

    def unfinished(self, wait_s: int) -> HandOverProgress:
        return HandOverProgress(done=False, wait_s=wait_s, load_balancing=self.load_balancing)


def read_both_registrations(request: HandOverRequest, now: datetime) -> BothRegistrations:
    """Read the registrations in the target groups of the VPC, or of an earlier answer."""
    load_balancing = request.load_balancing or _find_load_balancing(request, now)
    try:
        return _read_both(request, load_balancing)
    except TargetGroupDeleted as deleted:
        # Nothing can be registered there any more; the other groups must not suffer from it.
        logger.warning("target group deleted", target_group_arn=str(deleted))
        existing = existing_target_groups(load_balancing.groups)
        return _read_both(request, load_balancing.model_copy(update={"groups": existing}))


def _read_both(request: HandOverRequest, load_balancing: FoundLoadBalancing) -> BothRegistrations:
    original_id, replacement_id = request.original_id, request.replacement_id
    names = {
        original_id: (original_id, *load_balancing.original_addresses),
        replacement_id: (replacement_id, *load_balancing.replacement_addresses),
    }
    found = read_registrations(load_balancing.groups, names)
    lost = _lost(request, load_balancing, found[original_id])
    concerned = {r.target_group_arn for some in (*found.values(), lost) for r in some}
    groups = tuple(arn for arn in load_balancing.groups if arn in concerned)
    return BothRegistrations(
        found[original_id],
        found[replacement_id],
        names[original_id],
        names[replacement_id],
        load_balancing.model_copy(update={"groups": groups}),
        lost,
    )


def _lost(
    request: HandOverRequest, load_balancing: FoundLoadBalancing, original: list[Registration]
) -> list[Registration]:
    """Registrations in the standing plan that an ended original does not have any more.

    While the original lives, its current registrations count: they are what its user wants. Other
    targets in a group do not matter: another switch may be about to deregister them.
    """
    held = {r.place for r in original if not r.is_draining}
    standing = [
        Registration(
            r.target_group_arn, r.port, "healthy" if r.in_use else "unused", "", r.position
        )
        for r in (request.standing.registrations if request.standing else ())
        if r.target_group_arn in load_balancing.groups
    ]
    lost = [r for r in standing if r.place not in held]
    return lost if lost and is_gone(request.original_id) else []


def _find_load_balancing(request: HandOverRequest, now: datetime) -> FoundLoadBalancing:
    original_id, replacement_id = request.original_id, request.replacement_id
    standing = request.standing
    rows = read_instances([original_id, replacement_id])
    if replacement_id not in rows and request.action in ("shift", "fail-over", "pay"):
        # It was running before, and EC2 lists an ended instance for an hour.
        raise TryAgain(f"{replacement_id} is not listed yet")
    vpcs = {row["VpcId"] for row in rows.values() if "VpcId" in row}
    addresses = private_addresses(rows.get(original_id, {}))
    if not any(addresses) and standing is not None and standing.instance_id == original_id:
        addresses = _still_its_own(standing, vpcs)
    return FoundLoadBalancing(
        groups=tuple(arn for vpc_id in sorted(vpcs) for arn in read_target_groups(vpc_id)),
        original_addresses=addresses,
        replacement_addresses=private_addresses(rows.get(replacement_id, {})),
        found_at=now,
    )


def _still_its_own(standing: StandingLoadBalancing, vpcs: Iterable[str]) -> tuple[str, ...]:
    """The addresses of an ended original that no other instance has.

    EC2 gives a free IPv4 address of a subnet to the next instance, which must not be deregistered;
    IPv6 addresses are not scarce.
    """
    ipv4, *others = standing.addresses
    if ipv4 and any(read_holders(ipv4, vpc_id) for vpc_id in vpcs):
        ipv4 = ""
    return ipv4, *others
