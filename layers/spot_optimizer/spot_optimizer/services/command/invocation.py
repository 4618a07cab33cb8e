"""Invokes another function of the stack and returns its answer."""

import json
from typing import Any

from spot_optimizer.aws.clients import client
from spot_optimizer.contracts.boundary import Boundary, InvalidRequest


def invoke(function: str, request: Boundary, failure: str) -> dict[str, Any]:
    """The function's answer. Raises InvalidRequest with its error, or ``failure`` if it gives none."""
    reply = client("lambda").invoke(
        FunctionName=function, Payload=request.model_dump_json().encode()
    )
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    if reply.get("FunctionError"):
        raise InvalidRequest(str(answer.get("errorMessage", failure)))
    return answer
