"""Carries out manual requests; users invoke it (services/command/requests.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.command import CommandRequest
from spot_optimizer.services.command.requests import carry_out
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: CommandRequest = parse(CommandRequest, event)
    return carry_out(request, read_environment(), datetime.now(UTC))
