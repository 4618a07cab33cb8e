"""``hand_over``: target groups and elastic addresses, to the replacement or back.

Each action finds its own traces, so repeating it, or going on after a run that died half-way, does
what is left to do::

    shift    replacement registered where the original is -> healthy there -> addresses moved
    rescue   addresses moved -> replacement registered where the original is -> healthy there
    undo     addresses moved back -> replacement taken out again
    release  original taken out -> its connections drained
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from spot_optimizer.aws.instances import read_instances
from spot_optimizer.aws.targets import (
    Registration,
    deregister,
    move_address,
    read_addresses,
    read_registrations,
    read_target_groups,
    register,
)
from spot_optimizer.contracts import HandOverProgress, HandOverRequest
from spot_optimizer.telemetry import logger

TARGET_DEADLINE = timedelta(minutes=16)
"""From the start of the execution: boot and checks take ten of them at most."""
_POLL_TARGETS_S = 15
_POLL_DRAIN_S = 60
"""The deregistration delay is 300 s by default."""

_WAITING = frozenset({"initial", "unhealthy", "unhealthy.draining"})
"""``unhealthy`` too: a target that fails its first checks may pass the next ones."""


class TargetsNotHealthy(Exception):
    """The replacement does not become healthy in a target group in time."""


def hand_over(request: HandOverRequest, now: datetime) -> HandOverProgress:
    """Carry out one action as far as it can be done now. Raises TargetsNotHealthy on ``shift`` and
    ``rescue``."""
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
    places = _places(request)
    serving = [r for r in places.original if not r.leaves]
    known = {(r.target_group_arn, r.port): r for r in places.replacement if not r.leaves}
    missing = [r for r in serving if (r.target_group_arn, r.port) not in known]
    if missing:
        register(request.replacement_id, missing)
        return HandOverProgress(done=False, wait_s=_POLL_TARGETS_S, groups=places.groups)
    used = {(r.target_group_arn, r.port) for r in serving if r.state != "unused"}
    waiting = [r for place, r in known.items() if _is_waiting(r, in_use=place in used)]
    if waiting:
        if now - request.execution_started_at > TARGET_DEADLINE:
            worst = waiting[0]
            raise TargetsNotHealthy(
                f"{request.replacement_id} is {worst.state} ({worst.reason}) in"
                f" {worst.target_group_arn} port {worst.port}"
            )
        return HandOverProgress(done=False, wait_s=_POLL_TARGETS_S, groups=places.groups)
    moved = [*(arn for arn, _ in known), *_move_addresses(request)]
    logger.info("handed over", moved=moved)
    return HandOverProgress(done=True, groups=places.groups, moved=tuple(moved))


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
    for address in read_addresses([request.replacement_id]):
        move_address(address["AllocationId"], request.original_id)
    places = _places(request)
    deregister(request.replacement_id, [r for r in places.replacement if not r.leaves])
    return HandOverProgress(done=True, groups=places.groups)


def _release(request: HandOverRequest) -> HandOverProgress:
    places = _places(request)
    serving = [r for r in places.original if not r.leaves]
    if serving:
        deregister(request.original_id, serving)
    if not places.original:
        return HandOverProgress(done=True, groups=places.groups)
    return HandOverProgress(done=False, wait_s=_POLL_DRAIN_S, groups=places.groups)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where original and replacement are registered now, and the groups that were asked."""

    original: list[Registration]
    replacement: list[Registration]
    groups: tuple[str, ...]


def _places(request: HandOverRequest) -> _Places:
    ids = [request.original_id, request.replacement_id]
    asked = request.groups
    if asked is None:
        vpcs = {m["VpcId"] for m in read_instances(ids).values() if "VpcId" in m}
        asked = tuple(arn for vpc_id in sorted(vpcs) for arn in read_target_groups(vpc_id))
    found = read_registrations(asked, ids)
    concerned = {r.target_group_arn for some in found.values() for r in some}
    return _Places(
        found[request.original_id],
        found[request.replacement_id],
        tuple(arn for arn in asked if arn in concerned),
    )
