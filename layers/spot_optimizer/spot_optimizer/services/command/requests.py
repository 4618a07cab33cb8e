"""``command``: carries out manual requests; each is recorded with who asked."""

from datetime import datetime
from functools import partial
from typing import Any

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.health import (
    stack_health_changes,
    switch_health,
    switch_health_changes,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.contracts.command import (
    ActivateModel,
    DecideNow,
    DropModel,
    EvaluatePool,
    ManualRequest,
    RecommendPools,
    ResetBreaker,
    ResumeAll,
    RollBackModel,
    SetMode,
    SetThreshold,
    ShowModels,
    StopAll,
    TryModel,
    ValidateModelNow,
)
from spot_optimizer.contracts.decide import ForcedDecision
from spot_optimizer.decision.breakers import after_reset, after_reset_of_stack
from spot_optimizer.services.command.invocation import invoke
from spot_optimizer.services.command.market_questions import answer_question
from spot_optimizer.services.command.model_requests import ModelRequest, carry_out_model_request
from spot_optimizer.settings import InvalidSetting, parse_setting
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.known_workloads import known_workload

Request = (
    DecideNow
    | SetMode
    | SetThreshold
    | ResetBreaker
    | StopAll
    | ResumeAll
    | EvaluatePool
    | RecommendPools
    | ModelRequest
)


def carry_out(request: Request, env: Environment, now: datetime) -> dict[str, Any]:
    """Check, record and carry out one request; the answer says what was done.

    Raises InvalidRequest, with nothing changed, for an unknown workload or a value that is not
    allowed.
    """
    ledger = Ledger(env.ledger_table)
    match request:
        case DecideNow():
            known_workload(ledger, request.workload)
            _record(ledger, env, request, request.workload, now)
            return _decide(request, env)
        case SetMode():
            known_workload(ledger, request.workload)
            _record(ledger, env, request, request.workload, now)
            _set_workload(ledger, request.workload, {"mode": request.mode})
            mode = f"'{request.mode}'" if request.mode else "as in its tag"
            return {"done": f"mode of '{request.workload}' is {mode}"}
        case SetThreshold():
            return _set_threshold(ledger, env, request, now)
        case ResetBreaker():
            return _reset_breaker(ledger, env, request, now)
        case StopAll() | ResumeAll():
            _record(ledger, env, request, None, now)
            stop = isinstance(request, StopAll)
            ledger.update(keys.stack_key(), {"global_stop": stop})
            return {"done": f"global stop is {'set' if stop else 'lifted'}"}
        case EvaluatePool() | RecommendPools():
            _record(ledger, env, request, None, now)
            return answer_question(request, ledger, env, now)
        case (
            ShowModels()
            | ValidateModelNow()
            | TryModel()
            | ActivateModel()
            | RollBackModel()
            | DropModel()
        ):
            record = partial(_record, ledger, env, request, None, now)
            return carry_out_model_request(request, ledger, env, now, record)


def _record(
    ledger: Ledger,
    env: Environment,
    request: ManualRequest,
    workload_id: str | None,
    now: datetime,
) -> None:
    pk = f"WORKLOAD#{workload_id}" if workload_id else keys.STACK
    asked = request.model_dump(mode="json")
    sk = f"COMMAND#{instant(now)}#{asked['command']}"
    ledger.put_history(pk, sk, asked, now, env.retention_days)
    logger.info("manual request", request=asked)


def _set_workload(ledger: Ledger, workload_id: str, changes: dict[str, Any]) -> None:
    ledger.update(keys.workload_key(workload_id), changes)


def _decide(request: DecideNow, env: Environment) -> dict[str, Any]:
    """Invoke ``decide`` for this workload; its answer is the answer."""
    forced = ForcedDecision(trigger="forced", **request.model_dump(exclude={"command"}))
    answer = invoke(env.decide_function, forced, "the decision failed")
    if "not_decided" in answer:
        raise InvalidRequest(str(answer["not_decided"]))
    return answer


def _set_threshold(
    ledger: Ledger, env: Environment, request: SetThreshold, now: datetime
) -> dict[str, Any]:
    """Override one threshold for the stack or one workload; null removes the override."""
    workload_id = request.workload
    if workload_id is not None:
        overrides = dict(known_workload(ledger, workload_id).overrides)
    else:
        overrides = dict(ledger.stack().overrides)
    try:
        if request.value is None:
            overrides.pop(request.name, None)
        else:
            overrides[request.name] = parse_setting(
                request.name,
                request.value,
                source="value",
                per_workload=workload_id is not None,
            )
        # Values that are valid alone may be invalid together.
        env.settings.merged(overrides, source="value", per_workload=workload_id is not None)
    except InvalidSetting as error:
        raise InvalidRequest(str(error)) from error
    _record(ledger, env, request, workload_id, now)
    if workload_id is not None:
        _set_workload(ledger, workload_id, {"overrides": overrides})
    else:
        ledger.update(keys.stack_key(), {"overrides": overrides})
    of_what = f"'{workload_id}'" if workload_id else "the stack"
    value = "no longer overridden" if request.value is None else f"{request.value}"
    return {"done": f"{request.name} of {of_what} is {value}", "overrides": overrides}


def _reset_breaker(
    ledger: Ledger, env: Environment, request: ResetBreaker, now: datetime
) -> dict[str, Any]:
    if request.workload is None:
        _record(ledger, env, request, None, now)
        stack = ledger.stack()
        changes = stack_health_changes(stack, after_reset_of_stack(), now)
        ledger.update(keys.stack_key(), {**changes, "version": stack.version + 1})
        return {"done": "the stack's breaker is closed"}
    workload = known_workload(ledger, request.workload)
    _record(ledger, env, request, request.workload, now)
    changes = switch_health_changes(workload, after_reset(switch_health(workload)), now)
    _set_workload(ledger, request.workload, changes)
    return {"done": f"the breaker of '{request.workload}' is closed"}
