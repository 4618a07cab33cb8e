"""Asynchronous invocations of functions: Lambda's own queue, retries and failure destinations.

Source: AWS Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous
invocation" (two further tries, after one minute and two; the event's age; failure destination,
dead-letter queue) and "Retaining records of asynchronous invocations".
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.account.lambdas import Function, Lambdas, Outcome, PayloadTooLarge
from simulator.clock import VirtualClock
from simulator.limits import LIMITS

__all__ = ["AsyncInvocations"]


@dataclass(frozen=True)
class _Event:
    function: Function
    payload: bytes
    accepted_at: datetime
    attempt: int = 1


class AsyncInvocations:
    """The queue of a region's functions; ``send`` gives a text of a function to a destination by its
    ARN."""

    def __init__(
        self, clock: VirtualClock, lambdas: Lambdas, send: Callable[[Function, str, str], None]
    ) -> None:
        self._clock, self._lambdas, self._send = clock, lambdas, send

    def soon(self, function: Function, payload: bytes) -> None:
        """Invoke when time next runs.

        Raises:
            PayloadTooLarge: more than an asynchronous invocation takes.
        """
        event = self._accepted(function, payload)
        self._clock.call_at(self._clock.now(), functools.partial(self._attempt, event))

    def now(self, function: Function, payload: bytes) -> None:
        """Invoke at once. Raises as :meth:`soon`."""
        self._attempt(self._accepted(function, payload))

    def _accepted(self, function: Function, payload: bytes) -> _Event:
        if len(payload) > LIMITS.lambda_async_bytes:
            raise PayloadTooLarge(
                f"{len(payload)} byte payload is too large for the Event invocation type "
                f"(limit {LIMITS.lambda_async_bytes} bytes)"
            )
        return _Event(function, payload, self._clock.now())

    def _attempt(self, event: _Event) -> None:
        function = event.function
        outcome = self._lambdas.invoke(function, event.payload)
        if not outcome.failed:
            return
        if event.attempt > function.retries_max:
            self._give_up(event, outcome, "RetriesExhausted")
            return
        first = event.attempt == 1
        wait = timedelta(
            seconds=LIMITS.lambda_async_first_retry_s
            if first
            else LIMITS.lambda_async_second_retry_s
        )
        if self._clock.now() + wait > event.accepted_at + timedelta(seconds=function.event_age_s):
            self._give_up(event, outcome, "EventAgeExceeded")
            return
        again = _Event(function, event.payload, event.accepted_at, event.attempt + 1)
        self._clock.call_later(wait, functools.partial(self._attempt, again))

    def _give_up(self, event: _Event, outcome: Outcome, condition: str) -> None:
        function = event.function
        if function.on_failure_arn:
            record = self._record(event, outcome.value(), condition)
            self._send(function, function.on_failure_arn, json.dumps(record))
        if function.dead_letter_arn:
            self._send(function, function.dead_letter_arn, event.payload.decode())

    def _record(self, event: _Event, envelope: dict[str, Any], condition: str) -> dict[str, Any]:
        return {
            "version": "1.0",
            "timestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "requestContext": {
                "requestId": envelope["requestId"],
                "functionArn": f"{event.function.arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": event.attempt,
            },
            "requestPayload": json.loads(event.payload),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": envelope,
        }
