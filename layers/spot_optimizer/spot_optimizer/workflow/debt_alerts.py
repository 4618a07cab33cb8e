"""The alert about a new debt: an instance lacks what the instance before it had."""

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger.items import DebtItem
from spot_optimizer.switching.debts import owed_in_words
from spot_optimizer.telemetry import logger


def alert_owed(env: StepEnvironment, debt: DebtItem, instance_id: str) -> None:
    """Report that ``instance_id``, on which the workload runs, is owed a hand-over.

    The debt stands whether or not the alert can be sent; the sweep reports it again after a day.
    """
    try:
        alert(
            env.alert_topic_arn,
            f"Spot Optimizer {env.stack_name}: a hand-over is owed",
            f"Workload '{debt.workload_id}' runs on {instance_id}, which lacks what {debt.original_id}"
            f" had: {owed_in_words(debt.load_balancing)}. Not handed over because of {debt.reason}. The"
            " sweep tries to hand it over until that succeeds: now, then less and less often, at least"
            " once an hour.",
        )
    except (BotoCoreError, ClientError):
        logger.exception("alert not sent", workload_id=debt.workload_id)
