"""Debts: what the instances of workloads still lack of the instances before them.

A failover that cannot finish its hand-over keeps its replacement and commits with a debt. The sweep has
debts paid; whatever takes over the workload meanwhile leaves them to the instance that it brings.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import claim_updates as updates
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.claims import ClaimLost, transact
from spot_optimizer.aws.ledger.items import DebtItem
from spot_optimizer.aws.ledger.table import Ledger


def put_debt(ledger: Ledger, debt: DebtItem) -> None:
    """Note a debt. Idempotent, but a debt of the same switch begins again."""
    ledger.put(keys.debt_key(debt.workload_id, debt.switch_id), debt.model_dump())


def note_try(ledger: Ledger, debt: DebtItem, changes: Mapping[str, Any]) -> None:
    """Change attributes of a debt, unless it has been paid meanwhile."""
    request = ledger.update_of(
        keys.debt_key(debt.workload_id, debt.switch_id), DebtItem.stored(changes)
    )
    request["ConditionExpression"] = "attribute_exists(pk)"
    try:
        client("dynamodb").update_item(**request)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise


def forget_debt(
    ledger: Ledger, workload_id: str, switch_id: str, instance_id: str, now: datetime
) -> None:
    """Delete a debt that was paid to ``instance_id``.

    Raises ClaimLost if the workload runs elsewhere by now or a switch is replacing the instance: that
    may have begun before the instance had everything, so the debt is paid again to the next one.
    """
    failed = transact(
        updates.runs_unclaimed(ledger, workload_id, instance_id, now),
        updates.delete_debt(ledger, workload_id, switch_id),
    )
    if failed is not None:
        raise ClaimLost(
            f"workload '{workload_id}' does not run on {instance_id} any more, or is being switched"
        )


def drop_debt(ledger: Ledger, debt: DebtItem) -> None:
    """Delete the debt of a workload that is gone."""
    client("dynamodb").delete_item(
        TableName=ledger.table, Key=keys.debt_key(debt.workload_id, debt.switch_id)
    )
