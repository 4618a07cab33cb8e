"""Step Functions executions, read from moto's backend without an API call."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from moto.stepfunctions.parser.models import stepfunctions_parser_backends

__all__ = [
    "Execution", "History", "Place", "place_in", "read_executions", "read_history", "read_input",
    "read_inputs",
]  # fmt: skip

History = list[dict[str, Any]]
"""Events as GetExecutionHistory returns them, oldest first."""


@dataclass(frozen=True)
class Execution:
    """One execution, as the Step Functions console shows it.

    Attributes:
        state_machine: logical id.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        stop: None while it runs.
        states: names of the states entered, in order; a retried state is entered once.
    """

    name: str
    arn: str
    state_machine: str
    status: str
    start: datetime
    stop: datetime | None
    input: Any
    output: Any
    error: str | None
    cause: str | None
    states: tuple[str, ...]


def read_executions(
    account_id: str, region: str, logical_id: Callable[[str], str]
) -> list[Execution]:
    """Every execution of the account, in order of its start."""
    backend = stepfunctions_parser_backends[account_id][region]
    found = [
        Execution(
            name=item.name,
            arn=item.exec_arn,
            state_machine=logical_id(state_machine.arn),
            status=item.status,
            start=item.start_date,
            stop=item.stop_date,
            input=json.loads(item.execution_input),
            output=item.output,
            error=item.error,
            cause=item.cause,
            states=tuple(_states(item)),
        )
        for state_machine in backend.state_machines
        for item in state_machine.executions
    ]
    return sorted(found, key=lambda execution: execution.start)


def read_inputs(account_id: str, region: str) -> list[Any]:
    """The inputs of all executions; unlike :func:`read_executions` without their histories."""
    backend = stepfunctions_parser_backends[account_id][region]
    return [
        json.loads(item.execution_input)
        for state_machine in backend.state_machines
        for item in state_machine.executions
    ]


class Place(NamedTuple):
    """Where an execution stands: the state that it is in, and how long its history is."""

    state: str | None
    events: int


def place_in(account_id: str, region: str, execution: str) -> Place:
    """Where the execution of that name stands at this moment."""
    events = _events(_found(account_id, region, execution), copied=False)
    entered = (event for event in reversed(events) if "stateEnteredEventDetails" in event)
    names = (event["stateEnteredEventDetails"]["name"] for event in entered)
    return Place(next(names, None), len(events))


def read_input(account_id: str, region: str, execution: str) -> dict[str, Any]:
    """The input of the execution of that name; empty if there is none."""
    found = _found(account_id, region, execution)
    return dict(json.loads(found.execution_input)) if found else {}


def read_history(account_id: str, region: str, execution: str) -> History:
    """The whole history of the execution of that name."""
    return _events(_found(account_id, region, execution))


def _found(account_id: str, region: str, name: str) -> Any:
    backend = stepfunctions_parser_backends[account_id][region]
    found = (
        e
        for state_machine in backend.state_machines
        for e in state_machine.executions
        if e.name == name
    )
    return next(found, None)


def _events(execution: Any, *, copied: bool = True) -> History:
    environment = execution.exec_worker.env if execution else None
    # An execution that has not had its first turn has no history yet.
    if environment is None:
        return []
    manager = environment.event_manager
    events: History = manager.get_event_history() if copied else manager._history_event_list
    return events


def _states(execution: Any) -> Iterator[str]:
    for event in _events(execution, copied=False):
        if "stateEnteredEventDetails" in event:
            yield event["stateEnteredEventDetails"]["name"]
