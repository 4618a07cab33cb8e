"""Records the product's calls on the wire and injects faults into them."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ConnectionClosedError
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.account import EmbeddedAccount
from simulator.account.callers import Caller
from simulator.account.interception import WireCall
from simulator.account.lambdas import TIMED_OUT, FunctionKilled
from simulator.account.redrive import NotRedrivable
from simulator.faults import stale
from simulator.faults.kinds import (
    LATE_BY,
    REDRIVEN_AFTER,
    REFUSED_FOR,
    STALE_BY,
    Fault,
    FaultKind,
    applicable,
    refusal,
)
from simulator.faults.places import PlacedFault
from simulator.world import World

_NO_EFFECT = (FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.DENIED)
_SDK_GAVE_UP = timedelta(seconds=20)
"""Duration of five retries with jitter (AWS SDKs guide, "Retry behavior")."""


@dataclass(frozen=True)
class Passed:
    """One call of the product, as recorded."""

    number: int
    at: datetime
    service: str
    operation: str
    caller: str
    kinds: tuple[FaultKind, ...]
    """Those that apply to it."""

    def __str__(self) -> str:
        return f"{self.number} {self.service}.{self.operation} by {self.caller}"


@dataclass
class Met:
    """A fault that happened.

    Attributes:
        fault: as armed.
        number: of its call or its delivery.
        call: None if it happened to the delivery of an event.
        target, text: of a delivery: its function and its event.
        chain: the callers, the outermost first.
        execution, state: in which it happened, if in any; ``events_before`` is the length of the
            execution's history at that moment.
        refused: further calls that were refused with this one, if it denies all like it.
    """

    at: datetime
    fault: Fault | PlacedFault
    number: int
    call: WireCall | None = None
    target: str = ""
    text: str = ""
    chain: tuple[Caller, ...] = ()
    execution: str | None = None
    state: str | None = None
    events_before: int = 0
    refused: int = 0

    @property
    def kind(self) -> FaultKind:
        """What happened."""
        return self.fault.kind

    def __str__(self) -> str:
        return f"{self.number}:{self.kind.value}"


@dataclass
class _Watch:
    """Counts the calls that match a placed fault."""

    fault: PlacedFault
    since: datetime
    seen: int = 0

    @property
    def due(self) -> bool:
        return self.seen >= self.fault.occurrence


@dataclass
class _Denial:
    signature: tuple[str, ...]
    until: datetime
    met: Met | None = None
    workload: str | None = None
    """The workload whose calls alone are refused."""


class Injector:
    """Injects faults into calls and deliveries of one account, counted from :meth:`arm` on.

    Attributes:
        passed: the calls since then, in their order.
        deliveries: how many events have been delivered since then.
        met: the faults that happened.
        lag: how far behind the world's clock is while a stale read is answered.
    """

    def __init__(self, account: EmbeddedAccount) -> None:
        self._account = account
        self._waiting: list[Fault] = []
        self._watches: list[_Watch] = []
        self._under_way: dict[int, FaultKind] = {}
        self._dead: list[Caller] = []
        self._excused: list[Caller] = []
        self._denied: list[_Denial] = []
        self._wrong_until: datetime | None = None
        self._armed = False
        self.passed: list[Passed] = []
        self.deliveries = 0
        self.met: list[Met] = []
        self.lag = timedelta(0)

    def now(self) -> datetime:
        """The world's time: behind the account's while a stale read is answered."""
        return self._account.clock.now() - self.lag

    def attach(self, world: World) -> None:
        """Set the world that answers for EC2; its clock must be :meth:`now`."""
        self._world = world

    def arm(self, faults: Iterable[Fault | PlacedFault] = ()) -> None:
        """Count from 1 again; inject these faults."""
        wanted, begun = list(faults), self._account.clock.now()
        self._waiting = sorted(each for each in wanted if isinstance(each, Fault))
        self._watches = [
            _Watch(each, begun + each.after) for each in wanted if isinstance(each, PlacedFault)
        ]
        self._by_workload = any(watch.fault.workload for watch in self._watches)
        self._workloads: dict[str, str | None] = {}
        self._denied.clear()
        self.passed.clear()
        self.met.clear()
        self.deliveries = 0
        self._armed = True

    def deny(self, caller: str, service: str, operation: str) -> None:
        """Refuse these calls of a caller for ``REFUSED_FOR`` from now on."""
        until = self._account.clock.now() + REFUSED_FOR
        self._denied.append(_Denial((caller, service, operation), until))

    def wrong_until(self, when: datetime) -> None:
        """Something else than a fault of the wire is wrong until then, such as a shortage."""
        self._wrong_until = max(when, self._wrong_until or when)

    @property
    def last_fault(self) -> datetime | None:
        """When the last fault was over."""
        ends = [each.at for each in self.met] + [each.until for each in self._denied]
        ends += [self._wrong_until] if self._wrong_until else []
        return max(ends, default=None)

    @property
    def unmet(self) -> list[Fault | PlacedFault]:
        """The faults that have met nothing yet."""
        return [*self._waiting, *(watch.fault for watch in self._watches)]

    def excuses(self, caller: Caller) -> bool:
        """Whether a fault has happened inside this invocation, so that it may fail."""
        return any(caller is excused for excused in self._excused)

    # --- the wire --------------------------------------------------------------------------------

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        """See :class:`simulator.account.interception.Wire`."""
        if not self._armed or call.caller.kind not in ("lambda", "states"):
            return None
        if call.service == "sqs":
            return None  # Only AWS itself writes to queues: what nobody could deliver.
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
        where = (self._state_of(execution), self._workload_of(execution))
        fault = self._due(call, kinds, number, where)
        denial = self._denial_of(call, where[1])
        if denial is not None:
            if denial.met is not None:
                denial.met.refused += 1
            self._excused += chain
            return refusal(call.service, FaultKind.DENIED)
        if fault is None:
            return None
        met = self._note(fault, number)
        met.call, met.chain, met.execution = call, chain, execution
        if execution is not None:
            met.state, met.events_before = self._account.place_in(execution)
        self._excused += chain
        return self._begin(call, met)

    def _state_of(self, execution: str | None) -> str | None:
        """The state that the call is made in; looked up only where a fault asks for one."""
        if execution is None or not any(watch.fault.state for watch in self._watches):
            return None
        return self._account.place_in(execution).state

    def _workload_of(self, execution: str | None) -> str | None:
        """Whose execution it is; looked up once, and only where a fault has asked for one."""
        if execution is None or not self._by_workload:
            return None
        if execution not in self._workloads:
            self._workloads[execution] = self._account.input_of(execution).get("workload_id")
        return self._workloads[execution]

    def _due(
        self,
        call: WireCall,
        kinds: tuple[FaultKind, ...],
        number: int,
        where: tuple[str | None, str | None],
    ) -> Fault | PlacedFault | None:
        """The fault that happens to this call; every fault that may be meant for it counts it."""
        now = self._account.clock.now()
        for watch in self._watches:
            fits = watch.fault.kind in kinds and watch.fault.fits(call, *where)
            watch.seen += fits and now >= watch.since
        placed = (
            w.fault
            for w in self._watches
            if w.due and w.fault.kind in kinds and w.fault.fits(call, *where)
        )
        numbered = (f for f in self._waiting if f.number <= number and f.kind in kinds)
        return next(placed, None) or next(numbered, None)

    def _begin(self, call: WireCall, met: Met) -> tuple[int, dict[str, Any]] | None:
        kind = met.kind
        if kind is FaultKind.DENIED:
            until = self._account.clock.now() + REFUSED_FOR
            workload = met.fault.workload if isinstance(met.fault, PlacedFault) else None
            self._denied.append(_Denial(_signature(call), until, met, workload))
        if kind in _NO_EFFECT:
            if call.caller.kind == "lambda" and kind is not FaultKind.DENIED:
                self._account.clock.sleep(_SDK_GAVE_UP.total_seconds())
            return refusal(call.service, kind)
        if kind in (FaultKind.ABORTED, FaultKind.REDRIVEN):
            assert met.execution is not None
            self._abort(met.execution)
            if kind is FaultKind.REDRIVEN:
                self.wrong_until(self._account.clock.now() + REDRIVEN_AFTER)
                redrive = partial(self._redrive, met.execution)
                self._account.clock.call_later(REDRIVEN_AFTER, redrive)
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

    def delays(self, target_arn: str, text: str) -> tuple[timedelta, ...]:
        """When the next event arrives at its target, once for each time that it does."""
        if not self._armed:
            return (timedelta(0),)
        self.deliveries += 1
        name = target_arn.split(":", 6)[-1].partition(":")[0]
        target = self._account.logical_id(name)
        fault = self._due_delivery(target)
        if fault is None:
            return (timedelta(0),)
        met = self._note(fault, self.deliveries)
        met.target, met.text = target, text
        match fault.kind:
            case FaultKind.DELIVERED_TWICE:
                return (timedelta(0), timedelta(0))
            case FaultKind.DELIVERED_LATE:
                return (timedelta(0), LATE_BY)
            case _:
                return ()

    # --- what happens ----------------------------------------------------------------------------

    def _due_delivery(self, target: str) -> Fault | PlacedFault | None:
        now = self._account.clock.now()
        mine = [
            w for w in self._watches if w.fault.call is None and w.fault.caller in (None, target)
        ]
        for watch in mine:
            watch.seen += now >= watch.since
        numbered = (f for f in self._waiting if f.kind.of_delivery and f.number <= self.deliveries)
        return next((w.fault for w in mine if w.due), None) or next(numbered, None)

    def _note(self, fault: Fault | PlacedFault, number: int) -> Met:
        if isinstance(fault, Fault):
            self._waiting.remove(fault)
        else:
            self._watches = [watch for watch in self._watches if watch.fault is not fault]
        met = Met(self._account.clock.now(), fault, number)
        self.met.append(met)
        return met

    def _denial_of(self, call: WireCall, workload: str | None) -> _Denial | None:
        if not self._denied:
            return None
        now, signature = self._account.clock.now(), _signature(call)
        for denial in self._denied:
            same = denial.signature == signature and denial.workload in (None, workload)
            if same and now < denial.until:
                return denial
        return None

    def _redrive(self, name: str) -> None:
        """A person who finds that it went on, or has been redriven already, leaves it at that."""
        with suppress(NotRedrivable):
            self._account.redrive(name)

    def _abort(self, name: str) -> None:
        backend = stepfunctions_parser_backends[self._account.account_id][self._account.region]
        for state_machine in backend.state_machines:
            for execution in state_machine.executions:
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
