"""Is the replacement ready, and the same machine? (services/inspect_replacement/inspection.py)"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.clients import transient_as_try_again
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.steps import InspectRequest
from spot_optimizer.services.inspect_replacement.inspection import inspect_replacement
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@transient_as_try_again
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: InspectRequest = parse(InspectRequest, event)
    logger.append_keys(switch_id=request.switch_id)
    inspection = inspect_replacement(request, datetime.now(UTC))
    logger.info("replacement inspected", verdict=inspection.verdict)
    return inspection.model_dump(mode="json")
