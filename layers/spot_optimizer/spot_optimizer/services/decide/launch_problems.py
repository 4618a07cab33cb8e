"""What keeps a workload from being launched as it is, on the ledger and in an alert before it matters."""

from collections.abc import Mapping
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.clients import reason_of
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.switching.adoption import Adopted
from spot_optimizer.telemetry import logger

_SHOWN_MAX = 20


def could_not_update(error: Exception) -> str:
    """Of a launch template. The words stay the same from cycle to cycle."""
    return (
        "its launch template is older than its last change and cannot be updated"
        f" ({reason_of(error)}): a failover launches from it as it is"
    )


def could_not_read_again(error: Exception) -> str:
    """Of an instance whose tags or options have changed."""
    return (
        f"it has changed and cannot be read ({reason_of(error)}): a failover launches from the launch"
        " template of before"
    )


def with_problems(adopted: Adopted, plan: PlanItem | None) -> Adopted:
    """The workload with what its plan knows to be wrong, which the ledger shows as warnings."""
    if plan is None:
        return adopted
    known = tuple(each for each in (plan.launch_problem, plan.launch_losses) if each)
    return replace(
        adopted, warnings=(*adopted.warnings, *known), launch_problem=plan.launch_problem
    )


def alert_new_problems(
    env: Environment, before: Mapping[str, PlanItem], after: Mapping[str, PlanItem]
) -> None:
    """One alert about all workloads of which something else is wrong than in the last cycle."""
    none = PlanItem(workload_id="")
    news = [
        f"{workload_id}: {now_wrong}"
        for workload_id, plan in sorted(after.items())
        for name in ("launch_problem", "launch_losses")
        if (now_wrong := getattr(plan, name))
        and now_wrong != getattr(before.get(workload_id, none), name)
    ]
    if not news:
        return
    more = f"\n... and {len(news) - _SHOWN_MAX} more" if news[_SHOWN_MAX:] else ""
    try:
        alert(
            env.alert_topic_arn,
            f"Spot Optimizer {env.stack_name}: workloads that cannot be launched as they are",
            "These workloads stay managed, and a failover does what is possible. Planned switches wait"
            " where a replacement would be refused or would differ.\n"
            + "\n".join(news[:_SHOWN_MAX])
            + more,
        )
    except (BotoCoreError, ClientError):
        logger.exception("alert about launch problems not sent", problems=news[:_SHOWN_MAX])
