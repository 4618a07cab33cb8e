"""Limits of AWS that moto 5.2.5 does not keep; those of a state's payload and a transaction it does.

Sources: Step Functions developer guide, "Service quotas" (25,000 events of a history, 256 KB of
input) and StartExecution (InvalidExecutionInput); EventBridge API reference, PutEvents (the size of
an entry is that of its source, detail type, detail, resources and 14 bytes of its time).
"""

from typing import Any

import moto.events.models as events_models
import moto.stepfunctions.parser.models as parser_models
from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.exceptions import InvalidExecutionInput
from moto.stepfunctions.parser.api import (
    ExecutionFailedEventDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from simulator.account.modules import Replacements
from simulator.limits import LIMITS

__all__ = ["apply_limits"]

_TIME_BYTES = 14


def apply_limits(replacements: Replacements) -> None:
    """Apply every limit of this module."""
    _end_long_histories(replacements)
    _refuse_large_inputs(replacements)
    _refuse_large_events(replacements)


def _end_long_histories(replacements: Replacements) -> None:
    evaluate = CommonStateField._eval_body

    def eval_within_history(self: Any, env: Any) -> None:
        if env.event_history_context.last_published_event_id >= LIMITS.execution_events:
            raise _history_is_full(env)
        evaluate(self, env)

    replacements.set(CommonStateField, "_eval_body", eval_within_history)


def _history_is_full(env: Any) -> FailureEventException:
    kind = StatesErrorNameType.StatesRuntime
    cause = (
        f"The execution reached the maximum number of history events ({LIMITS.execution_events})."
    )
    details = ExecutionFailedEventDetails(error=kind.to_name(), cause=cause)
    return FailureEventException(
        failure_event=FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=HistoryEventType.ExecutionFailed,
            event_details=EventDetails(executionFailedEventDetails=details),
        )
    )


def _refuse_large_inputs(replacements: Replacements) -> None:
    start = parser_models.StepFunctionsParserBackend.start_execution

    def start_execution(self: Any, arn: str, name: Any, text: Any, trace: Any = None) -> Any:
        if len((text or "").encode()) > LIMITS.state_payload_bytes:
            raise InvalidExecutionInput(
                f"The input exceeds the maximum of {LIMITS.state_payload_bytes} bytes"
            )
        return start(self, arn, name, text, trace)

    replacements.set(parser_models.StepFunctionsParserBackend, "start_execution", start_execution)


def _refuse_large_events(replacements: Replacements) -> None:
    put = events_models.EventsBackend.put_events

    def put_events(self: Any, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if sum(_entry_bytes(event) for event in events) > LIMITS.event_bytes:
            raise JsonRESTError(
                "ValidationException",
                "Total size of the entries in the request is over the limit.",
            )
        accepted: list[dict[str, Any]] = put(self, events)
        return accepted

    replacements.set(events_models.EventsBackend, "put_events", put_events)


def _entry_bytes(entry: dict[str, Any]) -> int:
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")]
    texts += entry.get("Resources") or []
    return sum(len(text.encode()) for text in texts) + (_TIME_BYTES if entry.get("Time") else 0)
