"""Reading and writing whole objects in S3, handed to moto's backend without a message in between.

As in ``dynamodb_calls``: an HTTP message takes several times the time of what it asks for, and most other
calls of the product are of objects. What is rare goes over HTTP: a condition on a write, a body that is
no bytes, a listing, a deletion, a denied call.
"""

import io
from datetime import UTC
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.response import StreamingBody
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeKey, S3Backend, s3_backends
from moto.utilities.utils import get_partition

__all__ = ["answers", "call"]

_ADDED_BY_SDK = frozenset({"ChecksumAlgorithm", "ChecksumMode"})
_UNDERSTOOD = {
    "GetObject": frozenset({"Bucket", "Key", "IfNoneMatch"}) | _ADDED_BY_SDK,
    "PutObject": frozenset({"Bucket", "Key", "Body"}) | _ADDED_BY_SDK,
}
"""Operation -> parameters that :func:`call` understands."""


def answers(
    service: str, operation: str, params: dict[str, Any], account_id: str, region: str
) -> bool:
    """Whether :func:`call` answers this call."""
    if service != "s3" or operation not in _UNDERSTOOD:
        return False
    if not params.keys() <= _UNDERSTOOD[operation]:
        return False
    backend = _backend(account_id, region)
    if params["Bucket"] not in backend.buckets or _denies(backend, operation, params):
        return False
    return operation == "GetObject" or isinstance(params.get("Body"), io.BytesIO)


def call(
    operation: str, params: dict[str, Any], account_id: str, region: str
) -> tuple[AWSResponse, dict[str, Any]]:
    """Answer a call that :func:`answers` accepts, as moto and the SDK do over HTTP."""
    backend, bucket, key = _backend(account_id, region), params["Bucket"], params["Key"]
    if operation == "PutObject":
        found = backend.put_object(bucket, key, params["Body"].getvalue())
        found.set_acl(backend.get_bucket(bucket).acl)
        return _reply(200, {**_named(found)})
    stored = backend.get_object(bucket, key)
    if stored is None:
        missing = {
            "Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": key,
        }  # fmt: skip
        return _reply(404, {"Error": missing})
    if params.get("IfNoneMatch", "").strip('"') == stored.etag.strip('"'):
        return _reply(304, {"Error": {"Code": "304", "Message": "Not Modified"}})
    body = stored.value
    return _reply(
        200,
        {
            **_named(stored),
            "AcceptRanges": "bytes",
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "ContentLength": len(body),
            "ContentType": "binary/octet-stream",
            "LastModified": stored.last_modified.replace(microsecond=0, tzinfo=UTC),
            "Metadata": {},
        },
    )


def _denies(backend: S3Backend, operation: str, params: dict[str, Any]) -> bool:
    """Whether the bucket's policy denies the call to everybody, which moto answers over HTTP."""
    bucket = backend.get_bucket(params["Bucket"])
    resource = f"arn:{bucket.partition}:s3:::{params['Bucket']}/{params['Key']}"
    return bool(bucket.get_permission(f"s3:{operation}", resource) is PermissionResult.DENIED)


def _named(stored: FakeKey) -> dict[str, Any]:
    versioned = {} if stored.version_id == "null" else {"VersionId": stored.version_id}
    return {"ETag": stored.etag, **versioned}


def _backend(account_id: str, region: str) -> S3Backend:
    backend: S3Backend = s3_backends[account_id][get_partition(region)]
    return backend


def _reply(status: int, parsed: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
    metadata = {
        "RequestId": "",
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    response = AWSResponse("https://s3.invalid", status, HTTPHeaders(), None)
    return response, {**parsed, "ResponseMetadata": metadata}
