"""Faults on order for the scenarios of a switch."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from simulator.call_log import Fault
from simulator.stage import Stage


def step(function: str, action: str | None = None) -> Callable[[Mapping[str, Any]], bool]:
    """Accepts the Invoke of a function (logical id); if an action is given, of that action only."""

    def accepts(params: Mapping[str, Any]) -> bool:
        named = f"-{function}-" in params["FunctionName"]
        return named and (action is None or json.loads(params["Payload"]).get("action") == action)

    return accepts


def record_of(phase: str) -> Callable[[Mapping[str, Any]], bool]:
    """Accepts the UpdateItem that advances a switch's record to ``phase``."""
    return lambda params: params["ExpressionAttributeValues"].get(":after") == {"S": phase}


def lost(operation: str, when: Callable[[Mapping[str, Any]], bool], times: int = 1_000) -> Fault:
    """The call takes effect, but its reply is lost: the caller sees a service error."""
    codes = {"Invoke": "ServiceException", "UpdateItem": "InternalServerError"}
    code = codes.get(operation, "InternalError")
    return Fault(operation, code=code, when=when, after_effect=True, times=times)


def workload_of(state: str) -> str:
    """The workload whose switch fails in ``state``."""
    return state.lower()


def inject(stage: Stage, faults: Mapping[str, Fault]) -> None:
    """Order one fault for each state, for the workload that is named like the state."""
    for state, fault in faults.items():
        stage.faults.append(
            Fault(fault.operation, fault.code, workload=workload_of(state), when=fault.when)
        )
