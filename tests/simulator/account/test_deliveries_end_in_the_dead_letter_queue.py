"""An event that a target does not take is delivered again, and in the end it is not lost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from simulator.account import Call, EmbeddedAccount
from simulator.limit_table import changed
from simulator.limits import LIMITS, Bucket
from simulator.permissions.policies import Role

START = datetime(2025, 3, 1, tzinfo=UTC)
START_EXECUTION = Call("stepfunctions", "StartExecution", "service", "events")


@contextmanager
def opened(stack: Path, **limits: Any) -> Iterator[EmbeddedAccount]:
    with EmbeddedAccount(start=START, seed=7, limits=changed(limits)) as account:
        account.deploy(stack, "small")
        yield account


def queue_arn(account: EmbeddedAccount) -> str:
    name = account.stack.physical_ids["DeadLetters"].rsplit("/", 1)[-1]
    return f"arn:aws:sqs:us-east-1:123456789012:{name}"


def put_rule(account: EmbeddedAccount, arn: str, **target: Any) -> None:
    events = boto3.client("events")
    events.put_rule(Name="doomed", EventPattern='{"source": ["by.test"]}')
    dead = {"DeadLetterConfig": {"Arn": queue_arn(account)}}
    usual = {"Id": "1", "Arn": arn, "RoleArn": "arn:aws:iam::123456789012:role/r"}
    merged: Any = {**usual, **dead, **target}
    events.put_targets(Rule="doomed", Targets=[merged])


def dead_letters(account: EmbeddedAccount) -> list[tuple[Any, dict[str, str]]]:
    """Bodies and attributes of what is in the queue."""
    reply = boto3.client("sqs").receive_message(
        QueueUrl=account.stack.physical_ids["DeadLetters"],
        MessageAttributeNames=["All"],
        MaxNumberOfMessages=10,
    )
    return [
        (
            json.loads(message["Body"]),
            {k: v["StringValue"] for k, v in message.get("MessageAttributes", {}).items()},
        )
        for message in reply.get("Messages", [])
    ]


def emit_two(account: EmbeddedAccount) -> None:
    """The first one takes the only token of StartExecution."""
    account.emit("by.test", "First", {"steps": ["short"]})
    account.emit("by.test", "Second", {"steps": ["short"]})


def test_throttled_target_is_tried_again_until_it_takes_the_event(stack: Path) -> None:
    """With growing waits; both executions run, nothing is dead."""
    with opened(stack, api_states_start_execution=[1, 0.05]) as account:
        put_rule(account, account.outputs["JourneyArn"], InputPath="$.detail")
        emit_two(account)
        account.run_until_quiet()
        assert len(account.executions()) == 2
        assert account.calls[START_EXECUTION] > 3
        assert account.executions()[1].start - START >= timedelta(seconds=20)
        assert dead_letters(account) == []


@pytest.mark.parametrize(
    ("policy", "condition", "tries"),
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", "2"),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", None),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", "0"),
    ],
)
def test_when_the_retry_policy_is_used_up_the_queue_gets_the_event_and_the_reason(
    stack: Path, policy: dict[str, int], condition: str, tries: str | None
) -> None:
    """As the target says: so many tries, or so old."""
    with opened(stack, api_states_start_execution=[1, 0.001]) as account:
        arn = account.outputs["JourneyArn"]
        put_rule(account, arn, InputPath="$.detail", RetryPolicy=policy)
        emit_two(account)
        account.run_until_quiet()
        assert len(account.executions()) == 1
        ((body, attributes),) = dead_letters(account)
        assert account.clock.now() - START <= timedelta(minutes=2)
    assert body == {"steps": ["short"]}
    assert attributes["ERROR_CODE"] == "ThrottlingException"
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == condition
    assert attributes["TARGET_ARN"] == arn
    assert attributes["RULE_ARN"].endswith("rule/doomed")
    assert tries in (None, attributes["RETRY_ATTEMPTS"])


def test_template_says_how_often_and_where_to(stack: Path) -> None:
    """RetryPolicy and DeadLetterConfig of a rule's target in the stack."""
    with opened(stack, api_states_start_execution=[1, 0.001]) as account:
        for who in ("Ada", "Bob"):
            account.emit("by.hand", "Anything", {"who": who})
        account.run_until_quiet()
        dead = [row for row in dead_letters(account) if row[1]]
    assert [body for body, _ in dead] == [{"steps": ["short"]}]
    assert dead[0][1]["RETRY_ATTEMPTS"] == "1"


def test_without_a_policy_a_day_or_185_tries_are_the_end(stack: Path) -> None:
    """The defaults of EventBridge."""
    never = replace(LIMITS, api_states_start_execution=Bucket(1, 0))
    with EmbeddedAccount(start=START, seed=7, limits=never) as account:
        account.deploy(stack, "small")
        put_rule(account, account.outputs["JourneyArn"], InputPath="$.detail")
        emit_two(account)
        account.run_until_quiet(within=timedelta(hours=30))
        took = account.clock.now() - START
        ((_, attributes),) = dead_letters(account)
    if attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds":
        assert timedelta(hours=23) < took <= timedelta(hours=24)
    else:
        assert attributes["RETRY_ATTEMPTS"] == "185"


def test_event_that_no_retry_can_deliver_is_dead_at_once(stack: Path) -> None:
    """A state machine that does not exist is not called twice."""
    with opened(stack) as account:
        put_rule(account, account.outputs["JourneyArn"].replace("Journey", "Gone"))
        account.emit("by.test", "First", {"a": 1})
        account.run_until(account.clock.now())
        ((body, attributes),) = dead_letters(account)
        assert account.calls[START_EXECUTION] == 1
    assert body["detail"] == {"a": 1}
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes


def test_function_that_is_gone_is_dead_at_once(stack: Path) -> None:
    """The handler's own failures are Lambda's to retry; a missing function is not."""
    with opened(stack) as account:
        put_rule(account, "arn:aws:lambda:us-east-1:123456789012:function:gone")
        account.emit("by.test", "First", {"a": 1})
        account.run_until(account.clock.now())
        ((_, attributes),) = dead_letters(account)
    assert attributes["ERROR_CODE"] == "ResourceNotFoundException"


@pytest.mark.parametrize("allowed", [True, False])
def test_failed_run_reaches_its_destination_if_the_functions_role_allows_it(
    account: EmbeddedAccount, allowed: bool
) -> None:
    """Lambda sends the record with the function's role; without the right it is lost, as in AWS."""
    listen = account.lambdas.find("Listen")
    if not allowed:
        account.permissions.know([Role("ListenRole", listen.role_arn, ())])
    account.events.invoke_later(listen, b'{"word": "hex"}')
    account.run_for(timedelta(minutes=10))
    assert len(dead_letters(account)) == allowed
