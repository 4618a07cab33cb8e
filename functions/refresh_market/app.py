"""Collects prices, forecasts them and writes the market snapshot (services/refresh_market/tasks.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.market import RefreshMarketRequest
from spot_optimizer.services.refresh_market.tasks import refresh_market
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: RefreshMarketRequest = parse(RefreshMarketRequest, event)
    return refresh_market(request, read_environment(), datetime.now(UTC))
