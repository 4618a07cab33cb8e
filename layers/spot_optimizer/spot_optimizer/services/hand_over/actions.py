"""``hand_over``: target groups and elastic addresses, to the replacement or back.

Each action finds its own traces, so repeating it, or going on after a run that died half-way, does
what is left to do::

    shift      replacement registered where the original is -> healthy there -> addresses moved
    fail-over  addresses moved -> replacement registered where the original is -> healthy there
    undo       addresses moved back -> replacement taken out again
    release    original taken out -> its connections drained

When an original has ended before its traffic was handed over, nothing shows any more where that was: then
counts what the standing plan remembers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import TryAgain, error_code
from spot_optimizer.aws.instances import (
    is_gone,
    read_holders,
    read_instances,
)
from spot_optimizer.aws.load_balancing import (
    InstanceEnded,
    Names,
    Registration,
    deregister,
    move_address,
    read_addresses,
    read_allocations,
    read_classic_load_balancers,
    read_registrations,
    read_target_groups,
    register,
    take_free_address,
)
from spot_optimizer.contracts.steps import (
    FoundLoadBalancing,
    HandOverProgress,
    HandOverRequest,
)
from spot_optimizer.contracts.switch import StandingLoadBalancing
from spot_optimizer.switching.instance_record import private_addresses
from spot_optimizer.telemetry import logger

TARGET_DEADLINE = timedelta(minutes=10)
"""From the first look at the traffic: a Network Load Balancer takes minutes to register a target."""
UNSERVED_MAX = timedelta(minutes=1)
"""From when the replacement was first seen in a zone that its load balancer does not serve: what ELB
shows may be a moment old, but no waiting enables a zone."""
_POLL_NOW_S = 1
_POLL_TARGETS_S = 15
_POLL_DRAIN_S = 60
"""The deregistration delay is 300 s by default."""

_ENDS = ("shutting-down", "terminated", "stopping", "stopped")
_NOT_IN_USE = "Target.NotInUse"
_WAITING = frozenset({"initial", "unhealthy", "unhealthy.draining"})
"""``unhealthy`` too: a target that fails its first checks may pass the next ones."""


class TargetsNotHealthy(Exception):
    """The replacement cannot become healthy in a target group or be given an address, or not in time."""


class LoadBalancerNotSupported(Exception):
    """The original is reached in a way that cannot be handed over; the text says what to do."""


def hand_over(request: HandOverRequest, now: datetime) -> HandOverProgress:
    """Carry out one action as far as it can be done now.

    Raises TargetsNotHealthy on ``shift`` and ``fail-over``; on ``shift``, before anything has moved,
    TrafficNotMovable.
    """
    match request.action:
        case "shift":
            progress = _shift(request, now)
            return _with(progress, *_handed_addresses(request)) if progress.done else progress
        case "fail-over":
            # The original may be gone before the targets are healthy, and its address with it.
            moved, left = _handed_addresses(request)
            return _with(_shift(request, now), moved, left)
        case "undo":
            return _undo(request, now)
        case "release":
            return _release(request, now)


def _with(progress: HandOverProgress, moved: list[str], left: list[str]) -> HandOverProgress:
    return progress.model_copy(
        update={
            "moved": (*progress.moved, *moved),
            "left_alone": tuple(left),
        }
    )


def _shift(request: HandOverRequest, now: datetime) -> HandOverProgress:
    if request.load_balancing is None and request.action == "shift":
        _refuse_classic_load_balancers(request.original_id)
    places = _places(request, now)
    serving = places.serving
    known = {r.place: r for r in places.replacement if not r.leaves}
    missing = [r for r in serving if r.place not in known]
    # An address can be registered again only when it has drained (Application Load Balancer guide,
    # "Register targets"); EC2 may give the replacement one that has just been taken out.
    draining = {r.place: r for r in places.replacement if r.leaves and r.by_address}
    wanted = [r for r in missing if r.place not in draining]
    if wanted:
        return _register(request, places, wanted)
    used = {r.place for r in serving if r.state != "unused"}
    waiting = [draining[r.place] for r in missing]
    waiting += [r for place, r in known.items() if _is_waiting(r, in_use=place in used)]
    unserved = [r for place, r in known.items() if place in used and r.reason == _NOT_IN_USE]
    if unserved and request.action == "shift":
        return _wait_until_served(request, places, unserved[0], now)
    if waiting:
        if now - places.load_balancing.found_at > TARGET_DEADLINE:
            worst = waiting[0]
            raise TargetsNotHealthy(
                f"{request.replacement_id} is {worst.state} ({worst.reason}) in"
                f" {worst.target_group_arn} port {worst.port}"
            )
        return places.unfinished(_POLL_TARGETS_S)
    moved = tuple(dict.fromkeys(r.target_group_arn for r in known.values()))
    logger.info("targets handed over", moved=moved)
    return HandOverProgress(done=True, load_balancing=places.load_balancing, moved=moved)


def _wait_until_served(
    request: HandOverRequest, places: "_Places", unserved: Registration, now: datetime
) -> HandOverProgress:
    since = places.load_balancing.unserved_since or now
    if now - since >= UNSERVED_MAX:
        raise TargetsNotHealthy(
            f"{request.replacement_id} is {unserved.state} ({unserved.reason}) in"
            f" {unserved.target_group_arn} port {unserved.port}: its load balancer does not serve the"
            " zone that the replacement is in; enable that zone for the load balancer"
        )
    load_balancing = places.load_balancing.model_copy(update={"unserved_since": since})
    return HandOverProgress(done=False, wait_s=_POLL_TARGETS_S, load_balancing=load_balancing)


def _refuse_classic_load_balancers(original_id: str) -> None:
    balancers = read_classic_load_balancers(original_id)
    if balancers:
        raise LoadBalancerNotSupported(
            f"{original_id} is registered with the Classic Load Balancer"
            f" {', '.join(repr(name) for name in balancers)}, which is not moved along: register it"
            " with a target group instead, or tag it spot-optimizer:mode = off"
        )


def _register(
    request: HandOverRequest, places: "_Places", wanted: list[Registration]
) -> HandOverProgress:
    names = places.replacement_names
    nameless = [r for r in wanted if r.position >= len(names) or not names[r.position]]
    if nameless:
        raise TargetsNotHealthy(
            f"{request.replacement_id} has no address to register in"
            f" {nameless[0].target_group_arn} port {nameless[0].port}, where the original's is:"
            " it has ended, or its subnet gives none of that kind"
        )
    if request.load_balancing is None and any(r.by_address for r in wanted):
        # Noted before it is registered: a machine that ends leaves no trace of its address.
        return places.unfinished(_POLL_NOW_S)
    try:
        register(names, wanted)
    except ClientError as error:
        if error_code(error) != "InvalidTarget":
            raise
        # ELB API reference, RegisterTargets: it does not exist any more, or does not run.
        raise _ended_or_not_yet(request, f"cannot be registered: {error}") from error
    return places.unfinished(_POLL_TARGETS_S)


def _ended_or_not_yet(request: HandOverRequest, problem: str) -> Exception:
    """What to raise where AWS says that the replacement does not run. It has been seen running: for some
    seconds another part of AWS may still take it for pending, by the same error (EC2 developer guide,
    "Eventual consistency"), and a rescue that believed it would end the machine that it needs."""
    row = read_instances([request.replacement_id]).get(request.replacement_id)
    said = f"{request.replacement_id} {problem}"
    ends = row is not None and row["State"]["Name"] in _ENDS
    return TargetsNotHealthy(said) if ends else TryAgain(said)


def _move_addresses(request: HandOverRequest) -> list[str]:
    """Move the original's addresses; what is answered are those that it has moved before as well."""
    addresses = read_addresses([request.original_id, request.replacement_id])
    for address in addresses:
        if address["InstanceId"] == request.original_id:
            move_address(address["AllocationId"], request.replacement_id)
    return [address["AllocationId"] for address in addresses]


