"""The faults of a scenario file, held against the template, and as the simulation takes them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from simulator.faults.kinds import FaultKind, possible
from simulator.faults.places import PlacedFault
from simulator.scenario_schema import FaultTable, ScenarioTable

_MACHINES = Path(__file__).parents[1] / "statemachines"
_FUNCTION = "AWS::Serverless::Function"
_MACHINE = "AWS::Serverless::StateMachine"


def placed(row: FaultTable) -> PlacedFault:
    """What the row asks for."""
    return PlacedFault(
        kind=row.kind,
        call=row.call,
        caller=row.caller,
        state=row.state,
        workload=row.workload,
        occurrence=row.occurrence,
        after=timedelta(hours=row.at),
    )


def fault_faults(
    table: ScenarioTable, template: Mapping[str, Any], names: Sequence[str]
) -> Iterator[str]:
    """A line for each fault that could never happen as it is written."""
    counts = Counter(placed(row) for row in table.faults)
    for number, row in enumerate(table.faults):
        where = f"faults[{number}]"
        if row.at >= table.hours:
            yield f"{where}.at = {row.at:g}: allowed is less than hours = {table.hours:g}"
        if counts.pop(placed(row), 1) > 1:
            yield f"{where}: the same fault is given again below; count it by occurrence"
        types = {name: part["Type"] for name, part in template["Resources"].items()}
        if row.workload is not None and (row.call is None or row.workload not in names):
            allowed = f"one of {', '.join(names)}" if row.call else "with a call only"
            yield f"{where}.workload = {row.workload!r}: allowed is {allowed}"
        yield from _of_caller(where, row, types)
        yield from _of_state(where, row)
        yield from _of_kind(where, row, types)


def _of_caller(where: str, row: FaultTable, types: Mapping[str, str]) -> Iterator[str]:
    wanted = (_FUNCTION, _MACHINE) if row.call else (_FUNCTION,)
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
    deliveries = [kind for kind in FaultKind if kind.of_delivery]
    if row.call is None:
        if not row.kind.of_delivery:
            yield f"{where}.call is missing; {row.kind.value} needs one ({_words(deliveries)} do not)"
        return
    by_function = types.get(row.caller or "", _FUNCTION) == _FUNCTION
    allowed = possible(*row.call, by_function=by_function)
    if row.kind not in allowed:
        who = f" by {row.caller}" if row.caller else ""
        yield (
            f"{where}.kind = {row.kind.value!r}: does not happen to {row.call}{who}; allowed is"
            f" {_words(allowed)}"
        )


def _words(kinds: Iterator[FaultKind] | tuple[FaultKind, ...] | list[FaultKind]) -> str:
    return ", ".join(kind.value for kind in kinds)


@cache
def states() -> tuple[str, ...]:
    """The names of all states of all state machines."""
    files = sorted(_MACHINES.glob("*.asl.yaml"))
    return tuple({name: 0 for file in files for name in yaml.safe_load(file.read_text())["States"]})
