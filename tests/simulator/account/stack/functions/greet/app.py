"""Greets, after failing as often as it is asked to."""

import os
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from shared_words import greeting  # type: ignore[import-not-found]  # from the layer

logger = Logger()
ledger = boto3.resource("dynamodb").Table(os.environ["TABLE"])
failures: dict[str, int] = {}


class Shy(Exception):
    """Not yet."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    logger.info("asked")
    print("printed")
    name = event.get("execution", "nobody")
    failures[name] = failures.get(name, 0) + 1
    if failures[name] <= event.get("fail_times", 0):
        raise Shy(f"attempt {failures[name]}")
    ledger.put_item(Item={"pk": f"greeted#{context.aws_request_id}", "asked": str(event)})
    return {
        "said": greeting(os.environ["WORD"], name),
        "at": datetime.now(UTC).isoformat(),
        "left_ms": context.get_remaining_time_in_millis(),
        "function": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        "attempts": os.environ["ATTEMPTS"],
    }
