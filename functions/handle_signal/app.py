"""Answers events of EC2 about an instance (services/handle_signal/answer.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.services.handle_signal.answer import handle_signal
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    return handle_signal(event, read_environment(), datetime.now(UTC)).model_dump(mode="json")
