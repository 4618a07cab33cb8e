"""Faults by the call that they happen to, as people write them."""

import re
from dataclasses import dataclass
from datetime import timedelta

from simulator.account.interception import WireCall
from simulator.api_calls import ApiCall, parse_call
from simulator.faults.kinds import Fault, FaultKind

__all__ = ["PlacedFault", "parse_fault"]

_DELIVERY = "delivery"
_PLACED = re.compile(
    r"(?P<call>[^@/#=]+?)(?:@(?P<caller>\w+))?(?:/(?P<state>[\w?]+))?(?:=(?P<workload>[\w.-]+))?"
    r"(?:#(?P<occurrence>\d+))?"
)


@dataclass(frozen=True)
class PlacedFault:
    """One fault: what happens to the n-th call of an operation to which it can happen.

    Attributes:
        call: the operation; None for the delivery of an event.
        caller: logical id of the function or state machine that calls, or of the function that the
            event is for; None for any.
        state: the state of a state machine whose step makes the call; None for any and none.
        workload: whose execution it is in; None for any and none.
        occurrence: of the calls that all this fits, from 1.
        after: calls are counted from so long after the beginning on.
    """

    kind: FaultKind
    call: ApiCall | None
    caller: str | None = None
    state: str | None = None
    workload: str | None = None
    occurrence: int = 1
    after: timedelta = timedelta()

    def fits(self, call: WireCall, state: str | None, workload: str | None) -> bool:
        """Whether the call is one of those that are meant; ``state`` and ``workload`` are those of the
        execution that it is in."""
        return (
            self.call == (call.service, call.operation)
            and self.caller in (None, call.caller.name)
            and self.state in (None, state)
            and self.workload in (None, workload)
        )

    @property
    def place(self) -> str:
        """Which call is meant, in words."""
        if self.call is None:
            what = f"event for {self.caller}" if self.caller else "event"
        else:
            what = f"{self.call} by {self.caller}" if self.caller else str(self.call)
        what += f" in {self.state}" if self.state else ""
        what += f" of {self.workload}" if self.workload else ""
        what += f" no. {self.occurrence}" if self.occurrence > 1 else ""
        return what + (f" from hour {self.after / timedelta(hours=1):g} on" if self.after else "")

    def __str__(self) -> str:
        caller = f"@{self.caller}" if self.caller else ""
        state = f"/{self.state}" if self.state else ""
        workload = f"={self.workload}" if self.workload else ""
        number = f"#{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.call or _DELIVERY}{caller}{state}{workload}{number}:{self.kind.value}"


def parse_fault(text: str) -> Fault | PlacedFault:
    """``17:lost-reply``, ``ec2:CreateFleet@LaunchReplacement#2:lost-reply``,
    ``lambda:Invoke@FailOver/HandOver:denied`` or ``delivery@HandleSignal:not-delivered``.

    Raises ValueError naming what is allowed.
    """
    place, _, word = text.rpartition(":")
    kinds = ", ".join(each.value for each in FaultKind)
    numbered = place.isdecimal() and int(place) >= 1
    placed = _PLACED.fullmatch(place)
    if word not in tuple(FaultKind) or not (numbered or (placed and not place.isdecimal())):
        raise ValueError(
            f"{text!r} is no fault; write NUMBER:KIND or"
            f" SERVICE:OPERATION@CALLER/STATE=WORKLOAD#N:KIND, KIND one of {kinds}"
        )
    kind = FaultKind(word)
    if numbered:
        return Fault(int(place), kind)
    assert placed is not None
    call = None if placed["call"] == _DELIVERY else parse_call(placed["call"])
    occurrence = int(placed["occurrence"] or 1)
    if kind.of_delivery != (call is None) or occurrence < 1:
        raise ValueError(f"{text!r}: {kind.value} does not happen there")
    where = (placed["caller"], placed["state"], placed["workload"])
    return PlacedFault(kind, call, *where, occurrence)
