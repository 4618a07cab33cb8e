"""The product's AWS calls on their way: each is recorded, and some of them fail on order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.account import EmbeddedAccount
from simulator.account.interception import WireCall

__all__ = ["ApiCall", "CallLog", "Fault"]


@dataclass(frozen=True)
class ApiCall:
    """One AWS call that the product made; ``at`` is the time of its reply."""

    at: datetime
    service: str
    operation: str
    params: Mapping[str, Any]
    caller: str
    error: str | None


@dataclass
class Fault:
    """AWS fails a call with a code and an HTTP status, before its effect or after it (a lost reply).

    It happens to the first ``times`` calls of ``caller`` that ``when`` accepts by their parameters; if
    ``workload`` is given, only in that workload's executions.
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


class CallLog:
    """A wire (:class:`simulator.account.interception.Wire`) that all calls of the product pass.

    Attributes:
        api: the calls so far, in the order of their replies.
        faults: what shall fail; the first one that fits a call counts.
        before_call: operation -> what to do just before the product calls it.
    """

    def __init__(self, account: EmbeddedAccount) -> None:
        self._account = account
        self._lost: dict[int, Fault] = {}
        self.api: list[ApiCall] = []
        self.faults: list[Fault] = []
        self.before_call: dict[str, Callable[[], object]] = {}

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        if call.caller.kind == "driver":
            return None
        if call.operation in self.before_call:
            with self._account.callers.apart():
                self.before_call[call.operation]()
        fault = next((each for each in self.faults if _fits(each, call)), None)
        if fault is None:
            return None
        fault.met += 1
        if not fault.after_effect:
            return _refusal(fault)
        self._lost[id(call)] = fault
        return None

    def arrives_twice(self, _call: WireCall) -> bool:
        return False

    def after(
        self, call: WireCall, status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        if call.caller.kind == "driver":
            return None
        lost = self._lost.pop(id(call), None)
        seen = None if lost is None else _refusal(lost)
        status, reply = seen or (status, reply)
        code = str(reply["Error"]["Code"]) if status >= 300 else None
        at, who = self._account.clock.now(), call.caller.name
        self.api.append(ApiCall(at, call.service, call.operation, call.params, who, code))
        return seen


def _fits(fault: Fault, call: WireCall) -> bool:
    return (
        fault.operation == call.operation
        and fault.caller == call.caller.name
        and fault.met < fault.times
        and (fault.workload is None or f"{call.caller.execution}".startswith(f"{fault.workload}-"))
        and fault.when(call.params)
    )


def _refusal(fault: Fault) -> tuple[int, dict[str, Any]]:
    return fault.status, {"Error": {"Code": fault.code, "Message": "a fault on order"}}
