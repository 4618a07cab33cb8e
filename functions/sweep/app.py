"""Clears what switches left over (services/sweep/run.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.sweep import ScheduledSweep
from spot_optimizer.services.sweep.run import sweep
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    parse(ScheduledSweep, event)
    return sweep(read_environment(), datetime.now(UTC), context.aws_request_id)
