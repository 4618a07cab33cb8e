"""Target groups, handed over: the replacement becomes a healthy target wherever the original is one."""

from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import error_code
from spot_optimizer.aws.load_balancing import Registration, register
from spot_optimizer.contracts.steps import HandOverProgress, HandOverRequest
from spot_optimizer.services.hand_over.errors import (
    TargetsNotHealthy,
    ended_or_not_yet,
)
from spot_optimizer.services.hand_over.registrations import (
    BothRegistrations,
    read_both_registrations,
)
from spot_optimizer.services.hand_over.unsupported_load_balancers import (
    refuse_classic_load_balancers,
)
from spot_optimizer.telemetry import logger

TARGET_DEADLINE = timedelta(minutes=10)
"""From the start of the hand-over: a Network Load Balancer takes minutes to register a target."""
UNSERVED_MAX = timedelta(minutes=1)
"""From when the replacement was first seen in a zone that its load balancer does not serve: ELB's answer
may be slightly out of date, but waiting enables no zone."""
_POLL_NOW_S = 1
_POLL_TARGETS_S = 15

_NOT_IN_USE = "Target.NotInUse"
_WAITING = frozenset({"initial", "unhealthy", "unhealthy.draining"})
"""``unhealthy`` too: a target that fails its first health checks may pass the next ones."""


def hand_over_targets(request: HandOverRequest, now: datetime) -> HandOverProgress:
    """Register the replacement wherever the original is registered, and wait until it is healthy.

    Raises TargetsNotHealthy; on ``shift`` LoadBalancerNotSupported.
    """
    if request.load_balancing is None and request.action == "shift":
        refuse_classic_load_balancers(request.original_id)
    both = read_both_registrations(request, now)
    known = {r.place: r for r in both.replacement if not r.is_draining}
    missing = [r for r in both.wanted if r.place not in known]
    # An address can be registered again only when it has drained (Application Load Balancer guide,
    # "Register targets"); EC2 may give the replacement an address that was just deregistered.
    draining = {r.place: r for r in both.replacement if r.is_draining and r.by_address}
    registrable = [r for r in missing if r.place not in draining]
    if registrable:
        return _register(request, both, registrable)
    used = {r.place for r in both.wanted if r.state != "unused"}
    unserved = [r for place, r in known.items() if place in used and r.reason == _NOT_IN_USE]
    if unserved and request.action == "shift":
        return _wait_until_served(request, both, unserved[0], now)
    waiting = [draining[r.place] for r in missing]
    if request.action != "pay":  # a debt is paid with the registration
        waiting += [r for place, r in known.items() if _is_waiting(r, in_use=place in used)]
    if waiting:
        return _wait_until_healthy(request, both, waiting[0], now)
    moved = tuple(dict.fromkeys(r.target_group_arn for r in known.values()))
    logger.info("targets handed over", handed_over=moved)
    return HandOverProgress(done=True, load_balancing=both.load_balancing, handed_over=moved)


def _register(
    request: HandOverRequest, both: BothRegistrations, registrable: list[Registration]
) -> HandOverProgress:
    names = both.replacement_names
    nameless = [r for r in registrable if r.position >= len(names) or not names[r.position]]
    if nameless:
        raise TargetsNotHealthy(
            f"{request.replacement_id} has no address to register in"
            f" {nameless[0].target_group_arn} port {nameless[0].port}, where the original's is"
            " registered: it has ended, or its subnet has no addresses of that kind"
        )
    if request.load_balancing is None and any(r.by_address for r in registrable):
        # Report the address before it is registered: an ended instance leaves no trace of it.
        return both.unfinished(_POLL_NOW_S)
    try:
        register(names, registrable)
    except ClientError as error:
        if error_code(error) != "InvalidTarget":
            raise
        # ELB API reference, RegisterTargets: it does not exist any more, or is not running.
        raise ended_or_not_yet(request, f"cannot be registered: {error}") from error
    return both.unfinished(_POLL_TARGETS_S)


def _wait_until_served(
    request: HandOverRequest, both: BothRegistrations, unserved: Registration, now: datetime
) -> HandOverProgress:
    since = both.load_balancing.unserved_since or now
    if now - since >= UNSERVED_MAX:
        raise TargetsNotHealthy(
            f"{_described(request, unserved)}: its load balancer does not serve the zone that the"
            " replacement is in; enable that zone for the load balancer"
        )
    load_balancing = both.load_balancing.model_copy(update={"unserved_since": since})
    return HandOverProgress(done=False, wait_s=_POLL_TARGETS_S, load_balancing=load_balancing)


def _wait_until_healthy(
    request: HandOverRequest, both: BothRegistrations, waiting: Registration, now: datetime
) -> HandOverProgress:
    if now - both.load_balancing.found_at > TARGET_DEADLINE:
        raise TargetsNotHealthy(_described(request, waiting))
    return both.unfinished(_POLL_TARGETS_S)


def _described(request: HandOverRequest, registration: Registration) -> str:
    return (
        f"{request.replacement_id} is {registration.state} ({registration.reason}) in"
        f" {registration.target_group_arn} port {registration.port}"
    )


def _is_waiting(registration: Registration, *, in_use: bool) -> bool:
    """Whether a registration receives no traffic yet.

    A target is ``unused`` if its group has no load balancer, or if it is in a zone that the load
    balancer has not enabled (ELB API reference, TargetHealth): if the original is in use, the
    replacement must be too.
    """
    return registration.state in _WAITING or (in_use and registration.state == "unused")
