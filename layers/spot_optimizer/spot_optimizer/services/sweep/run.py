"""``sweep``: compares the account with the ledger and clears what switches left over."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.services.sweep.context import Context
from spot_optimizer.services.sweep.interruptions import judge_interruptions
from spot_optimizer.services.sweep.observation import Observation, observe, switch_facts
from spot_optimizer.services.sweep.repair import Repairs
from spot_optimizer.switching.debts import payments
from spot_optimizer.switching.interruptions import interruptions, not_failed_over
from spot_optimizer.switching.reconcile import Action, Finding, findings
from spot_optimizer.telemetry import metrics

LEASE = "sweep"
LEASE_S = 300
"""The function's own timeout."""

_TOUCHES_INSTANCES = (Action.RESUME, Action.REMOVE, Action.PAY)


def sweep(env: Environment, now: datetime, run_id: str) -> dict[str, Any]:
    """Find leftovers and clear them. The answer lists them. Does nothing while another sweep runs."""
    ledger = Ledger(env.ledger_table)
    if not ledger.acquire_lease(LEASE, run_id, now, LEASE_S):
        return {"skipped": "another sweep is running"}
    try:
        return _sweep(Context.of(env, ledger, now))
    finally:
        ledger.release_lease(LEASE, run_id)


def _sweep(context: Context) -> dict[str, Any]:
    # 1. Observe: instances, then the ledger, then executions.
    seen = observe(context)
    # 2. Compare: leftovers of switches, debts, and interrupted workloads without a failover.
    found = _compare(seen, context.now)
    # 3. Judge each interruption: fail over, end its interrupted switch, report it, or wait.
    interrupted = judge_interruptions(
        context, [f for f in found if f.action is Action.FAIL_OVER], seen
    )
    found = [f for f in found if f.action is not Action.FAIL_OVER]
    found += [each.finding for each in interrupted.values()]
    # 4. Repair. One that fails is found again by the next sweep and stops no other.
    held = [f for f in found if context.settings.dry_run and f.action in _TOUCHES_INSTANCES]
    repairs = Repairs(context, seen.records, seen.debt_items, interrupted)
    failed = [f for f in found if f not in held and not repairs.carry_out(f)]
    if found:
        metrics.add_metric("LeftoversFound", "Count", len(found))
    if seen.debts:
        metrics.add_metric("HandOversUnpaid", "Count", len(seen.debts))
    return _answer(found, held, failed)


def _compare(seen: Observation, now: datetime) -> list[Finding]:
    interrupted = interruptions(
        seen.workloads.values(), seen.instances, seen.reported_interruptions
    )
    leftovers = findings(
        seen.tagged,
        [seen.workloads[workload_id] for workload_id in seen.read_workload_ids],
        [switch_facts(record, seen.ended_ids) for record in seen.records.values()],
        seen.runs,
        seen.pointed,
        interrupted,
        now,
    )
    owed = payments(seen.debts, interrupted, now)
    return leftovers + owed + not_failed_over(seen.workloads.values(), interrupted)


def _answer(found: Iterable[Finding], held: list[Finding], failed: list[Finding]) -> dict[str, Any]:
    return {
        "found": [
            {"action": f.action.value, "workload_id": f.workload_id, "reason": f.reason}
            for f in found
        ],
        "held_by_dry_run": len(held),
        "failed": len(failed),
    }
