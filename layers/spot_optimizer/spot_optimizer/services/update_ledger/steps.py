"""``update_ledger``: the transactions of a switch, one for each step of the state machines."""

from datetime import datetime

from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger import claims
from spot_optimizer.aws.ledger.failover_claim import take_over
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import Boundary
from spot_optimizer.contracts.steps import (
    AbandonRequest,
    Claim,
    ClaimRequest,
    CommitOwingRequest,
    CommitRequest,
    FailRequest,
    Outcome,
    PayRequest,
    RefuseEndedRequest,
    RefuseRequest,
    Replacement,
    SucceedRequest,
    TakenOver,
    TakeOverRequest,
    UnclaimRequest,
)
from spot_optimizer.services.update_ledger.commit import abandon, commit, commit_owing
from spot_optimizer.services.update_ledger.payment import pay
from spot_optimizer.services.update_ledger.refusal import current_attempt, refuse, refuse_ended
from spot_optimizer.vocabulary import Phase
from spot_optimizer.workflow.switch_outcome import fail, fail_leftover, succeed

Request = (
    ClaimRequest
    | TakeOverRequest
    | UnclaimRequest
    | RefuseRequest
    | RefuseEndedRequest
    | CommitRequest
    | CommitOwingRequest
    | AbandonRequest
    | SucceedRequest
    | FailRequest
    | PayRequest
)


def update_ledger(request: Request, env: StepEnvironment, now: datetime) -> Boundary:
    """Carry out one step. Idempotent: a repeated step gives the same answer and changes nothing more."""
    ledger = Ledger(env.ledger_table)
    match request:
        case ClaimRequest():
            switch = claims.claim(ledger, request.order, now)
            return Claim(token=str(switch.fence), attempt=current_attempt(switch))
        case TakeOverRequest():
            return _taken_over(take_over(ledger, request.order, now))
        case UnclaimRequest():
            return _unclaim(ledger, request, env, now)
        case RefuseRequest():
            return refuse(ledger, request, now)
        case RefuseEndedRequest():
            return refuse_ended(ledger, request, now)
        case CommitRequest():
            return commit(ledger, request, now)
        case CommitOwingRequest():
            return commit_owing(ledger, request, env, now)
        case AbandonRequest():
            return abandon(ledger, request, now)
        case SucceedRequest():
            return succeed(ledger, request, env, now)
        case FailRequest():
            return fail(ledger, request, env, now)
        case PayRequest():
            return pay(ledger, request, env, now)


def _taken_over(switch: SwitchItem) -> TakenOver:
    adopted = None
    if switch.replacement_id is not None and switch.launched_at is not None:
        adopted = Replacement(instance_id=switch.replacement_id, launched_at=switch.launched_at)
    return TakenOver(token=str(switch.fence), attempt=current_attempt(switch), replacement=adopted)


def _unclaim(
    ledger: Ledger, request: UnclaimRequest, env: StepEnvironment, now: datetime
) -> Outcome:
    """End a switch whose run does not know whether the claim was made."""
    switch = ledger.switch(request.workload_id, request.switch_id)
    if switch is None:
        return Outcome(phase=Phase.FAILED, summary="no claim was made")
    return fail_leftover(ledger, switch, request.failure, env, now)
