"""Items are answered without a message in between, and stored ones are never changed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends

from simulator.account import EmbeddedAccount, dynamodb_calls
from simulator.account.dynamodb_patches import remembered

START = datetime(2026, 3, 2, tzinfo=UTC)
KEY = {"pk": {"S": "WORKLOADS"}, "sk": {"S": "web"}}
ITEM: dict[str, Any] = {
    **KEY,
    "n": {"N": "1.50"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "its_bytes": {"B": b"\x00\xff"},
    "its_names": {"SS": ["b", "a"]},
    "deep": {"M": {"list": {"L": [{"S": ""}, {"M": {"raw": {"B": b"x"}}}, {"L": []}]}}},
}


@pytest.fixture
def account() -> Iterator[EmbeddedAccount]:
    """An account with one table, keyed like the ledger."""
    with EmbeddedAccount(start=START, seed=7) as opened:
        _create_table()
        yield opened


def _create_table() -> None:
    boto3.client("dynamodb").create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )


def _update(expression: str, **details: Any) -> dict[str, Any]:
    return {"TableName": "ledger", "Key": KEY, "UpdateExpression": expression, **details}


def _conversation() -> list[dict[str, Any]]:
    """Replies and refusals of every operation that is answered directly."""
    client: Any = boto3.client("dynamodb")
    one = {":one": {"N": "1"}}
    never = {"ConditionExpression": "attribute_not_exists(pk)"}
    all_old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    other = {"pk": {"S": "WORKLOADS"}, "sk": {"S": "mail"}}
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (client.get_item, {"TableName": "ledger", "Key": KEY}),
        (client.put_item, {"TableName": "ledger", "Item": ITEM}),
        (client.put_item, {"TableName": "ledger", "Item": other, "ReturnValues": "ALL_OLD"}),
        (client.put_item, {"TableName": "ledger", "Item": ITEM, **never, **all_old}),
        (client.get_item, {"TableName": "ledger", "Key": KEY, "ConsistentRead": True}),
        (client.get_item, {"TableName": "ledger", "Key": KEY, "ProjectionExpression": "n, deep"}),
        (client.get_item, {"TableName": "elsewhere", "Key": KEY}),
        (client.get_item, {"TableName": "ledger", "Key": {"pk": {"S": "WORKLOADS"}}}),
        (client.query, _partition(Limit=1)),
        (client.query, _partition(Limit=1, ExclusiveStartKey=other)),
        (client.query, _partition(ScanIndexForward=False, ReturnConsumedCapacity="TOTAL")),
        (client.query, _partition(Select="COUNT")),
        (
            client.update_item,
            _update("ADD n :one", ExpressionAttributeValues=one, ReturnValues="UPDATED_NEW"),
        ),
        (
            client.update_item,
            _update("REMOVE its_bytes, its_names", ReturnValues="ALL_OLD"),
        ),
        (client.update_item, _update("REMOVE n", **never, **all_old)),
        (client.transact_write_items, _transaction(never)),
        (client.transact_write_items, _transaction({})),
        (client.delete_item, {"TableName": "ledger", "Key": other, **never}),
        (client.delete_item, {"TableName": "ledger", "Key": KEY, "ReturnValues": "ALL_OLD"}),
    ]
    return [_said(*each) for each in calls]


def _partition(**details: Any) -> dict[str, Any]:
    values = {":pk": {"S": "WORKLOADS"}}
    condition = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values}
    return {"TableName": "ledger", **condition, **details}


def _transaction(condition: dict[str, Any]) -> dict[str, Any]:
    """An update, and a second item under a condition."""
    bump = _update("SET n = :two", ExpressionAttributeValues={":two": {"N": "2"}})
    other = {"pk": {"S": "WORKLOADS"}, "sk": {"S": "mail"}, "new": {"BOOL": True}}
    return {
        "TransactItems": [
            {"Update": bump},
            {"Put": {"TableName": "ledger", "Item": other, **condition}},
        ]
    }


def _said(call: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        reply = call(**parameters)
    except ClientError as error:
        reply = {"refused as": type(error).__name__, **error.response}
    metadata = reply.pop("ResponseMetadata")
    return {**reply, "status": metadata["HTTPStatusCode"], "request": metadata["RequestId"]}


def test_conversation_is_the_same_as_over_http() -> None:
    """Replies, refusals with what they say of the items, and what is drawn for identifiers."""
    with EmbeddedAccount(start=START, seed=7):
        _create_table()
        directly = _conversation()
    with (
        mock.patch.object(dynamodb_calls, "answers", return_value=False),
        EmbeddedAccount(start=START, seed=7),
    ):
        _create_table()
        over_http = _conversation()
    assert directly == over_http
    assert [each["status"] for each in directly].count(400) == 6


@pytest.mark.usefixtures("account")
def test_cancelled_transaction_leaves_every_item_as_it_was() -> None:
    """The update came first and would have been carried out; later updates find the old items."""
    client = boto3.client("dynamodb")
    other = {"pk": {"S": "WORKLOADS"}, "sk": {"S": "mail"}}
    client.put_item(TableName="ledger", Item=ITEM)
    client.put_item(TableName="ledger", Item=other)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(
            **_transaction({"ConditionExpression": "attribute_not_exists(pk)"})
        )
    assert client.query(**_partition())["Items"] == [other, ITEM]
    client.update_item(**_update("REMOVE n"))
    assert "n" not in client.get_item(TableName="ledger", Key=KEY)["Item"]


def test_update_puts_another_item_in_the_place_of_the_stored_one(
    account: EmbeddedAccount,
) -> None:
    """What was made of the old one stays with it; the new one begins without."""
    client = boto3.client("dynamodb")
    client.put_item(TableName="ledger", Item=ITEM)
    table = dynamodb_backends["123456789012"][account.region].tables["ledger"]
    (before,) = table.all_items()
    assert remembered(before, "n", lambda item: item.attrs["n"].value) == "1.50"
    client.update_item(
        **_update(
            "SET n = :n, deep.#list[0] = :n ADD its_names :more",
            ExpressionAttributeNames={"#list": "list"},
            ExpressionAttributeValues={":n": {"N": "2"}, ":more": {"SS": ["c"]}},
        )
    )
    (after,) = table.all_items()
    assert remembered(after, "n", lambda item: item.attrs["n"].value) == "2"
    assert before.attrs["n"].value == "1.50"
    assert before.attrs["its_names"].value == ["b", "a"]
    assert before.attrs["deep"].to_regular_json()["M"]["list"]["L"][0] == {"S": ""}
    assert after.attrs["its_names"].value == ["b", "a", "c"]
