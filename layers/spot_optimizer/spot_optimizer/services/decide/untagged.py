"""The weekly alert about workloads that are moved without the tag ``state``."""

from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import StackItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.guards.state_tag import TAG_TO_WRITE, StateRule
from spot_optimizer.services.decide.inventory import Inventory
from spot_optimizer.telemetry import logger

REPORT_EVERY = timedelta(days=7)
_NAMED_MAX = 20


def report_untagged(
    env: Environment,
    ledger: Ledger,
    stack: StackItem,
    inventory: Inventory,
    now: datetime,
    *,
    dry_run: bool,
) -> None:
    """Send an alert that names them, unless one was sent within REPORT_EVERY. A dry run moves nothing."""
    untagged = sorted(
        w.workload_id for w in inventory.workloads if w.item.state_rule == StateRule.KEPT
    )
    last = stack.state_alerted_at
    if not untagged or dry_run or (last and now - last < REPORT_EVERY):
        return
    shown = ", ".join(untagged[:_NAMED_MAX]) + (" ..." if untagged[_NAMED_MAX:] else "")
    try:
        alert(
            env.alert_topic_arn,
            f"Spot Optimizer {env.stack_name}: workloads without the tag state",
            "These workloads are moved although nobody has said what of their disks has to survive:"
            f" {shown}. Of each, {TAG_TO_WRITE}. Workloads that are adopted now are held without that"
            " tag; with the parameter RequireStateTag = true these are, too.",
        )
    except (BotoCoreError, ClientError):
        logger.exception("alert not sent", workloads=shown)
        return
    ledger.update(keys.stack_key(), StackItem.stored({"state_alerted_at": now}))
