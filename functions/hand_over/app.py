"""Hands over target groups and Elastic IP addresses, or takes them back (services/hand_over)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.clients import transient_as_try_again
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.steps import HandOverRequest
from spot_optimizer.services.hand_over.sequence import hand_over
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@transient_as_try_again
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: HandOverRequest = parse(HandOverRequest, event)
    logger.append_keys(switch_id=request.switch_id)
    return hand_over(request, datetime.now(UTC)).model_dump(mode="json")
