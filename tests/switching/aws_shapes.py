"""Checks parameters against botocore's model of EC2."""

from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator


@cache
def _ec2() -> ServiceModel:
    return botocore.session.get_session().get_service_model("ec2")


def assert_accepted(operation: str, parameters: dict[str, Any]) -> None:
    """Fail with botocore's message if it would not send the call."""
    shape = _ec2().operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
