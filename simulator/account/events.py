"""EventBridge: which rule an event matches, what each target gets, which schedule fires when.

Delivery is asynchronous as in AWS: it waits until the driver lets virtual time run.
Sources: Amazon EventBridge User Guide, "Event bus targets"; AWS Lambda Developer Guide,
"How Lambda handles errors and retries with asynchronous invocation".
"""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.events.models import EventsBackend, Rule, events_backends
from moto.moto_api._internal import mock_random
from moto.scheduler.models import scheduler_backends

from simulator.account.lambdas import Function, Lambdas
from simulator.account.schedules import parse_schedule
from simulator.account.transform import target_input
from simulator.clock import VirtualClock

__all__ = ["EventBridge", "Firing"]

_RETRY_DELAYS = (timedelta(minutes=1), timedelta(minutes=2))
Event = dict[str, Any]


@dataclass(frozen=True, order=True)
class Firing:
    """The next time of one schedule; firings of one moment go by name."""

    time: datetime
    name: str
    arn: str
    target: dict[str, Any]
    source: str


class EventBridge:
    """Events, rules, schedules and asynchronous invocations of one region."""

    def __init__(self, region: str, clock: VirtualClock, lambdas: Lambdas) -> None:
        self._region = region
        self._clock = clock
        self._lambdas = lambdas
        self._since: dict[str, datetime] = {}
        self._fired: dict[str, datetime] = {}
        self._passed = datetime.min.replace(tzinfo=UTC)
        self.delays: Callable[[], Sequence[timedelta]] = lambda: (timedelta(0),)
        """Asked at every delivery to a target: how late it arrives, once for each time it does."""

    def emit(
        self, source: str, detail_type: str, detail: Event, resources: list[str] | None = None
    ) -> None:
        """Put an event of an AWS service on the default bus."""
        event = self._event(source, detail_type, detail, resources or [])
        for rule in list(self._backend.describe_event_bus("default").rules.values()):
            self.match(rule, event)

    def match(self, rule: Rule, event: Event) -> None:
        """Send an event to the rule's targets if the rule wants it."""
        pattern = rule.event_pattern.get_pattern()
        # A rule with a schedule alone has an empty pattern, which would match everything.
        if rule.state != "ENABLED" or not pattern or not rule.event_pattern.matches_event(event):
            return
        for target in rule.targets:
            self._send_soon(target["Arn"], target_input(target, event, rule.arn))

    def next_firing(self, until: datetime) -> Firing | None:
        """The earliest schedule that is due at or before ``until``."""
        return min((firing for firing in self._firings() if firing.time <= until), default=None)

    def fire(self, firing: Firing) -> None:
        """Send the schedule's input to its target."""
        self._fired[firing.arn] = firing.time
        self._passed = firing.time - timedelta(microseconds=1)
        detail: Any = {} if firing.source == "aws.events" else "{}"
        event = self._event(firing.source, "Scheduled Event", detail, [firing.arn])
        self._send_when_due(firing.target["Arn"], target_input(firing.target, event, firing.arn))

    def pass_by(self, when: datetime) -> None:
        """Note that every schedule due at or before ``when`` has fired."""
        self._passed = max(self._passed, when)

    def check_schedules(self) -> None:
        """Read every schedule once.

        Raises:
            ScheduleError: one of them cannot be read.
        """
        for bus in self._backend.event_buses.values():
            for rule in bus.rules.values():
                if rule.scheduled_expression:
                    parse_schedule(rule.scheduled_expression)
        # A rate counts from now, its deployment.
        for _ in self._firings():
            pass

    def invoke_later(self, function: Function, payload: bytes) -> None:
        """Invoke a function asynchronously, with Lambda's retries and failure destinations."""
        self._soon(functools.partial(self._attempt, function, payload, 1))

    @property
    def _backend(self) -> EventsBackend:
        backend: EventsBackend = events_backends[ACCOUNT_ID][self._region]
        return backend

    def _event(self, source: str, detail_type: str, detail: Any, resources: list[str]) -> Event:
        return {
            "version": "0",
            "id": str(mock_random.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": resources,
            "detail": detail,
        }

    def _firings(self) -> Iterator[Firing]:
        for bus in self._backend.event_buses.values():
            for rule in bus.rules.values():
                if rule.scheduled_expression and rule.state == "ENABLED":
                    for index, target in enumerate(rule.targets):
                        key = f"{rule.arn}#{index}" if index else rule.arn
                        yield from self._due(
                            key, rule.name, rule.scheduled_expression, "UTC", target, "aws.events"
                        )
        for group in scheduler_backends[ACCOUNT_ID][self._region].schedule_groups.values():
            for item in group.schedules.values():
                if item.state == "ENABLED":
                    yield from self._due(
                        item.arn,
                        item.name,
                        item.schedule_expression,
                        item.schedule_expression_timezone,
                        item.target,
                        "aws.scheduler",
                    )

    def _due(
        self, arn: str, name: str, expression: str, zone: str, target: Event, source: str
    ) -> Iterator[Firing]:
        since = self._since.setdefault(arn, self._clock.now())
        # What fell due while a schedule was disabled is not made up for.
        after = max(self._fired.get(arn, since), self._passed)
        when = parse_schedule(expression, UTC if zone == "UTC" else ZoneInfo(zone))(since, after)
        if when is not None:
            yield Firing(when, name, arn, target, source)

    def _soon(self, deliver: functools.partial[None]) -> None:
        self._clock.call_at(self._clock.now(), deliver)

    def _send_soon(self, arn: str, text: str) -> None:
        self._soon(functools.partial(self._send_when_due, arn, text))

    def _send_when_due(self, arn: str, text: str) -> None:
        for delay in self.delays():
            if delay:
                self._clock.call_later(delay, functools.partial(self._send, arn, text))
            else:
                self._send(arn, text)

    def _send(self, arn: str, text: str) -> None:
        service, region = arn.split(":")[2], arn.split(":")[3]
        client = functools.partial(boto3.client, service, region_name=region)
        match service:
            case "lambda":
                self._attempt(self._lambdas.find(arn), text.encode(), 1)
            case "states":
                boto3.client("stepfunctions", region_name=region).start_execution(
                    stateMachineArn=arn, name=str(mock_random.uuid4()), input=text
                )
            case "sns":
                client().publish(TopicArn=arn, Message=text)
            case "sqs":
                queue = client().get_queue_url(QueueName=arn.rsplit(":", 1)[-1])
                client().send_message(QueueUrl=queue["QueueUrl"], MessageBody=text)
            case "events":
                self._forward(arn, json.loads(text))
            case "logs":
                self._log(arn, text)
            case _:
                raise NotImplementedError(f"target {arn}: {service} is no target supported here")

    def _forward(self, arn: str, event: Event) -> None:
        bus = self._backend.describe_event_bus(arn.rsplit("/", 1)[-1])
        for rule in list(bus.rules.values()):
            self.match(rule, event)

    def _log(self, arn: str, text: str) -> None:
        group = arn.split(":log-group:")[1].removesuffix(":*")
        stream = str(mock_random.uuid4())
        client = boto3.client("logs", region_name=self._region)
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        moment = int(self._clock.now().timestamp() * 1000)
        client.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": moment, "message": text}],
        )

    def _attempt(self, function: Function, payload: bytes, attempt: int) -> None:
        outcome = self._lambdas.invoke(function, payload)
        if not outcome.failed:
            return
        if attempt <= function.retries_max:
            retry = functools.partial(self._attempt, function, payload, attempt + 1)
            self._clock.call_later(_RETRY_DELAYS[attempt - 1], retry)
            return
        if function.on_failure_arn:
            record = self._failure_record(function, payload, outcome.value(), attempt)
            self._send_soon(function.on_failure_arn, json.dumps(record))
        if function.dead_letter_arn:
            self._send_soon(function.dead_letter_arn, payload.decode())

    def _failure_record(
        self, function: Function, payload: bytes, envelope: Event, attempts: int
    ) -> Event:
        return {
            "version": "1.0",
            "timestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "requestContext": {
                "requestId": envelope["requestId"],
                "functionArn": f"{function.arn}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(payload),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "responsePayload": envelope,
        }
