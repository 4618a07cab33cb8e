"""The step NoCapacity: record a refused launch and choose the next attempt."""

import json
from datetime import datetime

from spot_optimizer.aws.ledger import claims, keys
from spot_optimizer.aws.ledger.items import PlanItem, RefusedAttempt, SwitchItem
from spot_optimizer.aws.ledger.pool_events import record_pool_event
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import NextAttempt, RefusedLaunch, RefuseRequest
from spot_optimizer.contracts.switch import Attempt
from spot_optimizer.switching.launch_refusals import scope_of_stored
from spot_optimizer.switching.next_candidate import next_candidate
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import DecisionKind, Lifecycle, Pool, Scope


def refuse(ledger: Ledger, request: RefuseRequest, now: datetime) -> NextAttempt:
    """Record the refusal, unless that was done before, and answer with the next attempt, if any."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if request.attempt not in {refusal.attempt for refusal in switch.refusals}:
        switch = _record(ledger, switch, request, now)
    if switch.attempt > request.attempt:
        return NextAttempt(attempt=current_attempt(switch))
    return NextAttempt(attempt=None)


def current_attempt(switch: SwitchItem) -> Attempt:
    """The attempt that a switch is at."""
    return Attempt(number=switch.attempt, target=switch.order.candidates[switch.candidate])


def _record(
    ledger: Ledger, switch: SwitchItem, request: RefuseRequest, now: datetime
) -> SwitchItem:
    """The switch after the refusal was recorded."""
    launch = _refused_launch(request.cause)
    refusal = RefusedAttempt(
        attempt=request.attempt, candidate=switch.candidate, **launch.model_dump()
    )
    switch = switch.model_copy(update={"refusals": (*switch.refusals, refusal)})
    following = _following(switch)
    if refusal.code.startswith("InvalidLaunchTemplateId."):
        _discard_template(ledger, switch)
    elif refusal.scope is Scope.NOTHING:
        # What the launch names may be gone: the next cycle reads the instance again, and says so.
        ledger.update(keys.plan_key(switch.workload_id), PlanItem.stored({"details": ""}))
    claims.note_refusal(ledger, switch, following)
    _record_in_pool_history(ledger, switch, refusal, now)
    logger.info("launch refused", refusal=launch.model_dump(), next_candidate=following)
    if following is None:
        return switch
    return switch.model_copy(update={"candidate": following, "attempt": request.attempt + 1})


def _refused_launch(cause: str) -> RefusedLaunch:
    """The refusal inside a caught error's ``Cause``: the Lambda runtime's JSON around ours."""
    return RefusedLaunch.model_validate_json(json.loads(cause)["errorMessage"])


def _following(switch: SwitchItem) -> int | None:
    lasting = [(r.candidate, _scope(r)) for r in switch.refusals if not r.again]
    return next_candidate(switch.order.candidates, lasting)


def _scope(refusal: RefusedAttempt) -> Scope:
    return scope_of_stored(refusal.scope, refusal.code, refusal.message)


def _discard_template(ledger: Ledger, switch: SwitchItem) -> None:
    """Make the next cycle create another launch template. The traits in the reference are kept."""
    template = switch.order.launch_template.model_copy(update={"template_id": "", "data_hash": ""})
    changes = {"launch_template": template.model_dump(), "fingerprint": ""}
    ledger.update(keys.plan_key(switch.workload_id), PlanItem.stored(changes))


def _record_in_pool_history(
    ledger: Ledger, switch: SwitchItem, refusal: RefusedAttempt, now: datetime
) -> None:
    """Let later decisions avoid a pool without capacity, and a subnet without addresses. The EC2 Fleet of
    a failover was refused by all its pools, which says nothing about a single one."""
    target = switch.order.candidates[refusal.candidate]
    is_one_pool = switch.order.kind is not DecisionKind.EVACUATE
    pool = Pool(target.instance_type, target.availability_zone)
    detail = f"{switch.switch_id}#{refusal.attempt}"
    if refusal.scope is Scope.POOL and target.lifecycle is Lifecycle.SPOT and is_one_pool:
        record_pool_event(ledger, "REFUSED", pool, now, detail)
    if _scope(refusal) is Scope.SUBNET:
        record_pool_event(
            ledger, "REFUSED_BY_SUBNET", pool, now, detail, subnet_id=target.subnet_id
        )
