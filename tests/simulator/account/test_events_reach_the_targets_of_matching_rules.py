"""Events go to the targets of the rules that match them, shaped as the template says."""

import functools
import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.account import EmbeddedAccount
from simulator.account.transform import target_input

WARNING = "EC2 Spot Instance Interruption Warning"


def received(account: EmbeddedAccount) -> list[Any]:
    """The bodies of the messages in the queue."""
    queue = boto3.client("sqs")
    reply = queue.receive_message(
        QueueUrl=account.stack.physical_ids["DeadLetters"], MaxNumberOfMessages=10
    )
    return [json.loads(message["Body"]) for message in reply.get("Messages", [])]


def test_event_of_aws_reaches_the_functions_whose_pattern_it_matches(
    account: EmbeddedAccount,
) -> None:
    """It arrives when time runs, whole; a rule with a schedule alone never matches."""
    detail = {"instance-id": "i-1", "instance-action": "terminate"}
    account.emit("aws.ec2", WARNING, detail, ["arn:aws:ec2:us-east-1a:instance/i-1"])
    account.emit("aws.ec2", "EC2 Instance State-change Notification", {"state": "running"})
    assert account.trace == []
    account.run_until(account.clock.now())
    (entry,) = account.trace
    assert entry.function == "Listen"
    assert entry.event["detail"] == detail
    assert entry.event["time"] == "2025-03-01T00:00:00Z"
    assert entry.event["account"] == "123456789012"
    assert "ingestion-time" not in entry.event


def test_put_events_on_a_custom_bus_is_matched_by_that_buss_rules(
    account: EmbeddedAccount,
) -> None:
    """A handler's event reaches the listener, which gets only what InputPath selects."""
    assert account.invoke("Relay", {"do": "put", "detail": {"word": "hello"}}) == 0
    assert account.invoke("Relay", {"do": "put", "detail": {"word": "goodbye"}}) == 0
    account.run_until_quiet()
    assert [entry.event for entry in account.trace if entry.function == "Listen"] == [
        {"word": "hello"}
    ]


def test_one_rule_reaches_a_function_a_topic_a_queue_and_a_state_machine(
    account: EmbeddedAccount,
) -> None:
    """InputTransformer, Input and the plain event, each to its own target."""
    boto3.client("sns").subscribe(
        TopicArn=account.outputs["TopicArn"],
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:"
        + account.stack.physical_ids["DeadLetters"].rsplit("/", 1)[-1],
        Attributes={"RawMessageDelivery": "true"},
    )
    account.emit("by.hand", "Anything", {"who": "Ada"})
    account.run_until(account.clock.now())
    assert [entry.event for entry in account.trace] == [{"name": "Ada", "text": "it was Ada"}]
    bodies = received(account)
    assert [body["detail"] for body in bodies] == [{"who": "Ada"}] * 2
    assert [item.input for item in account.executions()] == [{"steps": ["short"]}]


def test_failing_function_is_retried_after_a_minute_and_then_reported(
    account: EmbeddedAccount,
) -> None:
    """One retry, as the template says; then the failure destination gets the record."""
    account.invoke("Relay", {"do": "put", "detail": {"word": "hex"}})
    start = account.clock.now()
    account.run_until_quiet()
    failed = [entry for entry in account.trace if entry.error]
    assert [entry.time - start for entry in failed] == [timedelta(0), timedelta(minutes=1)]
    (record,) = received(account)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"] == {"word": "hex"}
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_asynchronous_invocation_returns_before_it_runs(account: EmbeddedAccount) -> None:
    """InvocationType Event answers 202 at once; the function runs when time does."""
    reply = boto3.client("lambda").invoke(
        FunctionName=_listener(account), InvocationType="Event", Payload=b'{"n": 1}'
    )
    assert reply["StatusCode"] == 202
    assert account.trace == []
    account.run_until_quiet()
    assert [entry.event for entry in account.trace] == [{"n": 1}]


def test_object_in_a_bucket_is_an_event_on_the_default_bus_only(
    account: EmbeddedAccount,
) -> None:
    """A custom bus does not see it; each has its own id; tags are reported if there are any."""
    events = boto3.client("events")
    for bus in ("default", account.stack.physical_ids["Bus"]):
        events.put_rule(Name="upload", EventBusName=bus, EventPattern='{"source": ["aws.s3"]}')
        events.put_targets(
            Rule="upload", EventBusName=bus, Targets=[{"Id": "1", "Arn": _listener(account)}]
        )
    put = functools.partial(
        boto3.client("s3").put_object,
        Bucket=account.stack.physical_ids["Archive"],
        Key="model",
        Body=b"x",
    )
    put()
    account.run_until_quiet()
    put(Tagging="a=b")
    account.run_until_quiet()
    first, second, third = account.trace
    assert first.event["detail-type"] == second.event["detail-type"] == "Object Created"
    assert third.event["detail-type"] == "Object Tags Added"
    assert first.event["detail"]["object"]["key"] == "model"
    assert first.event["id"] != second.event["id"]


def test_end_of_an_execution_is_an_event(account: EmbeddedAccount) -> None:
    """Step Functions sends an event with the status of each execution."""
    events = boto3.client("events")
    events.put_rule(
        Name="ended",
        EventPattern='{"source": ["aws.states"], "detail": {"status": ["FAILED"]}}',
    )
    events.put_targets(Rule="ended", Targets=[{"Id": "1", "Arn": _listener(account)}])
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=account.outputs["JourneyArn"],
        name="doomed",
        input='{"steps": ["short"], "fail_times": 9}',
    )
    account.run_until_quiet()
    ended = [entry for entry in account.trace if entry.function == "Listen"]
    assert [entry.event["detail"]["name"] for entry in ended] == ["doomed"]
    assert ended[0].event["detail"]["error"] == "TooShy"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{"a": <who>}', '{"a": "A \\"q\\""}'),
        ('{"a": "by <who>!"}', '{"a": "by A \\"q\\"!"}'),
        ('{"a": <list>, "b": "<list>"}', '{"a": ["x"], "b": "[\\"x\\"]"}'),
        ('{"a": <gone>, "b": "<gone>"}', '{"a": "", "b": ""}'),
        ('"rule <aws.events.rule-name>"', '"rule r"'),
    ],
)
def test_template_is_filled_with_json_or_inside_quotes_with_text(template: str, text: str) -> None:
    """A value keeps its JSON form outside quotes, and is escaped inside them."""
    event = {"time": "t", "detail": {"who": 'A "q"', "list": ["x"]}}
    paths = {"who": "$.detail.who", "list": "$.detail.list", "gone": "$.detail.gone"}
    target = {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}
    assert target_input(target, event, "arn:aws:events:us-east-1:1:rule/r") == text
    json.loads(text)


def _listener(account: EmbeddedAccount) -> str:
    return next(item.arn for item in account.stack.functions if item.logical_id == "Listen")
