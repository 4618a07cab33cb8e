"""How an AWS SDK task of Step Functions names services, errors, parameters and results.

The service behind the integration is the AWS SDK for Java 2.x: its service and exception names are
the error names (``Ec2.Ec2Exception`` for what EC2 does not model, which is every EC2 error;
``DynamoDb.ConditionalCheckFailedException``), parameters and results are in PascalCase, times are
ISO 8601. Source: AWS Step Functions Developer Guide, "Learning to use AWS service SDK
integrations".
"""

import functools
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

__all__ = ["BOTO_NAMES", "from_boto", "operation_model", "service_error_name", "to_boto"]

BOTO_NAMES = {
    "cloudwatchlogs": "logs",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "eventbridge": "events",
}

_ERROR_NAMES = {
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "elasticloadbalancing": "ElasticLoadBalancing",
    "elasticloadbalancingv2": "ElasticLoadBalancingV2",
    "eventbridge": "EventBridge",
    "secretsmanager": "SecretsManager",
    "servicequotas": "ServiceQuotas",
}


def service_error_name(service: str) -> str:
    """The first half of an error's name: ``Ec2``, ``DynamoDb``, ``ElasticLoadBalancingV2``."""
    return _ERROR_NAMES.get(service.lower(), service[:1].upper() + service[1:])


@functools.lru_cache(maxsize=256)
def operation_model(service: str, action: str) -> OperationModel:
    """botocore's model of the operation; ``action`` is the name of the client's method.

    Raises:
        ValueError: the service has no such action.
    """
    model = _session().get_service_model(service)
    for name in model.operation_names:
        if xform_name(name) == action:
            return model.operation_model(name)
    raise ValueError(f"action {action!r} is unknown to {service}")


def to_boto(value: Any, shape: Shape | None, where: str = "") -> Any:
    """Parameters in PascalCase as botocore wants them.

    Raises:
        ValueError: a field that the operation does not have in this spelling; AWS refuses the
            state machine for it.
    """
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {name[:1].upper() + name[1:]: name for name in shape.members}
        for name in value:
            if name not in members:
                raise ValueError(
                    f"The field {(where + name)!r} is not supported by Step Functions; "
                    f"allowed: {', '.join(sorted(members))}"
                )
        return {
            members[name]: to_boto(item, shape.members[members[name]], f"{where}{name}.")
            for name, item in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_boto(item, shape.member, where) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: to_boto(item, shape.value, where) for key, item in value.items()}
    return value


def from_boto(value: Any, shape: Shape | None) -> Any:
    """A result in PascalCase, its times and bodies as text."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name[:1].upper() + name[1:]: from_boto(item, shape.members.get(name))
            for name, item in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [from_boto(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: from_boto(item, shape.value) for key, item in value.items()}
    if isinstance(value, datetime):
        return _iso(value)
    if hasattr(value, "read"):
        value = value.read()
    return value.decode() if isinstance(value, bytes) else value


def _iso(moment: datetime) -> str:
    """As Java's ``Instant.toString``: no fraction for whole seconds, else milliseconds."""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision) + "Z"


@functools.lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    return botocore.session.Session()
