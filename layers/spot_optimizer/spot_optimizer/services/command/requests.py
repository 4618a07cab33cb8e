"""``command``: every manual request, each recorded with who asked."""

import json
from datetime import datetime
from functools import partial
from typing import Any

from spot_optimizer.aws.clients import client
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.health import (
    stack_health_changes,
    switch_health,
    switch_health_changes,
)
from spot_optimizer.aws.ledger.items import WorkloadItem
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
from spot_optimizer.services.command.market_questions import answer_question
from spot_optimizer.services.command.model_requests import ModelRequest, carry_out_for_models
from spot_optimizer.settings import InvalidSetting, parse_setting
from spot_optimizer.telemetry import logger

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
    """Check, record, and carry out one request; the answer says what came of it.

    Raises InvalidRequest, with nothing changed, for an unknown workload or an impossible value.
    """
    ledger = Ledger(env.ledger_table)
    match request:
        case DecideNow():
            _known(ledger, request.workload)
            _record(ledger, env, request, request.workload, now)
            return _decide(request, env)
        case SetMode():
            _known(ledger, request.workload)
            _record(ledger, env, request, request.workload, now)
            _set_workload(ledger, request.workload, {"mode": request.mode})
            said = f"'{request.mode}'" if request.mode else "what its tag says"
            return {"done": f"mode of '{request.workload}' is {said}"}
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
            return carry_out_for_models(request, ledger, env, now, record)


def _known(ledger: Ledger, workload_id: str) -> WorkloadItem:
    item = ledger.workload(workload_id)
    if item is None:
        known = sorted(ledger_id for ledger_id in ledger.workloads())
        shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
        raise InvalidRequest(
            f"workload = '{workload_id}' is unknown; known are {shown or 'none yet'}"
        )
    return item


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
    """Run the decision function for this workload and pass on what it answers."""
    forced = ForcedDecision(
        trigger="forced",
        workload=request.workload,
        asked_by=request.asked_by,
        instance_type=request.instance_type,
        availability_zone=request.availability_zone,
        lifecycle=request.lifecycle,
    )
    reply = client("lambda").invoke(
        FunctionName=env.decide_function, Payload=forced.model_dump_json().encode()
    )
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    if reply.get("FunctionError"):
        raise InvalidRequest(str(answer.get("errorMessage", "the decision failed")))
    if "not_decided" in answer:
        raise InvalidRequest(str(answer["not_decided"]))
    return answer


def _set_threshold(
    ledger: Ledger, env: Environment, request: SetThreshold, now: datetime
) -> dict[str, Any]:
    """Lay one threshold over the parameters, for the stack or one workload; null takes it back."""
    workload_id = request.workload
    if workload_id is not None:
        overrides = dict(_known(ledger, workload_id).overrides)
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
        # Values that are possible alone may be impossible together.
        env.settings.merged(overrides, source="value", per_workload=workload_id is not None)
    except InvalidSetting as error:
        raise InvalidRequest(str(error)) from error
    _record(ledger, env, request, workload_id, now)
    if workload_id is not None:
        _set_workload(ledger, workload_id, {"overrides": overrides})
    else:
        ledger.update(keys.stack_key(), {"overrides": overrides})
    of_what = f"'{workload_id}'" if workload_id else "the stack"
    said = "as the template says" if request.value is None else f"{request.value}"
    return {"done": f"{request.name} of {of_what} is {said}", "overrides": overrides}


def _reset_breaker(
    ledger: Ledger, env: Environment, request: ResetBreaker, now: datetime
) -> dict[str, Any]:
    if request.workload is None:
        _record(ledger, env, request, None, now)
        stack = ledger.stack()
        changes = stack_health_changes(stack, after_reset_of_stack(), now)
        ledger.update(keys.stack_key(), {**changes, "version": stack.version + 1})
        return {"done": "the stack's breaker is closed"}
    workload = _known(ledger, request.workload)
    _record(ledger, env, request, request.workload, now)
    changes = switch_health_changes(workload, after_reset(switch_health(workload)), now)
    _set_workload(ledger, request.workload, changes)
    return {"done": f"the breaker of '{request.workload}' is closed"}
