"""A decision as it is kept on the ledger and in the data bucket."""

from dataclasses import fields
from typing import Any

from spot_optimizer.decision.decision import Decision


def plain_record(decision: Decision) -> dict[str, Any]:
    """A decision as it is kept: on the ledger, and as a line of its cycle."""
    # Field by field: dataclasses.asdict copies all that is in them, a quarter of a large cycle's time.
    record = {field.name: getattr(decision, field.name) for field in fields(decision)}
    record["kind"] = decision.kind.value
    record["row"] = int(decision.row)
    record["candidates"] = tuple(
        {field.name: getattr(c, field.name) for field in fields(c)} for c in decision.candidates
    )
    # NaN is no DynamoDB number.
    record["evidence"] = {
        name: None if isinstance(value, float) and value != value else value
        for name, value in decision.evidence.items()
    }
    record["rejected"] = [
        {
            "pool": str(r.pool),
            "reason": r.reason,
            "price_usd_per_hour": _finite(r.price_usd_per_hour),
        }
        for r in decision.rejected
    ]
    record["failover_plan"] = [
        f"{c.instance_type}/{c.availability_zone}" for c in decision.failover_plan
    ]
    return record


def _finite(value: float) -> float | None:
    return None if value != value else value
