"""``update_ledger``: the transactions of a switch."""

import json
from datetime import datetime

from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger import claims, keys
from spot_optimizer.aws.ledger.claims import ClaimLost, held_record
from spot_optimizer.aws.ledger.items import (
    RefusedAttempt,
    SwitchItem,
)
from spot_optimizer.aws.ledger.pool_events import record_pool_event
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import Boundary
from spot_optimizer.contracts.steps import (
    Abandoned,
    AbandonRequest,
    Claim,
    ClaimRequest,
    CommitRequest,
    Committed,
    FailRequest,
    NextAttempt,
    Outcome,
    RefusedLaunch,
    RefuseRequest,
    Replacement,
    SucceedRequest,
    TakenOver,
    TakeOverRequest,
    UnclaimRequest,
)
from spot_optimizer.contracts.switch import Attempt
from spot_optimizer.switching.launch_refusals import next_candidate
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Phase,
    Pool,
    Scope,
)
from spot_optimizer.workflow.switch_outcome import fail, fail_leftover, succeed

Request = (
    ClaimRequest
    | TakeOverRequest
    | UnclaimRequest
    | RefuseRequest
    | CommitRequest
    | AbandonRequest
    | SucceedRequest
    | FailRequest
)


def update_ledger(request: Request, env: StepEnvironment, now: datetime) -> Boundary:
    """Carry out one step. Repeating a step gives the same answer and changes nothing more."""
    ledger = Ledger(env.ledger_table)
    match request:
        case ClaimRequest():
            switch = claims.claim(ledger, request.order, now)
            return Claim(token=str(switch.fence), attempt=_attempt(switch))
        case TakeOverRequest():
            return _taken_over(claims.take_over(ledger, request.order, now))
        case UnclaimRequest():
            return _unclaim(ledger, request, env, now)
        case RefuseRequest():
            return _refuse(ledger, request, now)
        case CommitRequest():
            return _commit(ledger, request, now)
        case AbandonRequest():
            return _abandon(ledger, request, now)
        case SucceedRequest():
            return succeed(ledger, request, env, now)
        case FailRequest():
            return fail(ledger, request, env, now)


def _attempt(switch: SwitchItem) -> Attempt:
    return Attempt(number=switch.attempt, target=switch.order.candidates[switch.candidate])


def _taken_over(switch: SwitchItem) -> TakenOver:
    adopted = None
    if switch.replacement_id is not None and switch.launched_at is not None:
        adopted = Replacement(instance_id=switch.replacement_id, launched_at=switch.launched_at)
    return TakenOver(token=str(switch.fence), attempt=_attempt(switch), replacement=adopted)


def _unclaim(
    ledger: Ledger, request: UnclaimRequest, env: StepEnvironment, now: datetime
) -> Outcome:
    """End a switch that does not know whether it was claimed; nothing where it was not."""
    switch = ledger.switch(request.workload_id, request.switch_id)
    if switch is None:
        return Outcome(phase=Phase.FAILED, summary="no claim was made")
    return fail_leftover(ledger, switch, request.failure, env, now)


def refused_launch(cause: str) -> RefusedLaunch:
    """The refusal inside a caught error's ``Cause``: the Lambda runtime's JSON around ours."""
    return RefusedLaunch.model_validate_json(json.loads(cause)["errorMessage"])


def _refuse(ledger: Ledger, request: RefuseRequest, now: datetime) -> NextAttempt:
    switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
    noted = {refusal.attempt for refusal in switch.refusals}
    if request.attempt not in noted:
        refusal = refused_launch(request.cause)
        noting = RefusedAttempt(
            attempt=request.attempt, candidate=switch.candidate, **refusal.model_dump()
        )
        switch = switch.model_copy(update={"refusals": (*switch.refusals, noting)})
        following = _following(switch)
        if refusal.code.startswith("InvalidLaunchTemplateId."):
            _forget_template(ledger, switch)
        claims.note_refusal(ledger, switch, following)
        _remember_pool(ledger, switch, noting, now)
        if following is not None:
            switch = switch.model_copy(
                update={"candidate": following, "attempt": request.attempt + 1}
            )
        logger.info("launch refused", refusal=refusal.model_dump(), next_candidate=following)
    if switch.attempt > request.attempt:
        return NextAttempt(attempt=_attempt(switch))
    return NextAttempt(attempt=None)


def _remember_pool(
    ledger: Ledger, switch: SwitchItem, refusal: RefusedAttempt, now: datetime
) -> None:
    """Have later decisions avoid a pool without capacity. A rescue's fleet names no single one."""
    target = switch.order.candidates[refusal.candidate]
    is_one_pool = switch.order.kind is not DecisionKind.EVACUATE
    if refusal.scope is Scope.POOL and target.lifecycle is Lifecycle.SPOT and is_one_pool:
        pool = Pool(target.instance_type, target.availability_zone)
        detail = f"{switch.switch_id}#{refusal.attempt}"
        record_pool_event(ledger, "REFUSED", pool, now, detail)


def _forget_template(ledger: Ledger, switch: SwitchItem) -> None:
    """Have the next cycle make the launch template anew; the traits beside it are kept."""
    forgotten = switch.order.launch_template.model_copy(update={"template_id": "", "data_hash": ""})
    ledger.update(
        keys.plan_key(switch.workload_id),
        {"launch_template": forgotten.model_dump(), "fingerprint": ""},
    )


def _following(switch: SwitchItem) -> int | None:
    lasting = [(r.candidate, r.scope) for r in switch.refusals if not r.again]
    return next_candidate(switch.order.candidates, lasting)


def _commit(ledger: Ledger, request: CommitRequest, now: datetime) -> Committed:
    switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase not in (Phase.COMMITTED, Phase.DONE):
        claims.commit(ledger, switch, now)
    return _committed(switch)


def _committed(switch: SwitchItem) -> Committed:
    order = switch.order
    assert switch.replacement_id is not None  # nothing is handed over without one
    return Committed(
        original_id=order.original.instance_id,
        replacement_id=switch.replacement_id,
        auto_terminate=order.auto_terminate,
        persistent_spot_request_id=order.original.persistent_spot_request_id,
    )


def _abandon(ledger: Ledger, request: AbandonRequest, now: datetime) -> Abandoned:
    switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.replacement_adopted:
        return Abandoned(committed=None, adopted=True)
    if switch.phase not in (Phase.COMMITTED, Phase.DONE):
        try:
            claims.abandon(ledger, switch, now)
            workload = ledger.workload(request.workload_id)
            return Abandoned(committed=None, runs_on=workload.instance_id if workload else "")
        except ClaimLost:
            # A commit that was under way may have come first: then it stands.
            switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
            if switch.replacement_adopted:
                return Abandoned(committed=None, adopted=True)
            if switch.phase not in (Phase.COMMITTED, Phase.DONE):
                raise
    return Abandoned(committed=_committed(switch))
