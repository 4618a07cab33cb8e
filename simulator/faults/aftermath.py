"""What a fault did and how the product recovered: from histories, invocations and the ledger."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Literal

from simulator.account import EmbeddedAccount
from simulator.account.lambdas import Invocation
from simulator.faults.injector import Injector, Met
from simulator.faults.kinds import (
    LATE_BY,
    REDRIVEN_AFTER,
    REFUSED_FOR,
    STALE_BY,
    FaultKind,
    is_read,
    refusal,
)
from simulator.faults.places import PlacedFault
from simulator.ledger_items import Phase, SwitchItem
from simulator.ledger_view import LedgerView
from simulator.tags import WORKLOAD_TAG
from simulator.world import World

__all__ = ["Aftermath", "FaultSummary", "happened"]

Ending = Literal["cured", "undone", "open", "never met"]


@dataclass(frozen=True)
class FaultSummary:
    """One fault of a scenario, and its consequences."""

    planned: str
    """Kind and call, as the file has them."""
    kind: str
    at: datetime | None
    """None: its call was never made."""
    workload_id: str
    """Empty if it concerns the whole stack."""
    happened: str
    done: str
    cured_at: datetime | None
    ending: Ending
    """``undone``: its switch failed, was undone, and has not been made since; ``open``: nothing has
    cured it by the end."""


@dataclass(frozen=True)
class _Cure:
    done: str
    at: datetime | None
    ending: Ending


def happened(met: Met) -> str:
    """What went wrong, in words."""
    if met.call is None:
        return f"an event for {met.target} {_OF_DELIVERIES[met.kind]}"
    code = refusal(met.call.service, met.kind)[1]["Error"]["Code"]
    passed = "was answered" if is_read(met.call.operation) else "was carried out"
    more = f", as were {met.refused} more like it" if met.refused else ""
    until = f"{met.at + REFUSED_FOR:%H:%M}"
    return (
        f"{met.call.service}:{met.call.operation} by {met.call.caller.name} "
        + {
            FaultKind.ERROR: f"failed before it had an effect ({code})",
            FaultKind.THROTTLE: f"was throttled ({code})",
            FaultKind.DENIED: f"was not allowed ({code}){more}, until {until}",
            FaultKind.LOST_REPLY: "was carried out, but its reply was lost",
            FaultKind.TWICE: "arrived twice",
            FaultKind.TIMED_OUT: f"{passed}; then the function hung until its time-out",
            FaultKind.KILLED: f"{passed}; then the function was killed",
            FaultKind.STALE: f"was answered as of {STALE_BY.total_seconds():.0f} s before",
            FaultKind.ABORTED: "was carried out; meanwhile somebody stopped the execution",
            FaultKind.REDRIVEN: "was carried out; meanwhile somebody stopped the execution,"
            f" and redrove it {REDRIVEN_AFTER.total_seconds() / 60:.0f} min later",
        }[met.kind]
    )


_STOPPED = (FaultKind.ABORTED, FaultKind.REDRIVEN)
_OF_DELIVERIES = {
    FaultKind.DELIVERED_TWICE: "arrived twice",
    FaultKind.DELIVERED_LATE: f"arrived, and again {LATE_BY.total_seconds() / 60:.0f} min later",
    FaultKind.NOT_DELIVERED: "never arrived",
}


class Aftermath:
    """Reads from an account and its world what the faults led to."""

    def __init__(self, account: EmbeddedAccount, world: World, injector: Injector) -> None:
        self._account, self._world, self._injector = account, world, injector
        self._workloads: list[str] = []

    def look(self) -> list[tuple[Met, str]]:
        """The faults since the last look, each with its workload. Look often: EC2 forgets the tags of
        terminated instances."""
        new = self._injector.met[len(self._workloads) :]
        found = [(met, self._workload_of(met)) for met in new]
        self._workloads += [workload for _, workload in found]
        return found

    def summaries(self) -> tuple[FaultSummary, ...]:
        """All faults: those that happened in their order, then those that never met a call."""
        self.look()
        switches = LedgerView(self._account).switches()
        happened = zip(self._injector.met, self._workloads, strict=True)
        return (
            *(self._summary(met, workload, switches) for met, workload in happened),
            *(
                _never_met(fault)
                for fault in self._injector.unmet
                if isinstance(fault, PlacedFault)
            ),
        )

    def _workload_of(self, met: Met) -> str:
        """The workload that the fault concerns; empty if it is none or several."""
        if met.execution is not None:
            return str(self._account.input_of(met.execution).get("workload_id", ""))
        params = met.call.params if met.call else {}
        instances = [*(params.get("InstanceIds") or ()), params.get("InstanceId")]
        for event in (json.loads(params.get("input") or "{}"), self._event_of(met)):
            if "workload_id" in event or "workload" in event:
                return str(event.get("workload_id") or event["workload"])
            instances.append(_instance_in(event))
        named = [self._workload_on(instance_id) for instance_id in instances if instance_id]
        return named[0] if len(set(named)) == 1 else ""

    def _workload_on(self, instance_id: str) -> str:
        known = instance_id in self._world.instances
        return self._world.tags_of(instance_id).get(WORKLOAD_TAG, "") if known else ""

    def _event_of(self, met: Met) -> Mapping[str, Any]:
        """What the function was given, or should have been."""
        if met.call is None:
            return dict(json.loads(met.text))
        invocation = self._invocation_of(met)
        event = invocation.event if invocation else {}
        return event if isinstance(event, dict) else {}

    def _invocation_of(self, met: Met) -> Invocation | None:
        return next((i for i in self._account.trace if i.caller is met.chain[-1]), None)

    def _summary(self, met: Met, workload_id: str, switches: Sequence[SwitchItem]) -> FaultSummary:
        if met.call is None:
            cure = self._of_delivery(met, workload_id, switches)
        elif met.execution is None:
            cure = self._of_function(met)
        else:
            cure = self._of_step(met, switches)
        return FaultSummary(
            planned=_planned(met.fault),
            kind=met.kind.value,
            at=met.at,
            workload_id=workload_id,
            happened=happened(met),
            done=cure.done,
            cured_at=cure.at,
            ending=cure.ending,
        )

    # --- in a step of a state machine ------------------------------------------------------------

    def _of_step(self, met: Met, switches: Sequence[SwitchItem]) -> _Cure:
        assert met.execution is not None
        errors: list[str] = []
        for event in self._account.history_of(met.execution)[met.events_before :]:
            at, kind = datetime.fromisoformat(str(event["timestamp"])), event["type"]
            if kind in ("TaskFailed", "TaskTimedOut"):
                errors.append(_error_of(event))
            elif kind == "TaskSucceeded" and met.kind not in _STOPPED:
                return _Cure(_went_on(met, errors, at), at, "cured")
            elif "stateEnteredEventDetails" in event:
                following = event["stateEnteredEventDetails"]["name"]
                tries = f"{_times(len(errors))} ({errors[-1]})" if errors else "once"
                text = f"{met.state} failed {tries}, so {following} followed"
                return self._with_ending(met, text, switches)
            elif kind.startswith("Execution"):
                break
        return self._with_ending(met, f"the execution ended in {met.state}", switches)

    def _with_ending(self, met: Met, text: str, switches: Sequence[SwitchItem]) -> _Cure:
        """How the switch ended, or what replaced it."""
        assert met.execution is not None
        switch_id = self._account.input_of(met.execution).get("switch_id")
        switch = next((s for s in switches if s.switch_id == switch_id), None)
        if switch is None:
            return _Cure(f"{text}; nothing had been claimed", None, "undone")
        resumed = [
            execution
            for execution in self._account.executions()
            if execution.input.get("switch_id") == switch_id
            and execution.name != met.execution
            and execution.start >= met.at
        ]
        if resumed:
            text += f"; the sweep resumed it {_after(met.at, resumed[0].start)}"
        return _ended(switch, text, switches)

    # --- in a function, or on the way to it ------------------------------------------------------

    def _of_function(self, met: Met) -> _Cure:
        assert met.call is not None
        name = met.call.caller.name
        invocation = self._invocation_of(met)
        if invocation is None or invocation.error is None:
            return _Cure(f"{name} coped with it and ended well", met.at, "cured")
        text = f"{name} failed ({invocation.error})"
        later = self._next_of(name, invocation.time)
        if later is None:
            return _Cure(f"{text}; it was not invoked again", None, "open")
        return _Cure(
            f"{text}; invoked again {_after(met.at, later)}, it ended well", later, "cured"
        )

    def _next_of(self, function: str, after: datetime) -> datetime | None:
        """When a later invocation began that ended well."""
        found = (
            i.time
            for i in self._account.trace
            if i.function == function and i.time > after and i.error is None
        )
        return min(found, default=None)

    def _of_delivery(self, met: Met, workload_id: str, switches: Iterable[SwitchItem]) -> _Cure:
        event = json.loads(met.text)
        arrived = [i for i in self._account.trace if i.function == met.target and i.event == event]
        if met.kind is not FaultKind.NOT_DELIVERED:
            # A schedule sends the same again and again.
            arrived = [i for i in arrived if i.time >= met.at]
            if len(arrived) < 2:
                return _Cure("the second time was after the end of the run", met.at, "cured")
            second = arrived[1]
            return _Cure(f"the second time {_result(second)}", second.time, "cured")
        for switch in switches:
            concerned = switch.order.original.instance_id == _instance_in(event)
            if switch.is_failover and concerned and switch.claimed_at >= met.at:
                what = self._found_out_by(workload_id, met.at, switch.claimed_at)
                text = f"{what}, and a failover began {_after(met.at, switch.claimed_at)}"
                return _ended(switch, text, ())
        later = self._next_of(met.target, met.at)
        if later is None:
            return _Cure("nothing; it was not invoked again", None, "open")
        return _Cure(f"{met.target} was invoked again {_after(met.at, later)}", later, "cured")

    def _found_out_by(self, workload_id: str, since: datetime, until: datetime) -> str:
        """Which other signal led to a failover; the sweep asks EC2 and writes no signal."""
        for row in LedgerView(self._account).signals():
            received_at = datetime.fromisoformat(row["received_at"])
            if row["workload_id"] == workload_id and since <= received_at <= until:
                return f"EC2 reported that its instance is {row['action'] or row['kind']}"
        return "the sweep found that its instance is gone"


def _instance_in(event: Mapping[str, Any]) -> str | None:
    """The instance that an event of EC2 is about."""
    detail = event.get("detail")
    return detail.get("instance-id") if isinstance(detail, dict) else None


def _went_on(met: Met, errors: Sequence[str], at: datetime) -> str:
    if errors:
        tries = f"tried again {_times(len(errors))}"
        return f"{met.state} failed ({errors[-1]}); {tries}, it succeeded {_after(met.at, at)}"
    by_function = met.call is not None and met.call.caller.kind == "lambda"
    return f"{met.call.caller.name if by_function and met.call else met.state} coped with it"


def _ended(switch: SwitchItem, text: str, switches: Sequence[SwitchItem]) -> _Cure:
    """The end of a switch; if it failed, the end of the next one."""
    word = "failover" if switch.is_failover else "switch"
    if switch.phase is Phase.DONE:
        return _Cure(f"{text}; the {word} was done", switch.ended_at, "cured")
    if switch.ended_at is None:
        return _Cure(f"{text}; the {word} is {switch.phase.value}", None, "open")
    text += "; " if switch.taken_over_by else f"; the {word} was undone"
    for later in switches:
        same = later.workload_id == switch.workload_id and later.claimed_at > switch.claimed_at
        if same and later.phase is Phase.DONE:
            began = _after(switch.claimed_at, later.claimed_at)
            who = "a failover took it over" if switch.taken_over_by else "; the next one began"
            return _Cure(f"{text}{who} {began} and was done", later.ended_at, "cured")
    if switch.taken_over_by:
        text += f"{switch.taken_over_by} took it over"
    return _Cure(text, switch.ended_at, "undone")


def _result(invocation: Invocation) -> str:
    if invocation.error:
        return f"{invocation.function} failed ({invocation.error})"
    result = invocation.result
    if isinstance(result, dict) and "effect" in result:
        none = result["effect"] in ("NONE", "RECORDED")
        return (
            f"had {'no effect' if none else 'the effect ' + result['effect']}: {result['reason']}"
        )
    return f"{invocation.function} ended well"


def _never_met(fault: PlacedFault) -> FaultSummary:
    return FaultSummary(
        planned=_planned(fault),
        kind=fault.kind.value,
        at=None,
        workload_id="",
        happened="no such call was made" if fault.call else "no such event was delivered",
        done="nothing happened",
        cured_at=None,
        ending="never met",
    )


def _planned(fault: object) -> str:
    return f"{fault.kind.value}, {fault.place}" if isinstance(fault, PlacedFault) else str(fault)


def _error_of(event: Mapping[str, Any]) -> str:
    details = [value for key, value in event.items() if key.endswith("EventDetails")]
    return str(details[0].get("error", event["type"]) if details else event["type"])


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _after(before: datetime, at: datetime) -> str:
    """Such as ``3 s later``."""
    seconds = ceil((at - before).total_seconds())
    if seconds <= 0:
        return "at once"
    return f"{seconds} s later" if seconds < 120 else f"{round(seconds / 60)} min later"
