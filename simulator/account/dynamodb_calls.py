"""Calls of items in DynamoDB, handed to moto's backend without a message in between.

An HTTP message is built, signed, matched, taken apart, answered and parsed in several times the time
of what it asks for, and DynamoDB is most of what the product calls. The operations below are moto's
own; what they are given is what botocore has written into the request, and what they answer is
cut to the shape that botocore would read out of the reply.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import botocore.parsers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from moto.core.exceptions import HTTPException
from moto.dynamodb.responses import DynamoHandler
from moto.utilities.aws_headers import gen_amzn_requestid_long

__all__ = ["answers", "call"]

_OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "DeleteItem": DynamoHandler.delete_item,
    "GetItem": DynamoHandler.get_item,
    "PutItem": DynamoHandler.put_item,
    "Query": DynamoHandler.query,
    "TransactWriteItems": DynamoHandler.transact_write_items,
    "UpdateItem": DynamoHandler.update_item,
}
_parser: Any = botocore.parsers.ResponseParserFactory().create_parser("json")


def answers(service: str, operation: str) -> bool:
    """Whether :func:`call` answers this operation."""
    return service == "dynamodb" and operation in _OPERATIONS


def call(
    model: OperationModel, request: dict[str, Any], account_id: str, region: str
) -> tuple[AWSResponse, dict[str, Any]]:
    """Answer ``request``, as botocore has serialized it; errors are parsed as botocore parses them."""
    handler = DynamoHandler()
    handler.region, handler.current_account = region, account_id
    handler.body = json.loads(request["body"])
    try:
        result = _OPERATIONS[model.name](handler).result
    except HTTPException as error:
        return _refusal(model, error)
    return _reply(200), {**_cut(result, model.output_shape), "ResponseMetadata": _metadata(200)}


def _refusal(model: OperationModel, error: Any) -> tuple[AWSResponse, dict[str, Any]]:
    message = {
        "status_code": error.code,
        "headers": HTTPHeaders.from_dict(dict(error.get_headers() or [])),
        "body": error.description.encode(),
        "context": {},
    }
    parsed: dict[str, Any] = _parser.parse(message, model.output_shape)
    # What a cancelled transaction says of its items is in fields that this error alone has.
    shape = model.service_model.shape_for_error_code(parsed["Error"]["Code"])
    if shape is not None:
        parsed.update(_parser.parse(message, shape))
    parsed["ResponseMetadata"] = _metadata(error.code)
    return _reply(error.code), parsed


def _reply(status: int) -> AWSResponse:
    return AWSResponse("https://dynamodb.invalid", status, HTTPHeaders(), None)


def _metadata(status: int) -> dict[str, Any]:
    return {
        "RequestId": gen_amzn_requestid_long(),
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }


def _cut(value: Any, shape: Shape | None) -> Any:
    """What the shape names, and nothing that is missing."""
    if isinstance(shape, StructureShape):
        if shape.name == "AttributeValue":
            return _attribute(value)
        return {
            name: _cut(value[name], member)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_cut(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: _cut(item, shape.value) for key, item in value.items()}
    return value


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """An attribute value; moto leaves some bytes as they came in JSON."""
    ((kind, inner),) = value.items()
    if kind == "M":
        inner = {name: _attribute(each) for name, each in inner.items()}
    elif kind == "L":
        inner = [_attribute(each) for each in inner]
    elif kind == "B" and isinstance(inner, str):
        inner = base64.b64decode(inner)
    return {kind: inner}
