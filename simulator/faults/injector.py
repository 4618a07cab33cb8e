"""Stands on the wire: records the product's calls and lets those go wrong that shall."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ConnectionClosedError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.account import EmbeddedAccount
from simulator.account.callers import Caller
from simulator.account.interception import WireCall
from simulator.account.lambdas import TIMED_OUT, FunctionKilled
from simulator.faults import stale
from simulator.faults.kinds import (
    LATE_BY,
    REFUSED_FOR,
    STALE_BY,
    Fault,
    FaultKind,
    applicable,
    refusal,
)
from simulator.world import World

_NO_EFFECT = (FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.DENIED)
_SDK_GAVE_UP = timedelta(seconds=20)
"""What five retries with jitter take (AWS SDKs guide, "Retry behavior")."""


@dataclass(frozen=True)
class Passed:
    """One call of the product as it passed."""

    number: int
    at: datetime
    service: str
    operation: str
    caller: str
    kinds: tuple[FaultKind, ...]
    """What can happen to it."""

    def __str__(self) -> str:
        return f"{self.number} {self.service}.{self.operation} by {self.caller}"


class Injector:
    """Lets faults happen to calls and deliveries of one account, counted from :meth:`arm` on.

    Attributes:
        passed: the calls since then, in their order.
        deliveries: how many events have been delivered since then.
        met: the faults that happened, with the moment.
        lag: how far behind the world's clock is while a stale read is answered.
    """

    def __init__(self, account: EmbeddedAccount) -> None:
        self._account = account
        self._waiting: list[Fault] = []
        self._under_way: dict[int, FaultKind] = {}
        self._dead: list[Caller] = []
        self._excused: list[Caller] = []
        self._denied: list[tuple[tuple[str, ...], datetime]] = []
        self._wrong_until: datetime | None = None
        self._armed = False
        self.passed: list[Passed] = []
        self.deliveries = 0
        self.met: list[tuple[datetime, Fault]] = []
        self.lag = timedelta(0)

    def attach(self, world: World) -> None:
        """Make known what answers for EC2; its clock must follow ``lag``."""
        self._world = world

    def arm(self, faults: Iterable[Fault] = ()) -> None:
        """Begin to count anew; these faults shall happen."""
        self._waiting = sorted(faults)
        self._denied.clear()
        self.passed.clear()
        self.met.clear()
        self.deliveries = 0
        self._armed = True

    def deny(self, caller: str, service: str, operation: str) -> None:
        """Refuse these calls of a caller for ``REFUSED_FOR`` from now on."""
        until = self._account.clock.now() + REFUSED_FOR
        self._denied.append(((caller, service, operation), until))

    def wrong_until(self, when: datetime) -> None:
        """Something else than a fault of the wire is wrong until then, such as a shortage."""
        self._wrong_until = max(when, self._wrong_until or when)

    @property
    def last_fault(self) -> datetime | None:
        """When the last fault was over."""
        ends = [at for at, _ in self.met] + [until for _, until in self._denied]
        ends += [self._wrong_until] if self._wrong_until else []
        return max(ends, default=None)

    def excuses(self, caller: Caller) -> bool:
        """Whether a fault has happened inside this invocation, so that it may fail."""
        return any(caller is excused for excused in self._excused)

    # --- the wire --------------------------------------------------------------------------------

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        """See :class:`simulator.account.interception.Wire`."""
        if not self._armed or call.caller.kind not in ("lambda", "states"):
            return None
        chain = self._account.callers.chain()
        if any(chain[-1] is dead for dead in self._dead):
            raise FunctionKilled(TIMED_OUT)
        execution = next((c.execution for c in reversed(chain) if c.execution), None)
        number = len(self.passed) + 1
        kinds = applicable(call, in_execution=execution is not None)
        self.passed.append(
            Passed(
                number,
                self._account.clock.now(),
                call.service,
                call.operation,
                call.caller.name,
                kinds,
            )
        )
        kind = next(
            (f.kind for f in self._waiting if f.number <= number and f.kind in kinds), None
        )
        if self._is_denied(call):
            self._excused += chain
            return refusal(call.service, FaultKind.DENIED)
        if kind is None:
            return None
        self._note(number, kind)
        self._excused += chain
        return self._begin(call, kind, execution)

    def _begin(
        self, call: WireCall, kind: FaultKind, execution: str | None
    ) -> tuple[int, dict[str, Any]] | None:
        if kind is FaultKind.DENIED:
            until = self._account.clock.now() + REFUSED_FOR
            self._denied.append((_signature(call), until))
        if kind in _NO_EFFECT:
            if call.caller.kind == "lambda" and kind is not FaultKind.DENIED:
                self._account.clock.sleep(_SDK_GAVE_UP.total_seconds())
            return refusal(call.service, kind)
        if kind is FaultKind.ABORTED:
            assert execution is not None
            self._abort(execution)
            return None
        if kind is FaultKind.STALE:
            as_of = self._account.clock.now() - STALE_BY
            unknown = stale.not_found(self._account, self._world, call, as_of)
            if unknown is not None:
                return unknown
            self.lag = STALE_BY if stale.can_lag(self._world, as_of) else timedelta(0)
        self._under_way[id(call)] = kind
        return None

    def arrives_twice(self, call: WireCall) -> bool:
        """See :class:`simulator.account.interception.Wire`."""
        return self._under_way.get(id(call)) is FaultKind.TWICE

    def after(
        self, call: WireCall, _status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        """See :class:`simulator.account.interception.Wire`."""
        kind = self._under_way.pop(id(call), None)
        match kind:
            case FaultKind.LOST_REPLY:
                if call.caller.kind != "lambda":
                    return refusal(call.service, kind)
                self._account.clock.sleep(_SDK_GAVE_UP.total_seconds())
                raise ConnectionClosedError(endpoint_url=call.service)
            case FaultKind.TIMED_OUT | FaultKind.KILLED:
                self._dead.append(self._account.callers.chain()[-1])
                raise FunctionKilled(
                    TIMED_OUT if kind is FaultKind.TIMED_OUT else "Runtime.ExitError"
                )
            case FaultKind.STALE:
                self.lag = timedelta(0)
                stale.forget(call, reply, self._account.clock.now() - STALE_BY)
        return None

    def delays(self) -> tuple[timedelta, ...]:
        """When the next event arrives at its target, once for each time that it does."""
        if not self._armed:
            return (timedelta(0),)
        self.deliveries += 1
        kind = next(
            (
                f.kind
                for f in self._waiting
                if f.kind.of_delivery and f.number <= self.deliveries
            ),
            None,
        )
        if kind is None:
            return (timedelta(0),)
        self._note(self.deliveries, kind)
        match kind:
            case FaultKind.DELIVERED_TWICE:
                return (timedelta(0), timedelta(0))
            case FaultKind.DELIVERED_LATE:
                return (timedelta(0), LATE_BY)
            case _:
                return ()

    # --- what happens ----------------------------------------------------------------------------

    def _note(self, number: int, kind: FaultKind) -> None:
        self._waiting.remove(next(f for f in self._waiting if f.kind is kind))
        self.met.append((self._account.clock.now(), Fault(number, kind)))

    def _is_denied(self, call: WireCall) -> bool:
        now, signature = self._account.clock.now(), _signature(call)
        return any(signature == denied and now < until for denied, until in self._denied)

    def _abort(self, name: str) -> None:
        backend = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID][self._account.region]
        for machine in backend.state_machines:
            for execution in machine.executions:
                if execution.name == name and execution.status == "RUNNING":
                    execution.stop(self._account.clock.now(), "Aborted", "a fault was injected")


def _signature(call: WireCall) -> tuple[str, ...]:
    """What the calls have in common that one missing permission or broken function concerns."""
    parts = [call.caller.name, call.service, call.operation]
    if call.operation == "Invoke":
        payload = json.loads(call.params.get("Payload") or b"{}")
        action = payload.get("action", "") if isinstance(payload, dict) else ""
        parts += [str(call.params["FunctionName"]), str(action)]
    if call.operation == "UpdateItem":
        parts.append(json.dumps(call.params.get("UpdateExpression")))
    return tuple(parts)
