"""``hand_over``: hands target groups and elastic addresses over to the replacement, or back.

Each action sees what it has already done, so it can be repeated or resumed after an interrupted run::

    shift      register the replacement with the original's targets -> healthy -> move addresses
    fail-over  move addresses -> register the replacement with the original's targets -> healthy
    pay        as fail-over, without waiting for health
    undo       move addresses back -> deregister the replacement
    release    deregister the original -> its connections drain

If the original ended before its hand-over, AWS no longer shows its targets and addresses. Then the
workload's standing plan names them.
"""

from datetime import datetime

from botocore.exceptions import ClientError

from spot_optimizer.aws.load_balancing import InstanceEnded, deregister
from spot_optimizer.contracts.steps import HandOverProgress, HandOverRequest
from spot_optimizer.services.hand_over.addresses import (
    HandedOverAddresses,
    give_addresses_back,
    hand_over_addresses,
)
from spot_optimizer.services.hand_over.registrations import read_both_registrations
from spot_optimizer.services.hand_over.targets import hand_over_targets
from spot_optimizer.telemetry import logger

_POLL_DRAIN_S = 60
"""The deregistration delay is 300 s by default."""


def hand_over(request: HandOverRequest, now: datetime) -> HandOverProgress:
    """Carry out one action as far as possible now.

    ``shift`` and ``fail-over`` raise TargetsNotHealthy; ``shift`` raises LoadBalancerNotSupported before
    anything has been handed over.
    """
    match request.action:
        case "shift":
            return _shift(request, now)
        case "fail-over" | "pay":
            return _fail_over(request, now)
        case "undo":
            return _undo(request, now)
        case "release":
            return _release(request, now)


def _shift(request: HandOverRequest, now: datetime) -> HandOverProgress:
    progress = hand_over_targets(request, now)
    return _with(progress, hand_over_addresses(request)) if progress.done else progress


def _fail_over(request: HandOverRequest, now: datetime) -> HandOverProgress:
    # Addresses first: the original may end before the targets are healthy, and lose its addresses. If
    # they cannot be moved, the targets are handed over even so.
    try:
        addresses = hand_over_addresses(request)
    except ClientError:
        hand_over_targets(request, now)
        raise
    return _with(hand_over_targets(request, now), addresses)


def _with(progress: HandOverProgress, addresses: HandedOverAddresses) -> HandOverProgress:
    return progress.model_copy(
        update={
            "handed_over": (*progress.handed_over, *addresses.moved),
            "not_handed_over": tuple(addresses.in_use_elsewhere),
        }
    )


def _undo(request: HandOverRequest, now: datetime) -> HandOverProgress:
    try:
        give_addresses_back(request)
    except InstanceEnded as error:
        logger.warning("the original has ended", reason=str(error))
    both = read_both_registrations(request, now)
    deregister(both.replacement_names, [r for r in both.replacement if not r.is_draining])
    return HandOverProgress(done=True, load_balancing=both.load_balancing)


def _release(request: HandOverRequest, now: datetime) -> HandOverProgress:
    both = read_both_registrations(request, now)
    registered = [r for r in both.original if not r.is_draining]
    if registered:
        deregister(both.original_names, registered)
    if not both.original:
        return HandOverProgress(done=True, load_balancing=both.load_balancing)
    return both.unfinished(_POLL_DRAIN_S)
