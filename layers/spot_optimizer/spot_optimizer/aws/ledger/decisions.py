"""Decisions on the ledger."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.aws.ledger.wire import from_wire, instant, to_wire


def record_decision(
    ledger: Ledger, decision: Mapping[str, Any], at: datetime, retention_days: int
) -> bool:
    """Write a decision into its workload's history; whether it was written.

    One that was acted upon stays as it is: an event that is delivered twice asks twice, and the
    second answer, held because the first one's switch runs, would take the place of its reason.
    """
    sk = f"DECISION#{instant(at)}#{decision['decision_id']}"
    expires = int((at + timedelta(days=retention_days)).timestamp())
    try:
        client("dynamodb").put_item(
            TableName=ledger.table,
            Item={
                **keys.key(f"WORKLOAD#{decision['workload_id']}", sk),
                **to_wire({**decision, "expires_at_s": expires}),
            },
            ConditionExpression="attribute_not_exists(pk) OR #kind = :stay OR #held <> :nothing",
            ExpressionAttributeNames={"#kind": "kind", "#held": "held_by"},
            ExpressionAttributeValues=to_wire({":stay": "STAY", ":nothing": ""}),
        )
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


def last_decision(ledger: Ledger, workload_id: str, until: datetime) -> dict[str, Any] | None:
    """The last recorded change of decision up to ``until``, None where none is kept."""
    reply = client("dynamodb").query(
        TableName=ledger.table,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :until",
        ExpressionAttributeValues=to_wire(
            {
                ":pk": f"WORKLOAD#{workload_id}",
                ":since": "DECISION#",
                ":until": f"DECISION#{instant(until)}~",
            }
        ),
        ScanIndexForward=False,
        Limit=1,
    )
    return from_wire(reply["Items"][0]) if reply["Items"] else None
