"""Objects are answered without a message in between, as moto answers over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
from botocore.exceptions import ClientError

from simulator.account import EmbeddedAccount, s3_calls

START = datetime(2026, 3, 2, tzinfo=UTC)
_OF_HTTP_ALONE = {"ChecksumCRC32", "ChecksumType"}
"""What the SDK checks itself."""


def _conversation() -> list[dict[str, Any]]:
    """Replies and refusals of the calls that are answered directly, and of their neighbors."""
    client: Any = boto3.client("s3")
    client.create_bucket(Bucket="data")
    one = {"Bucket": "data", "Key": "market/a b+ü.npz"}
    etag = client.put_object(**one, Body=b"0" * 9)["ETag"]
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (client.get_object, one),
        (client.get_object, {**one, "IfNoneMatch": etag}),
        (client.get_object, {**one, "IfNoneMatch": '"another"'}),
        (client.get_object, {**one, "Range": "bytes=0-3"}),
        (client.get_object, {"Bucket": "data", "Key": "none"}),
        (client.get_object, {"Bucket": "elsewhere", "Key": "none"}),
        (client.put_object, {**one, "Body": b""}),
        (client.get_object, one),
        (client.put_object, {**one, "Body": b"x", "IfMatch": etag}),
        (client.put_object, {**one, "Body": b"x", "Metadata": {"of": "user"}}),
        (client.put_object, {"Bucket": "elsewhere", "Key": "none", "Body": b"x"}),
        (client.list_objects_v2, {"Bucket": "data"}),
        (client.list_buckets, {}),
    ]
    return [_said(*each) for each in calls]


def _said(call: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        reply = call(**parameters)
    except ClientError as error:
        reply = {"refused as": type(error).__name__, **error.response}
    metadata = reply.pop("ResponseMetadata")
    if "Body" in reply:
        reply["Body"] = reply["Body"].read()
    shown = {name: value for name, value in reply.items() if name not in _OF_HTTP_ALONE}
    return {**shown, "status": metadata["HTTPStatusCode"]}


def test_conversation_is_the_same_as_over_http() -> None:
    """Replies and refusals, but for what the SDK checks of a message."""
    with EmbeddedAccount(start=START, seed=7):
        directly = _conversation()
    with (
        mock.patch.object(s3_calls, "answers", return_value=False),
        EmbeddedAccount(start=START, seed=7),
    ):
        over_http = _conversation()
    assert directly == over_http
    assert [each["status"] for each in directly].count(404) == 3
