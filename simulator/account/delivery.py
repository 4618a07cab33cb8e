"""Deliveries of EventBridge to its targets: tried again, then given to a dead-letter queue.

Sources: Amazon EventBridge User Guide, "How EventBridge retries delivering events" and "Using
dead-letter queues to process undelivered events" (what will not pass goes there at once, a target
that is gone or refuses for good; message attributes say why).
"""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.moto_api._internal import mock_random

from simulator.account.callers import Caller, Callers
from simulator.clock import VirtualClock
from simulator.limits import LIMITS, Limits

__all__ = ["Deliverer", "Delivery", "Retry"]

_FOR_GOOD = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "InvalidArn",
    "InvalidExecutionInput",
    "NotFound",
    "NotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "ResourceNotFoundException",
    "StateMachineDoesNotExist",
)
_ONCE = Config(retries={"total_max_attempts": 1})


class Retry(Exception):
    """A delivery that the target did not take; ``again`` is whether another try may help."""

    def __init__(self, code: str, message: str, *, again: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.again = code, message, again


@dataclass(frozen=True)
class Delivery:
    """One event for one target.

    Attributes:
        target: as the rule or schedule has it, with RetryPolicy and DeadLetterConfig.
        text: what the target gets.
        rule_arn: of the rule or schedule.
        accepted_at: when the event came; its age counts from here.
        tries: deliveries tried before this one.
        sender: as whom it is sent; None is EventBridge itself, which queues and topics allow.
    """

    target: dict[str, Any]
    text: str
    rule_arn: str
    accepted_at: datetime
    tries: int = 0
    sender: Caller | None = None


class Deliverer:
    """Sends events to targets.

    invoke: starts a function asynchronously; forward: gives an event to another bus.
    """

    def __init__(
        self,
        clock: VirtualClock,
        callers: Callers,
        limits: Limits,
        region: str,
        invoke: Callable[[str, str], None],
        forward: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._clock, self._callers, self._limits = clock, callers, limits
        self._invoke, self._forward = invoke, forward
        self._caller = Caller("service", "events", region)
        self.delays: Callable[[str, str], Sequence[timedelta]] = lambda *_: (timedelta(0),)
        """Called for every delivery with the target's ARN and the event; returns a delay per arrival."""

    def soon(self, delivery: Delivery) -> None:
        """Deliver when time next runs."""
        self._clock.call_at(self._clock.now(), functools.partial(self.now, delivery))

    def now(self, delivery: Delivery) -> None:
        """Try to deliver; what fails is tried again, or ends in the target's dead-letter queue."""
        for delay in self.delays(delivery.target["Arn"], delivery.text):
            if delay:
                self._clock.call_later(delay, functools.partial(self._try, delivery))
            else:
                self._try(delivery)

    def _try(self, delivery: Delivery) -> None:
        try:
            self._send(delivery)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            self._failed(delivery, Retry(code, message, again=code not in _FOR_GOOD))
        except Retry as error:
            self._failed(delivery, error)

    def _failed(self, delivery: Delivery, error: Retry) -> None:
        policy = delivery.target.get("RetryPolicy", {})
        tries_max = int(policy.get("MaximumRetryAttempts", LIMITS.event_retries))
        age_max = timedelta(seconds=int(policy.get("MaximumEventAgeInSeconds", LIMITS.event_age_s)))
        if not error.again:
            self._bury(delivery, error, "")
        elif delivery.tries >= tries_max:
            self._bury(delivery, error, "MaximumRetryAttempts")
        elif self._clock.now() + (wait := self._wait(delivery)) > delivery.accepted_at + age_max:
            self._bury(delivery, error, "MaximumEventAgeInSeconds")
        else:
            again = Delivery(
                delivery.target,
                delivery.text,
                delivery.rule_arn,
                delivery.accepted_at,
                delivery.tries + 1,
                delivery.sender,
            )
            self._clock.call_later(wait, functools.partial(self._try, again))

    def _wait(self, delivery: Delivery) -> timedelta:
        first, longest = self._limits.event_backoff_s
        full = min(longest, first * 2**delivery.tries)
        return timedelta(seconds=full * (0.5 + 0.5 * float(mock_random.random())))

    def _bury(self, delivery: Delivery, error: Retry, exhausted: str) -> None:
        arn = delivery.target.get("DeadLetterConfig", {}).get("Arn")
        if arn is None:
            return
        attributes = {
            "RULE_ARN": delivery.rule_arn,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": error.code,
            "ERROR_MESSAGE": error.message,
            "EXHAUSTED_RETRY_CONDITION": exhausted,
            "RETRY_ATTEMPTS": str(delivery.tries),
        }
        texts = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.items()
            if value
        }
        self._to_queue(arn, delivery.text, self._caller, MessageAttributes=texts)

    def _send(self, delivery: Delivery) -> None:
        arn, text = delivery.target["Arn"], delivery.text
        sender = delivery.sender or self._caller
        service, region = arn.split(":")[2], arn.split(":")[3]
        client = functools.partial(boto3.client, region_name=region, config=_ONCE)
        match service:
            case "lambda":
                self._invoke(arn, text)
            case "events":
                self._forward(arn, json.loads(text))
            case "sqs":
                self._to_queue(arn, text, sender)
            case "states":
                with self._callers.calling(self._caller):
                    client("stepfunctions").start_execution(
                        stateMachineArn=arn, name=str(mock_random.uuid4()), input=text
                    )
            case "sns":
                with self._callers.calling(sender):
                    client("sns").publish(TopicArn=arn, Message=text)
            case "logs":
                with self._callers.calling(self._caller):
                    self._log(client("logs"), arn, text)
            case _:
                raise NotImplementedError(f"target {arn}: {service} is no target supported here")

    def _to_queue(self, arn: str, text: str, sender: Caller, **details: Any) -> None:
        region, name = arn.split(":")[3], arn.rsplit(":", 1)[-1]
        client = boto3.client("sqs", region_name=region, config=_ONCE)
        with self._callers.calling(self._caller):
            queue = client.get_queue_url(QueueName=name)
        with self._callers.calling(sender):
            client.send_message(QueueUrl=queue["QueueUrl"], MessageBody=text, **details)

    def _log(self, client: Any, arn: str, text: str) -> None:
        group = arn.split(":log-group:")[1].removesuffix(":*")
        stream = str(mock_random.uuid4())
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        moment = int(self._clock.now().timestamp() * 1000)
        client.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": moment, "message": text}],
        )
