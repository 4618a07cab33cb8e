"""Primary keys of the ledger's items."""

from datetime import datetime
from typing import Any

from spot_optimizer.aws.ledger.codec import instant

WORKLOADS = "WORKLOADS"
PLANS = "PLANS"
STACK = "STACK"
STATE = "STATE"
MODELS = "MODELS"
FORECASTS = "FORECASTS"
"""Partition of the scores of past forecasts, by day, horizon and model."""
POOL_EVENTS = "POOLS"
"""Partition of refused launches and interruptions of all pools, by kind and time."""
DEBTS = "DEBTS"
"""Partition of what instances of workloads still lack, by workload and switch."""


def key(pk: str, sk: str) -> dict[str, dict[str, Any]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def workload_key(workload_id: str) -> dict[str, Any]:
    return key(WORKLOADS, workload_id)


def plan_key(workload_id: str) -> dict[str, Any]:
    return key(PLANS, workload_id)


def stack_key() -> dict[str, Any]:
    return key(STACK, STATE)


def registry_key() -> dict[str, Any]:
    return key(MODELS, "REGISTRY")


def model_key(version: str) -> dict[str, Any]:
    return key(MODELS, f"MODEL#{version}")


def switch_key(workload_id: str, switch_id: str) -> dict[str, Any]:
    return key(f"WORKLOAD#{workload_id}", f"SWITCH#{switch_id}")


def decision_key(workload_id: str, at: datetime, decision_id: str) -> dict[str, Any]:
    return key(f"WORKLOAD#{workload_id}", f"DECISION#{instant(at)}#{decision_id}")


def pool_partition(pool: object) -> str:
    """Partition of a pool's signals, of all workloads."""
    return f"POOL#{pool}"


def pointer_key(instance_id: str) -> dict[str, Any]:
    return key(f"INSTANCE#{instance_id}", "POINTER")


def debt_key(workload_id: str, switch_id: str) -> dict[str, Any]:
    return key(DEBTS, f"{workload_id}#{switch_id}")


def pool_event_sk(kind: str, at: str, pool: object, detail: str) -> str:
    """Sort key of a pool event. ``detail`` distinguishes events of the same time.

    A repeated write has the same key.
    """
    return f"{kind}#{at}#{pool}#{detail}"
