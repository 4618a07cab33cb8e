"""The transactions of a switch: claim, refuse, commit, abandon, succeed, fail
(services/update_ledger/steps.py)."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from spot_optimizer.aws.clients import transient_as_try_again
from spot_optimizer.aws.environment import read_step_environment
from spot_optimizer.contracts.boundary import parse
from spot_optimizer.contracts.steps import UpdateLedgerRequest
from spot_optimizer.services.update_ledger.steps import update_ledger
from spot_optimizer.telemetry import logger, metrics, tracer


@tracer.capture_lambda_handler
@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@transient_as_try_again
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    request: UpdateLedgerRequest = parse(UpdateLedgerRequest, event)
    return update_ledger(request, read_step_environment(), datetime.now(UTC)).model_dump(
        mode="json"
    )
