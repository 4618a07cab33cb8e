"""One decision cycle: judges every workload and starts switches (services/decide/cycle.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.decide import DecideRequest
from spot_optimizer.services.decide.cycle import run_cycle
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    request: DecideRequest = parse(DecideRequest, event)
    return run_cycle(request, read_environment(), datetime.now(UTC), context.aws_request_id)
