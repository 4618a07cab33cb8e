"""Standing between the product and AWS: its calls are recorded, and some of them fail on order."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from simulator.account import EmbeddedAccount


@dataclass(frozen=True)
class ApiCall:
    """One AWS call that the product made, in the order of their answers."""

    at: datetime
    service: str
    operation: str
    params: Mapping[str, Any]
    caller: str
    error: str | None


@dataclass
class Fault:
    """AWS failing a call, with a code and an HTTP status: before it had an effect, or after (the reply is
    lost).

    Only calls that ``when`` accepts (parameters) of the execution of ``workload`` or of a function
    are met, ``times`` of them.
    """

    operation: str
    code: str = "AccessDeniedException"
    status: int = field(default=400, kw_only=True)
    caller: str = "SwitchInstance"
    workload: str | None = None
    when: Callable[[Mapping[str, Any]], bool] = lambda _params: True
    after_effect: bool = False
    times: int = 1_000
    met: int = field(default=0, init=False)


class Between:
    """All AWS calls of the product pass here.

    Attributes:
        api: the calls so far.
        faults: what shall fail; the first one that meets a call counts.
        before_call: operation -> what to look at, just before the product calls it.
    """

    def __init__(self, account: EmbeddedAccount) -> None:
        self.account = account
        self.api: list[ApiCall] = []
        self.faults: list[Fault] = []
        self.before_call: dict[str, Callable[[], object]] = {}

    @contextmanager
    def in_between(self) -> Iterator[None]:
        """Record the product's calls, and fail those that a fault meets."""
        answer = BaseClient._make_api_call  # type: ignore[attr-defined]  # types-boto3 hides it

        def call(client: Any, operation: str, params: dict[str, Any]) -> Any:
            caller = self.account.callers.current()
            if caller.kind == "driver":
                return answer(client, operation, params)
            if operation in self.before_call:
                with self.account.callers.apart():
                    self.before_call[operation]()
            service = client.meta.service_model.service_name
            fault = next((f for f in self.faults if self._meets(f, operation, params)), None)
            code: str | None = None
            try:
                if fault is not None:
                    fault.met += 1
                    if fault.after_effect:
                        answer(client, operation, params)
                    raise _refusal(operation, fault.code, fault.status)
                return answer(client, operation, params)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                raise
            finally:
                at = self.account.clock.now()
                self.api.append(ApiCall(at, service, operation, params, caller.name, code))

        with mock.patch.object(BaseClient, "_make_api_call", call):
            yield

    def _meets(self, fault: Fault, operation: str, params: Mapping[str, Any]) -> bool:
        caller = self.account.callers.current()
        return (
            fault.operation == operation
            and fault.caller == caller.name
            and fault.met < fault.times
            and (fault.workload is None or f"{caller.execution}".startswith(f"{fault.workload}-"))
            and fault.when(params)
        )


def _refusal(operation: str, code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "a fault of the test"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "00000000-0000-0000-0000-000000000000",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


def step(function: str, action: str | None = None) -> Callable[[Mapping[str, Any]], bool]:
    """Accepts the Invoke of a function (logical id), of one of its actions if that is named."""

    def accepts(params: Mapping[str, Any]) -> bool:
        named = f"-{function}-" in params["FunctionName"]
        return named and (action is None or json.loads(params["Payload"]).get("action") == action)

    return accepts


def record_of(phase: str) -> Callable[[Mapping[str, Any]], bool]:
    """Accepts the UpdateItem that advances a switch's record to ``phase``."""
    return lambda params: params["ExpressionAttributeValues"].get(":after") == {"S": phase}


def lost(operation: str, when: Callable[[Mapping[str, Any]], bool], times: int = 1_000) -> Fault:
    """Takes effect, but the reply is lost, as AWS's service errors say it."""
    codes = {"Invoke": "ServiceException", "UpdateItem": "InternalServerError"}
    code = codes.get(operation, "InternalError")
    return Fault(operation, code=code, when=when, after_effect=True, times=times)


def workload_of(state: str) -> str:
    """The workload whose switch fails in ``state``."""
    return state.lower()


def inject(between: Between, faults: Mapping[str, Fault]) -> None:
    """One workload for each state, whose switch meets that state's fault."""
    for state, fault in faults.items():
        between.faults.append(
            Fault(fault.operation, fault.code, workload=workload_of(state), when=fault.when)
        )
