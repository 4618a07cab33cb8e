"""``hand_over``: target groups and elastic addresses, to the replacement or back.

Each action finds its own traces, so repeating it, or going on after a run that died half-way, does
what is left to do::

    shift    replacement registered where the original is -> healthy there -> addresses moved
    rescue   addresses moved -> replacement registered where the original is -> healthy there
    undo     addresses moved back -> replacement taken out again
    release  original taken out -> its connections drained
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws.instances import read_instances
from spot_optimizer.aws.targets import (
    Names,
    Registration,
    deregister,
    move_address,
    read_addresses,
    read_classic_load_balancers,
    read_registrations,
    read_target_groups,
    register,
)
from spot_optimizer.contracts import HandOverProgress, HandOverRequest, Traffic
from spot_optimizer.switching.machine import primary_interface
from spot_optimizer.telemetry import logger

TARGET_DEADLINE = timedelta(minutes=16)
"""From the start of the execution: boot and checks take ten of them at most."""
_POLL_NOW_S = 1
_POLL_TARGETS_S = 15
_POLL_DRAIN_S = 60
"""The deregistration delay is 300 s by default."""

_WAITING = frozenset({"initial", "unhealthy", "unhealthy.draining"})
"""``unhealthy`` too: a target that fails its first checks may pass the next ones."""


class TargetsNotHealthy(Exception):
    """The replacement cannot become healthy in a target group, or does not in time."""


class OriginalGone(Exception):
    """There is nothing to give the traffic back to; the replacement is the workload's last machine."""


class TrafficNotMovable(Exception):
    """The original is reached in a way that cannot be handed over; the text says what to do."""


def hand_over(request: HandOverRequest, now: datetime) -> HandOverProgress:
    """Carry out one action as far as it can be done now.

    Raises TargetsNotHealthy on ``shift`` and ``rescue``; on ``shift``, before anything has moved,
    TrafficNotMovable; on ``undo`` OriginalGone.
    """
    match request.action:
        case "shift":
            return _shift(request, now)
        case "rescue":
            # The original may be gone before the targets are healthy, and its address with it.
            moved = _move_addresses(request)
            progress = _shift(request, now)
            return progress.model_copy(
                update={"moved": tuple(dict.fromkeys((*progress.moved, *moved)))}
            )
        case "undo":
            return _undo(request)
        case "release":
            return _release(request)


def _shift(request: HandOverRequest, now: datetime) -> HandOverProgress:
    if request.traffic is None and request.action == "shift":
        _refuse_classic_load_balancers(request.original_id)
    places = _places(request)
    serving = [r for r in places.original if not r.leaves]
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
    if waiting:
        if now - request.execution_started_at > TARGET_DEADLINE:
            worst = waiting[0]
            raise TargetsNotHealthy(
                f"{request.replacement_id} is {worst.state} ({worst.reason}) in"
                f" {worst.target_group_arn} port {worst.port}"
            )
        return places.unfinished(_POLL_TARGETS_S)
    moved = [*(r.target_group_arn for r in known.values()), *_move_addresses(request)]
    logger.info("handed over", moved=moved)
    return HandOverProgress(done=True, traffic=places.traffic, moved=tuple(moved))


def _refuse_classic_load_balancers(original_id: str) -> None:
    balancers = read_classic_load_balancers(original_id)
    if balancers:
        raise TrafficNotMovable(
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
    if request.traffic is None and any(r.by_address for r in wanted):
        # Noted before it is registered: a machine that ends leaves no trace of its address.
        return places.unfinished(_POLL_NOW_S)
    register(names, wanted)
    return places.unfinished(_POLL_TARGETS_S)


def _move_addresses(request: HandOverRequest) -> list[str]:
    """Move the original's addresses; what is answered are those that it has moved before as well."""
    addresses = read_addresses([request.original_id, request.replacement_id])
    for address in addresses:
        if address["InstanceId"] == request.original_id:
            move_address(address["AllocationId"], request.replacement_id)
    return [address["AllocationId"] for address in addresses]


def _is_waiting(registration: Registration, *, in_use: bool) -> bool:
    """Whether no traffic reaches a registration yet.

    ``unused`` is what a target is whose group has no load balancer, and also one in an availability
    zone that the load balancer has not enabled (ELB API reference, TargetHealth): where the
    original is in use, the replacement would never be.
    """
    return registration.state in _WAITING or (in_use and registration.state == "unused")


def _undo(request: HandOverRequest) -> HandOverProgress:
    original = read_instances([request.original_id]).get(request.original_id)
    if original is None or original["State"]["Name"] in ("shutting-down", "terminated"):
        raise OriginalGone(
            f"{request.original_id} has ended: {request.replacement_id} is left running, with what"
            " it has taken over, for the next cycle to adopt"
        )
    for address in read_addresses([request.replacement_id]):
        move_address(address["AllocationId"], request.original_id)
    places = _places(request)
    deregister(places.replacement_names, [r for r in places.replacement if not r.leaves])
    return HandOverProgress(done=True, traffic=places.traffic)


def _release(request: HandOverRequest) -> HandOverProgress:
    places = _places(request)
    serving = [r for r in places.original if not r.leaves]
    if serving:
        deregister(places.original_names, serving)
    if not places.original:
        return HandOverProgress(done=True, traffic=places.traffic)
    return places.unfinished(_POLL_DRAIN_S)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where original and replacement are registered now, and by what."""

    original: list[Registration]
    replacement: list[Registration]
    original_names: Names
    replacement_names: Names
    traffic: Traffic

    def unfinished(self, wait_s: int) -> HandOverProgress:
        return HandOverProgress(done=False, wait_s=wait_s, traffic=self.traffic)


def _places(request: HandOverRequest) -> _Places:
    original_id, replacement_id = request.original_id, request.replacement_id
    traffic = request.traffic or _find_traffic(original_id, replacement_id)
    names = {
        original_id: (original_id, *traffic.original_addresses),
        replacement_id: (replacement_id, *traffic.replacement_addresses),
    }
    found = read_registrations(traffic.groups, names)
    concerned = {r.target_group_arn for some in found.values() for r in some}
    groups = tuple(arn for arn in traffic.groups if arn in concerned)
    return _Places(
        found[original_id],
        found[replacement_id],
        names[original_id],
        names[replacement_id],
        traffic.model_copy(update={"groups": groups}),
    )


def _find_traffic(original_id: str, replacement_id: str) -> Traffic:
    rows = read_instances([original_id, replacement_id])
    vpcs = {row["VpcId"] for row in rows.values() if "VpcId" in row}
    return Traffic(
        groups=tuple(arn for vpc_id in sorted(vpcs) for arn in read_target_groups(vpc_id)),
        original_addresses=_addresses(rows.get(original_id, {})),
        replacement_addresses=_addresses(rows.get(replacement_id, {})),
    )


def _addresses(instance: dict[str, Any]) -> tuple[str, ...]:
    ipv6: Iterable[dict[str, Any]] = primary_interface(instance).get("Ipv6Addresses") or ()
    return instance.get("PrivateIpAddress", ""), *(each["Ipv6Address"] for each in ipv6)
