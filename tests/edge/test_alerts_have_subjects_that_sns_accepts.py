"""No alert has a subject that SNS refuses: 100 characters, two lines or control characters."""

import json
from collections.abc import Callable, Iterator

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from spot_optimizer.aws import clients
from spot_optimizer.aws.announcements import alert

Sent = Callable[[str], str]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Send an alert to a topic with a queue; returns the subject that arrives."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    clients._client.cache_clear()
    with mock_aws():
        sns, sqs = clients.client("sns"), boto3.client("sqs", region_name="us-east-1")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

        def send(subject: str) -> str:
            alert(topic, subject, "text")
            (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return str(json.loads(message["Body"]).get("Subject", ""))

        yield send
    clients._client.cache_clear()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subject=st.text(max_size=150))
def test_any_subject_becomes_one_that_sns_accepts(sent: Sent, subject: str) -> None:
    """It has less than 100 characters, all of them printable ASCII."""
    arrived = sent(f"Spot Optimizer {subject}")
    assert len(arrived) < 100
    assert arrived.isascii()
    assert arrived.isprintable()


@pytest.mark.parametrize(
    ("subject", "arrives"),
    [
        ("x" * 128, "x" * 99),
        ("two\r\nlines", "two lines"),
        ("a bell \a", "a bell ?"),
        ("stack-1: breaker open", "stack-1: breaker open"),
    ],
)
def test_a_subject_that_sns_accepts_is_unchanged(sent: Sent, subject: str, arrives: str) -> None:
    """Only what SNS refuses is cut or replaced."""
    assert sent(subject) == arrives
