"""Redriving an execution of Step Functions, which moto does not have.

Source: AWS Step Functions Developer Guide, "Restarting state machine executions with redrive": an
execution that failed, was aborted or timed out continues, within 14 days, from its unsuccessful step,
with that step's input, its own definition and name; the timeout starts again.
"""

import json
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import (
    EvaluationDetails,
    ExecutionDetails,
    StateMachineDetails,
)
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.account.executions import History

__all__ = ["NotRedrivable", "redrive"]

_ENDED = ("ABORTED", "FAILED", "TIMED_OUT")


class NotRedrivable(Exception):
    """Step Functions refuses it (API_RedriveExecution, ExecutionNotRedrivable)."""


def redrive(account_id: str, region: str, name: str) -> None:
    """Continue the execution of that name from the state that it was in.

    Raises:
        NotRedrivable: it runs, has succeeded, or has entered no state.
    """
    backend = stepfunctions_parser_backends[account_id][region]
    found = (
        e
        for state_machine in backend.state_machines
        for e in state_machine.executions
        if e.name == name
    )
    execution = next(found)
    history: History = execution.exec_worker.env.event_manager.get_event_history()
    entered = [e["stateEnteredEventDetails"] for e in history if "stateEnteredEventDetails" in e]
    if execution.status not in _ENDED or not entered:
        raise NotRedrivable(f"execution {name} is {execution.status} and cannot be redriven")
    execution.exec_worker = _Redriven(execution, entered[-1], history)
    execution.exec_status = ExecutionStatus.RUNNING
    execution.stop_date = execution.error = execution.cause = None
    execution.exec_worker.start()


class _Redriven(ExecutionWorker):  # type: ignore[misc]
    """Runs the rest of a definition; the history keeps its beginning."""

    def __init__(self, execution: Any, entered: dict[str, Any], history: History) -> None:
        details = execution.get_start_state_machine_details()
        definition = {**json.loads(details.definition), "StartAt": entered["name"]}
        super().__init__(
            evaluation_details=EvaluationDetails(
                aws_execution_details=execution._get_start_aws_execution_details(),
                execution_details=ExecutionDetails(
                    arn=execution.exec_arn,
                    name=execution.name,
                    role_arn=execution.role_arn,
                    inpt=json.loads(entered["input"]),
                    start_time=execution.start_date,
                ),
                state_machine_details=StateMachineDetails(
                    arn=details.arn,
                    name=details.name,
                    typ=details.typ,
                    definition=json.dumps(definition),
                ),
            ),
            exec_comm=execution._get_start_execution_worker_comm(),
            cloud_watch_logging_session=execution._cloud_watch_logging_session,
            activity_store=execution._activity_store,
        )
        self._history = history

    def _get_evaluation_environment(self) -> Environment:
        environment = super()._get_evaluation_environment()
        environment.event_manager._history_event_list.extend(self._history)
        return environment
