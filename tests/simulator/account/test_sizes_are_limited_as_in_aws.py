"""Payloads, histories and items above AWS's limits are refused with AWS's errors."""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.account import EmbeddedAccount, limit_patches
from simulator.limits import LIMITS


def refused(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**params)
    return str(error.value.response["Error"]["Code"])


def function_of(account: EmbeddedAccount, logical_id: str) -> str:
    return next(item.name for item in account.stack.functions if item.logical_id == logical_id)


def of_bytes(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


def test_function_takes_a_megabyte_asynchronously_and_six_at_once(
    account: EmbeddedAccount,
) -> None:
    """One byte more is RequestEntityTooLargeException."""
    client, name = boto3.client("lambda"), function_of(account, "Listen")
    for kind, most in (
        ("Event", LIMITS.lambda_async_bytes),
        ("RequestResponse", LIMITS.lambda_sync_bytes),
    ):
        payload: Any = {"FunctionName": name, "InvocationType": kind}
        error = refused(client.invoke, **payload, Payload=of_bytes(most + 1))
        assert error == "RequestEntityTooLargeException"
        assert client.invoke(**payload, Payload=b'{"a": 1}')["StatusCode"] in (200, 202)
    client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps("x").encode())


def test_put_events_takes_a_megabyte_in_all(account: EmbeddedAccount) -> None:
    """Source, type and detail count."""
    client = boto3.client("events")
    room = LIMITS.event_bytes - len("st") - len('{"a": ""}')
    entry: Any = {
        "Source": "s",
        "DetailType": "t",
        "EventBusName": account.stack.physical_ids["Bus"],
    }
    fits: Any = {**entry, "Detail": json.dumps({"a": "x" * room})}
    assert client.put_events(Entries=[fits])["FailedEntryCount"] == 0
    larger: Any = {**entry, "Detail": json.dumps({"a": "x" * (room + 1)})}
    assert refused(client.put_events, Entries=[larger]) == "ValidationException"


def test_execution_begins_with_256_kilobytes_at_most(account: EmbeddedAccount) -> None:
    """InvalidExecutionInput."""
    error = refused(
        boto3.client("stepfunctions").start_execution,
        stateMachineArn=account.outputs["JourneyArn"],
        input=of_bytes(LIMITS.state_payload_bytes + 1).decode(),
    )
    assert error == "InvalidExecutionInput"


def _state_machine(definition: dict[str, Any]) -> str:
    reply = boto3.client("stepfunctions").create_state_machine(
        name="by-hand",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::123456789012:role/own",
    )
    return str(reply["stateMachineArn"])


def test_task_that_answers_too_much_fails_with_data_limit_exceeded(
    account: EmbeddedAccount,
) -> None:
    """States.DataLimitExceeded beyond 256 KB."""
    arn = _state_machine(
        {
            "StartAt": "Ask",
            "States": {
                "Ask": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Parameters": {
                        "FunctionName": function_of(account, "Listen"),
                        "Payload": {"said.$": "States.Format('{}{}{}', $.a, $.a, $.a)"},
                    },
                    "End": True,
                }
            },
        }
    )
    text = json.dumps({"a": "x" * 100_000})
    boto3.client("stepfunctions").start_execution(stateMachineArn=arn, name="one", input=text)
    account.run_until_quiet()
    (execution,) = account.executions()
    assert (execution.status, execution.error) == ("FAILED", "States.DataLimitExceeded")


def test_execution_with_too_long_a_history_fails(
    account: EmbeddedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop without an end is ended by AWS after 25,000 events; here by a limit of 50."""
    monkeypatch.setattr(limit_patches, "LIMITS", replace(LIMITS, execution_events=50))
    wait = {"Type": "Wait", "Seconds": 60, "Next": "Again"}
    states = {"Again": {"Type": "Pass", "Next": "Wait"}, "Wait": wait}
    arn = _state_machine({"StartAt": "Again", "States": states})
    boto3.client("stepfunctions").start_execution(stateMachineArn=arn, name="one")
    account.run_until_quiet(within=timedelta(days=1))
    (execution,) = account.executions()
    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")
    assert "maximum number of history events" in str(execution.cause)
    assert LIMITS.execution_events == 25_000


def test_ledger_takes_400_kilobytes_an_item_and_100_items_a_transaction(
    account: EmbeddedAccount,
) -> None:
    """moto keeps both."""
    client, table = boto3.client("dynamodb"), account.outputs["LedgerName"]
    large = {"pk": {"S": "a"}, "text": {"S": "x" * LIMITS.item_bytes}}
    assert refused(client.put_item, TableName=table, Item=large) == "ValidationException"
    puts: Any = [
        {"Put": {"TableName": table, "Item": {"pk": {"S": str(number)}}}}
        for number in range(LIMITS.transaction_items + 1)
    ]
    assert refused(client.transact_write_items, TransactItems=puts) == "ValidationException"
    client.transact_write_items(TransactItems=puts[:-1])


def test_asynchronous_event_that_is_too_old_is_given_up(
    start: datetime, stack: Path, tmp_path: Path
) -> None:
    """MaximumEventAgeInSeconds ends the tries before they are used up."""
    template = stack.read_text().replace(
        "MaximumRetryAttempts: 1\n        Dest",
        "MaximumRetryAttempts: 2\n        MaximumEventAgeInSeconds: 120\n        Dest",
    )
    shutil.copytree(stack.parent, tmp_path / "stack")
    copy = tmp_path / "stack" / stack.name
    copy.write_text(template)
    with EmbeddedAccount(start=start, seed=7) as account:
        account.deploy(copy, "small")
        account.invoke("Relay", {"do": "put", "detail": {"word": "hex"}})
        account.run_until_quiet()
        failed = [entry for entry in account.trace if entry.error]
        queue = account.stack.physical_ids["DeadLetters"]
        (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert len(failed) == 2
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
