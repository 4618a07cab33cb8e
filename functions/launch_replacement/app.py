"""Launches one candidate from the workload's template (services/launch_replacement/launch.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.clients import transient_as_try_again
from spot_optimizer.aws.environment import read_step_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.steps import LaunchRequest
from spot_optimizer.services.launch_replacement.launch import launch_replacement
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@transient_as_try_again
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: LaunchRequest = parse(LaunchRequest, event)
    logger.append_keys(switch_id=request.switch_id)
    launched = launch_replacement(request, read_step_environment(), datetime.now(UTC))
    return launched.model_dump(mode="json")
