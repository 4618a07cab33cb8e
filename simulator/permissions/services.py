"""What the calls of the account's own services demand.

Source: Service Authorization Reference, "Actions, resources, and condition keys for" DynamoDB, S3,
SNS, SQS, EventBridge, Step Functions, Lambda, CloudWatch, IAM, Price List and Elastic Load Balancing; for
transactions and partition keys the DynamoDB Developer Guide, "Using IAM with DynamoDB transactions" and
"Using IAM policy conditions for fine-grained access control"; for objects that are not there the S3 API
reference, GetObject, "Permissions"; for targets the Elastic Load Balancing User Guide, "Elastic Load
Balancing API permissions", "Required permissions for the 2015-12-01 API".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from simulator.permissions.demand import NO_RESOURCE, Demand, demand

__all__ = ["KeysOfTransactions", "Place", "Unmapped", "has_no_resource_level", "service_demands"]

Params = Mapping[str, Any]


class Unmapped(NotImplementedError):
    """Nobody has said yet what permissions a call demands: said loudly, never guessed."""


class KeysOfTransactions(Enum):
    """What ``dynamodb:LeadingKeys`` may be for a part of a transaction; AWS does not document it."""

    OF_EACH_PART = "the partition of the part"
    OF_ALL_PARTS = "the partitions of all parts"
    MISSING = "no such key"


@dataclass(frozen=True)
class Place:
    """Where a call is made, and which objects exist there.

    Attributes:
        has_object: whether a bucket holds a key.
        keys_of_transactions: which of its possible meanings ``dynamodb:LeadingKeys`` has.
    """

    account_id: str
    region: str
    has_object: Callable[[str, str], bool]
    keys_of_transactions: KeysOfTransactions = KeysOfTransactions.OF_EACH_PART

    def arn(self, service: str, name: str) -> str:
        """``name`` in this account and region; an ARN stays as it is."""
        if name.startswith("arn:"):
            return name
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{name}"


_IAM_PREFIXES = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "stepfunctions": "states",
}
_WITHOUT_RESOURCE_LEVEL = frozenset(
    {
        ("cloudwatch", "GetMetricData"),
        ("cloudwatch", "ListMetrics"),
        ("cloudwatch", "PutMetricData"),
        ("elb", "DescribeLoadBalancers"),
        ("elbv2", "DescribeLoadBalancers"),
        ("elbv2", "DescribeTargetGroups"),
        ("elbv2", "DescribeTargetHealth"),
        ("pricing", "GetProducts"),
        ("sts", "GetCallerIdentity"),
    }
)
_LOOKED_UP_TO_REGISTER = ("Instances", "InternetGateways", "Subnets", "Vpcs")
_TABLE_CALLS = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"})
_TRANSACTION_PARTS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def has_no_resource_level(service: str, operation: str) -> bool:
    """Whether a call demands its action on no resource, whatever its parameters."""
    return (service, operation) in _WITHOUT_RESOURCE_LEVEL


def service_demands(
    service: str, operation: str, params: Params, place: Place
) -> tuple[Demand, ...]:
    """The demands of a call, in AWS's order as far as it is known.

    Raises:
        Unmapped: of a call that is not in the tables here.
    """
    if has_no_resource_level(service, operation):
        action = f"{_IAM_PREFIXES.get(service, service)}:{operation}"
        return (Demand(action, NO_RESOURCE),)
    handler = _SERVICES.get(service)
    found = tuple(handler(operation, params, place)) if handler else ()
    if not found:
        raise Unmapped(f"what {service}.{operation} demands of IAM is not known")
    return found


_PARTITION = re.compile(r"\s*pk = (:\w+)")


def _leading_key(params: Params) -> dict[str, tuple[str, ...]]:
    """The partition key of the item or partition that a call or a part of one is about; the ledger,
    like every table here, calls it ``pk``."""
    key = params.get("Key") or params.get("Item")
    if key is None:
        named = _PARTITION.match(params.get("KeyConditionExpression", ""))
        key = {"pk": params["ExpressionAttributeValues"][named[1]]} if named else {}
    return {"dynamodb:LeadingKeys": (key["pk"]["S"],)} if "pk" in key else {}


def _leading_keys_of_part(
    part: Params, parts: Sequence[Params], meaning: KeysOfTransactions
) -> dict[str, tuple[str, ...]]:
    if meaning is KeysOfTransactions.OF_EACH_PART:
        return _leading_key(part)
    of_all = (key for each in parts for keys in _leading_key(each).values() for key in keys)
    all_keys = tuple(dict.fromkeys(of_all))
    missing = meaning is KeysOfTransactions.MISSING or not all_keys
    return {} if missing else {"dynamodb:LeadingKeys": all_keys}


def _dynamodb(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    def on(action: str, table: str, keys: Mapping[str, tuple[str, ...]]) -> Demand:
        name = table if table.startswith("arn:") else f"table/{table}"
        arn = place.arn("dynamodb", name)
        return demand(f"dynamodb:{action}", arn, keys)

    if operation in _TABLE_CALLS:
        index = params.get("IndexName")
        name = params["TableName"] if index is None else f"{params['TableName']}/index/{index}"
        yield on(operation, name, _leading_key(params))
    elif operation in ("TransactWriteItems", "TransactGetItems"):
        named = [part for item in params["TransactItems"] for part in item.items()]
        parts = [part for _, part in named]
        meaning = place.keys_of_transactions
        asked = (
            on(
                _TRANSACTION_PARTS[kind],
                part["TableName"],
                _leading_keys_of_part(part, parts, meaning),
            )
            for kind, part in named
        )
        yield from dict.fromkeys(asked)
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        yield from (on(operation, table, {}) for table in params["RequestItems"])


def _s3(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    match operation:
        case "GetObject" | "HeadObject":
            yield Demand("s3:GetObject", f"{bucket}/{params['Key']}")
            if not place.has_object(params["Bucket"], params["Key"]):
                # A caller that may not list the bucket gets 403, not that the key is missing.
                yield Demand("s3:ListBucket", bucket)
        case "PutObject" | "DeleteObject":
            yield Demand(f"s3:{operation}", f"{bucket}/{params['Key']}")
        case "ListObjectsV2" | "HeadBucket":
            yield Demand("s3:ListBucket", bucket)


def _sns(operation: str, params: Params, _place: Place) -> Iterator[Demand]:
    if operation == "Publish":
        yield Demand("sns:Publish", params["TopicArn"])


def _sqs(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    match operation:
        case "GetQueueUrl":
            yield Demand("sqs:GetQueueUrl", place.arn("sqs", params["QueueName"]))
        case "SendMessage":
            yield Demand("sqs:SendMessage", place.arn("sqs", params["QueueUrl"].rpartition("/")[2]))


def _events(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    if operation == "PutEvents":
        buses = {entry.get("EventBusName", "default"): None for entry in params["Entries"]}
        for bus in buses:
            name = bus if bus.startswith("arn:") else f"event-bus/{bus}"
            yield Demand("events:PutEvents", place.arn("events", name))


def _states(operation: str, params: Params, _place: Place) -> Iterator[Demand]:
    match operation:
        case "StartExecution":
            # Of a version or alias too, the state machine's own ARN counts (Step Functions Developer
            # Guide, "Authorization for versions and aliases").
            state_machine = ":".join(params["stateMachineArn"].split(":")[:7])
            yield Demand("states:StartExecution", state_machine)
        case "DescribeExecution" | "StopExecution" | "GetExecutionHistory":
            yield Demand(f"states:{operation}", params["executionArn"])


def _lambda(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    if operation == "Invoke":
        name = params["FunctionName"]
        arn = name if name.startswith("arn:") else f"function:{name}"
        yield Demand("lambda:InvokeFunction", place.arn("lambda", arn))


def _elbv2(operation: str, params: Params, _place: Place) -> Iterator[Demand]:
    if operation in ("RegisterTargets", "DeregisterTargets"):
        yield Demand(f"elasticloadbalancing:{operation}", params["TargetGroupArn"])
    if operation == "RegisterTargets":
        # The service looks the targets up with its caller's rights.
        yield from (Demand(f"ec2:Describe{what}") for what in _LOOKED_UP_TO_REGISTER)


def _iam(operation: str, params: Params, place: Place) -> Iterator[Demand]:
    if operation == "GetInstanceProfile":
        name = params["InstanceProfileName"]
        yield Demand(f"iam:{operation}", f"arn:aws:iam::{place.account_id}:instance-profile/{name}")


def _kms(operation: str, params: Params, _place: Place) -> Iterator[Demand]:
    if operation == "DescribeKey":
        yield Demand(f"kms:{operation}", params["KeyId"])


_SERVICES: Mapping[str, Callable[[str, Params, Place], Iterator[Demand]]] = {
    "dynamodb": _dynamodb,
    "elbv2": _elbv2,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "s3": _s3,
    "sns": _sns,
    "sqs": _sqs,
    "stepfunctions": _states,
}