def _handed_addresses(request: HandOverRequest) -> tuple[list[str], list[str]]:
    try:
        return _take_addresses(request)
    except InstanceEnded as error:
        raise _ended_or_not_yet(request, f"is given no address: {error}") from error


def _take_addresses(request: HandOverRequest) -> tuple[list[str], list[str]]:
    """Move the addresses that the original has, or had; and those that are another machine's by now,
    in words."""
    moved = _move_addresses(request)
    left: list[str] = []
    wanted = request.standing.allocation_ids if request.standing else ()
    if moved or not wanted or not is_gone(request.original_id):
        return moved, left
    for address in read_allocations(wanted):
        allocation_id = address["AllocationId"]
        is_free = "AssociationId" not in address
        if is_free and take_free_address(allocation_id, request.replacement_id):
            moved.append(allocation_id)
            continue
        holder = address.get("InstanceId") or address.get("NetworkInterfaceId") or "somebody else"
        left.append(f"{address['PublicIp']} ({allocation_id}) is with {holder} by now")
    if left:
        logger.warning("addresses left alone", left=left)
    return moved, left


def _is_waiting(registration: Registration, *, in_use: bool) -> bool:
    """Whether no traffic reaches a registration yet.

    ``unused`` is what a target is whose group has no load balancer, and also one in an availability
    zone that the load balancer has not enabled (ELB API reference, TargetHealth): where the
    original is in use, the replacement would never be.
    """
    return registration.state in _WAITING or (in_use and registration.state == "unused")


