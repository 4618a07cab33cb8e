"""EventBridge: which rule an event matches, what each target gets, which schedule fires when.

Delivery is asynchronous as in AWS: it waits until the driver lets virtual time run.
Source: Amazon EventBridge User Guide, "Event bus targets".
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from moto.events.models import EventsBackend, Rule, events_backends
from moto.moto_api._internal import mock_random
from moto.scheduler.models import scheduler_backends

from simulator.account.async_invocations import AsyncInvocations
from simulator.account.callers import Caller, Callers
from simulator.account.delivery import Deliverer, Delivery, Retry
from simulator.account.lambdas import Function, Lambdas, PayloadTooLarge
from simulator.account.schedules import parse_schedule
from simulator.account.transform import target_input
from simulator.clock import VirtualClock
from simulator.limits import Limits

__all__ = ["EventBridge", "Firing"]

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

    def __init__(
        self,
        account_id: str,
        region: str,
        clock: VirtualClock,
        lambdas: Lambdas,
        callers: Callers,
        limits: Limits,
    ) -> None:
        self._account_id = account_id
        self._region = region
        self._clock = clock
        self._invocations = AsyncInvocations(clock, lambdas, self._send_soon)
        self._deliverer = Deliverer(
            clock, callers, limits, region, self._invoke_target, self._forward
        )
        self._lambdas = lambdas
        self._since: dict[str, datetime] = {}
        self._fired: dict[str, datetime] = {}
        self._passed = datetime.min.replace(tzinfo=UTC)

    def emit(
        self,
        source: str,
        detail_type: str,
        detail: Event,
        resources: list[str] | None = None,
        *,
        deliveries: int = 1,
        delay: timedelta = timedelta(),
    ) -> None:
        """Put an event of an AWS service on the default bus. All deliveries are of the one event, with
        its id and the time at which it was put."""
        event = self._event(source, detail_type, detail, resources or [])
        for _ in range(deliveries):
            if delay:
                self._clock.call_later(delay, functools.partial(self._deliver, event))
            else:
                self._deliver(event)

    def delay_deliveries(self, delays: Callable[[str, str], Sequence[timedelta]]) -> None:
        """Have ``delays`` say of each delivery how late it arrives, once for each time it does."""
        self._deliverer.delays = delays

    def _deliver(self, event: Event) -> None:
        for rule in list(self._backend.describe_event_bus("default").rules.values()):
            self.match(rule, event)

    def match(self, rule: Rule, event: Event) -> None:
        """Send an event to the rule's targets if the rule wants it."""
        pattern = rule.event_pattern.get_pattern()
        # A rule with a schedule alone has an empty pattern, which would match everything.
        if rule.state != "ENABLED" or not pattern or not rule.event_pattern.matches_event(event):
            return
        for target in rule.targets:
            text = target_input(target, event, rule.arn)
            self._deliverer.soon(Delivery(target, text, rule.arn, self._clock.now()))

    def next_firing(self, until: datetime) -> Firing | None:
        """The earliest schedule that is due at or before ``until``."""
        return min((firing for firing in self._firings() if firing.time <= until), default=None)

    def fire(self, firing: Firing) -> None:
        """Send the schedule's input to its target."""
        self._fired[firing.arn] = firing.time
        self._passed = firing.time - timedelta(microseconds=1)
        detail: Any = {} if firing.source == "aws.events" else "{}"
        event = self._event(firing.source, "Scheduled Event", detail, [firing.arn])
        text = target_input(firing.target, event, firing.arn)
        self._deliverer.now(Delivery(firing.target, text, firing.arn, self._clock.now()))

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
        self._invocations.soon(function, payload)

    @property
    def _backend(self) -> EventsBackend:
        backend: EventsBackend = events_backends[self._account_id][self._region]
        return backend

    def _event(self, source: str, detail_type: str, detail: Any, resources: list[str]) -> Event:
        return {
            "version": "0",
            "id": str(mock_random.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self._account_id,
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
        for group in scheduler_backends[self._account_id][self._region].schedule_groups.values():
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

    def _send_soon(self, function: Function, arn: str, text: str) -> None:
        """To a destination of Lambda's own, which keeps no retry policy, with the function's role."""
        sender = Caller("lambda", function.logical_id, self._region, function.role_arn)
        delivery = Delivery({"Arn": arn}, text, arn, self._clock.now(), sender=sender)
        self._deliverer.soon(delivery)

    def _invoke_target(self, arn: str, text: str) -> None:
        try:
            function = self._lambdas.find(arn)
        except KeyError as error:
            raise Retry("ResourceNotFoundException", str(error), again=False) from error
        try:
            self._invocations.now(function, text.encode())
        except PayloadTooLarge as error:
            raise Retry("RequestEntityTooLargeException", str(error), again=False) from error

    def _forward(self, arn: str, event: Event) -> None:
        bus = self._backend.describe_event_bus(arn.rsplit("/", 1)[-1])
        for rule in list(bus.rules.values()):
            self.match(rule, event)
