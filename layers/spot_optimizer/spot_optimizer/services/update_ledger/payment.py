"""The step RecordPaid: an instance has what it was owed."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger.debts import forget_debt
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import Outcome, PayRequest
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import Phase


def pay(ledger: Ledger, request: PayRequest, env: StepEnvironment, now: datetime) -> Outcome:
    """Forget the debt and report that it is paid. Idempotent; raises ClaimLost if the workload's
    instance is, or may be about to be, another one."""
    forget_debt(ledger, request.workload_id, request.switch_id, request.instance_id, now)
    summary = f"{request.instance_id} has what switch {request.switch_id} owed it"
    logger.info("debt paid", workload_id=request.workload_id, switch_id=request.switch_id)
    try:
        alert(
            env.alert_topic_arn,
            f"Spot Optimizer {env.stack_name}: an owed hand-over is done",
            f"Workload '{request.workload_id}': {summary}.",
        )
    except (BotoCoreError, ClientError):
        logger.exception("alert not sent", workload_id=request.workload_id)
    return Outcome(phase=Phase.DONE, summary=summary)
