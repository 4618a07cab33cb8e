"""Faults that a scenario places between the product and AWS: ``faults`` of its file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, PlainValidator

from simulator.api_calls import ApiCall, parse_call
from simulator.faults.kinds import FaultKind, possible
from simulator.faults.places import PlacedFault
from simulator.scenario_fields import HOURS_MAX, Allowed, Hour, Table

_DEFINITIONS = Path(__file__).parents[1] / "statemachines"
_FUNCTION = "AWS::Serverless::Function"
_STATE_MACHINE = "AWS::Serverless::StateMachine"


_Call = Annotated[
    ApiCall, PlainValidator(parse_call), Allowed("service:Operation, as the AWS SDK names them")
]


class FaultTable(Table):
    """What goes wrong between the product and AWS."""

    kind: Annotated[FaultKind, Field(strict=False), Allowed(", ".join(FaultKind))]
    """What goes wrong."""
    call: (
        Annotated[
            ApiCall,
            PlainValidator(parse_call),
            Allowed("service:Operation, as the AWS SDK names them"),
        ]
        | None
    ) = None
    """The call that it happens to; default: the delivery of an event (`kind` delivered-... or
    not-delivered)."""
    caller: Annotated[str | None, Allowed("a function or state machine of template.yaml")] = None
    """Who calls, or the function that the event is for; default: any."""
    state: Annotated[str | None, Allowed("a state in statemachines/")] = None
    """The state whose step makes the call; default: any or none."""
    workload: Annotated[str | None, Allowed("a workload's name")] = None
    """The workload whose switch or failover makes the call; default: any or none."""
    occurrence: Annotated[int, Field(ge=1, le=100000)] = 1
    """Which of the calls or deliveries that all this fits."""
    at: Annotated[Hour, Allowed(f"0 to {HOURS_MAX}, before `hours`")] = 0
    """Hour from which on they are counted."""

    @property
    def placed(self) -> PlacedFault:
        """The fault as the injector takes it."""
        given = self.model_dump(exclude={"at"})
        return PlacedFault(**{**given, "call": self.call}, after=timedelta(hours=self.at))


def impossible_faults(
    rows: Sequence[FaultTable],
    hours: float,
    types: Mapping[str, str],
    workloads: Sequence[str],
) -> Iterator[str]:
    """A line for each fault that could never happen as it is written.

    types: logical id -> type of the template's resources.
    """
    for number, row in enumerate(rows):
        where = f"faults[{number}]"
        if row.at >= hours:
            yield f"{where}.at = {row.at:g}: allowed is less than hours = {hours:g}"
        if row in rows[number + 1 :]:
            yield f"{where}: the same fault is given again below; count it by occurrence"
        if row.workload is not None and (row.call is None or row.workload not in workloads):
            allowed = f"one of {', '.join(workloads)}" if row.call else "with a call only"
            yield f"{where}.workload = {row.workload!r}: allowed is {allowed}"
        yield from _of_caller(where, row, types)
        yield from _of_state(where, row)
        yield from _of_kind(where, row, types)


def _of_caller(where: str, row: FaultTable, types: Mapping[str, str]) -> Iterator[str]:
    wanted = (_FUNCTION, _STATE_MACHINE) if row.call else (_FUNCTION,)
    known = [name for name, kind in types.items() if kind in wanted]
    if row.caller is not None and row.caller not in known:
        yield f"{where}.caller = {row.caller!r}: allowed is one of {', '.join(known)}"


def _of_state(where: str, row: FaultTable) -> Iterator[str]:
    known = states()
    if row.state is None or (row.call and row.state in known):
        return
    if row.call is None:
        yield f"{where}.state = {row.state!r}: allowed with a call only"
        return
    near = ", ".join(get_close_matches(row.state, known)) or f"one of {', '.join(known)}"
    yield f"{where}.state = {row.state!r}: no state machine has it; allowed is {near}"


def _of_kind(where: str, row: FaultTable, types: Mapping[str, str]) -> Iterator[str]:
    if row.call is None:
        if not row.kind.of_delivery:
            others = _words(kind for kind in FaultKind if kind.of_delivery)
            yield f"{where}.call is missing; {row.kind.value} needs one ({others} do not)"
        return
    by_function = types.get(row.caller or "", _FUNCTION) == _FUNCTION
    allowed = possible(*row.call, by_function=by_function)
    if row.kind not in allowed:
        who = f" by {row.caller}" if row.caller else ""
        yield (
            f"{where}.kind = {row.kind.value!r}: does not happen to {row.call}{who}; allowed is"
            f" {_words(allowed)}"
        )


def _words(kinds: Iterable[FaultKind]) -> str:
    return ", ".join(kind.value for kind in kinds)


@cache
def states() -> tuple[str, ...]:
    """The names of all states of all state machines."""
    files = sorted(_DEFINITIONS.glob("*.asl.yaml"))
    return tuple({name: 0 for file in files for name in yaml.safe_load(file.read_text())["States"]})