def _undo(request: HandOverRequest, now: datetime) -> HandOverProgress:
    try:
        _give_addresses_back(request)
    except InstanceEnded as error:
        logger.warning("the original has ended meanwhile", reason=str(error))
    places = _places(request, now)
    deregister(places.replacement_names, [r for r in places.replacement if not r.leaves])
    return HandOverProgress(done=True, load_balancing=places.load_balancing)


def _give_addresses_back(request: HandOverRequest) -> None:
    addresses = read_addresses([request.replacement_id])
    had = _had_by(request.original_id, request.standing)
    # A gone original can have none back: they are free again when the replacement has ended.
    if not (addresses or had) or is_gone(request.original_id):
        return
    for address in addresses:
        move_address(address["AllocationId"], request.original_id)
    # A replacement that has ended holds none any more.
    for address in read_allocations(had) if had else ():
        if "AssociationId" not in address:
            take_free_address(address["AllocationId"], request.original_id)


def _had_by(original_id: str, standing: StandingLoadBalancing | None) -> tuple[str, ...]:
    """Its elastic addresses before the hand-over, as far as they are known."""
    return standing.allocation_ids if standing and standing.instance_id == original_id else ()


def _release(request: HandOverRequest, now: datetime) -> HandOverProgress:
    places = _places(request, now)
    serving = [r for r in places.original if not r.leaves]
    if serving:
        deregister(places.original_names, serving)
    if not places.original:
        return HandOverProgress(done=True, load_balancing=places.load_balancing)
    return places.unfinished(_POLL_DRAIN_S)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where original and replacement are registered now, and by what."""

    original: list[Registration]
    replacement: list[Registration]
    original_names: Names
    replacement_names: Names
    load_balancing: FoundLoadBalancing
    lost: list[Registration]
    """Places that a gone original had, and that are to be had again."""

    @property
    def serving(self) -> list[Registration]:
        return [*(r for r in self.original if not r.leaves), *self.lost]

    def unfinished(self, wait_s: int) -> HandOverProgress:
        return HandOverProgress(done=False, wait_s=wait_s, load_balancing=self.load_balancing)


def _places(request: HandOverRequest, now: datetime) -> _Places:
    original_id, replacement_id = request.original_id, request.replacement_id
    load_balancing = request.load_balancing or _find_traffic(request, now)
    names = {
        original_id: (original_id, *load_balancing.original_addresses),
        replacement_id: (replacement_id, *load_balancing.replacement_addresses),
    }
    found = read_registrations(load_balancing.groups, names)
    lost = _lost(request, load_balancing, found[original_id])
    concerned = {r.target_group_arn for some in (*found.values(), lost) for r in some}
    groups = tuple(arn for arn in load_balancing.groups if arn in concerned)
    return _Places(
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
    """What the standing plan remembers and a gone original has no more.

    While the original lives, where it is registered is what its user wants. Who else is in a target
    group does not matter: it may be a machine that another switch is about to take out.
    """
    held = {r.place for r in original if not r.leaves}
    remembered = [
        Registration(
            r.target_group_arn, r.port, "healthy" if r.in_use else "unused", "", r.position
        )
        for r in (request.standing.registrations if request.standing else ())
        if r.target_group_arn in load_balancing.groups
    ]
    lost = [r for r in remembered if r.place not in held]
    return lost if lost and is_gone(request.original_id) else []


def _find_traffic(request: HandOverRequest, now: datetime) -> FoundLoadBalancing:
    original_id, replacement_id = request.original_id, request.replacement_id
    standing = request.standing
    rows = read_instances([original_id, replacement_id])
    if replacement_id not in rows and request.action in ("shift", "fail-over"):
        # It has been seen running, and what ends is shown for an hour.
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
    """The addresses of a gone original. EC2 gives a free IPv4 address of a subnet to whoever comes
    next, who is not to be taken out of a target group; of IPv6 it has enough."""
    ipv4, *others = standing.addresses
    if ipv4 and any(read_holders(ipv4, vpc_id) for vpc_id in vpcs):
        ipv4 = ""
    return ipv4, *others
