"""The steps NoCapacity and RecordEnded: record a refused launch and choose the next attempt."""

import json
from datetime import datetime

from spot_optimizer.aws.ledger import claims, keys
from spot_optimizer.aws.ledger.items import PlanItem, RefusedAttempt, SwitchItem
from spot_optimizer.aws.ledger.pool_events import record_pool_event
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import (
    NextAttempt,
    RefusedLaunch,
    RefuseEndedRequest,
    RefuseRequest,
    StateReason,
)
from spot_optimizer.contracts.switch import Attempt
from spot_optimizer.switching.launch_refusals import refusal_of_state_reason, stored_scope
from spot_optimizer.switching.next_candidate import next_candidate
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import Lifecycle, Pool, Scope
from spot_optimizer.workflow.lasting_refusals import lasting_refusals, refused_scope


def refuse(ledger: Ledger, request: RefuseRequest, now: datetime) -> NextAttempt:
    """Record the refusal, unless that was done before, and answer with the next attempt, if any."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if request.attempt not in _refused_attempts(switch):
        switch = _record(ledger, switch, _refused_launch(request.cause), now)
    return _following_attempt(switch)


def refuse_ended(ledger: Ledger, request: RefuseEndedRequest, now: datetime) -> NextAttempt:
    """The same for a failover's replacement that ended before it ran."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if request.replacement_id == switch.replacement_id:
        switch = _record(ledger, switch, _ended_launch(switch, request), now)
    return _following_attempt(switch)


def _following_attempt(switch: SwitchItem) -> NextAttempt:
    is_last = switch.attempt in _refused_attempts(switch)
    return NextAttempt(attempt=None if is_last else current_attempt(switch))


def _refused_attempts(switch: SwitchItem) -> set[int]:
    return {refusal.attempt for refusal in switch.refusals}


def current_attempt(switch: SwitchItem) -> Attempt:
    """The attempt that a switch is at."""
    return Attempt(number=switch.attempt, target=switch.order.candidates[switch.candidate])


def _record(ledger: Ledger, switch: SwitchItem, launch: RefusedLaunch, now: datetime) -> SwitchItem:
    """The switch after the refusal of its attempt was recorded."""
    refusal = RefusedAttempt(
        attempt=switch.attempt, candidate=switch.candidate, **launch.model_dump()
    )
    switch = switch.model_copy(update={"refusals": (*switch.refusals, refusal)})
    following = next_candidate(switch.order.candidates, lasting_refusals(switch))
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
    return switch.model_copy(update={"candidate": following, "attempt": switch.attempt + 1})


def _refused_launch(cause: str) -> RefusedLaunch:
    """The refusal inside a caught error's ``Cause``: the Lambda runtime's JSON around ours."""
    return RefusedLaunch.model_validate_json(json.loads(cause)["errorMessage"])


def _ended_launch(switch: SwitchItem, request: RefuseEndedRequest) -> RefusedLaunch:
    """The end of a replacement, in the form of a refusal."""
    (reason,) = request.state_reasons or (StateReason(),)
    refusal = refusal_of_state_reason(reason.code, reason.message)
    scope, cure = stored_scope(refusal.scope), refusal.cure
    if (
        scope is Scope.NOTHING
        and switch.order.candidates[switch.candidate].lifecycle is Lifecycle.SPOT
    ):
        # On-demand launches have other permissions, such as grants of keys.
        scope, cure = Scope.LIFECYCLE, f"{cure} On-demand is tried."
    message = f"{request.replacement_id} ended before it ran: {reason.message}"
    return RefusedLaunch(code=reason.code, scope=scope, cure=cure, message=message[:500])


def _discard_template(ledger: Ledger, switch: SwitchItem) -> None:
    """Make the next cycle create another launch template. The traits in the reference are kept."""
    template = switch.order.launch_template.model_copy(update={"template_id": "", "data_hash": ""})
    changes = {"launch_template": template.model_dump(), "fingerprint": ""}
    ledger.update(keys.plan_key(switch.workload_id), PlanItem.stored(changes))


def _record_in_pool_history(
    ledger: Ledger, switch: SwitchItem, refusal: RefusedAttempt, now: datetime
) -> None:
    """Let later decisions avoid a pool without capacity, and a subnet without addresses."""
    target = switch.order.candidates[refusal.candidate]
    pool = Pool(target.instance_type, target.availability_zone)
    detail = f"{switch.switch_id}#{refusal.attempt}"
    if refusal.scope is Scope.POOL and target.lifecycle is Lifecycle.SPOT:
        record_pool_event(ledger, "REFUSED", pool, now, detail)
    if refused_scope(refusal) is Scope.SUBNET:
        record_pool_event(
            ledger, "REFUSED_BY_SUBNET", pool, now, detail, subnet_id=target.subnet_id
        )
