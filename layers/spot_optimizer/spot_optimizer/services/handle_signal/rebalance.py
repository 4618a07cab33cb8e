"""Answers a rebalance recommendation: asks for a decision if an interruption is likely."""

from datetime import timedelta

from spot_optimizer.aws.executions import ask_for_decision
from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.aws.ledger.signals import pool_signals
from spot_optimizer.contracts.decide import SignalledDecision
from spot_optimizer.contracts.events import SignalOutcome
from spot_optimizer.decision.hazard import DRAIN_PROBABILITY_MIN, interruption_probability
from spot_optimizer.decision.quiet_hours import is_quiet_hour
from spot_optimizer.services.handle_signal.received_signal import (
    INTERRUPTION,
    REBALANCE,
    ReceivedSignal,
)
from spot_optimizer.services.handle_signal.record import flag, record, record_only
from spot_optimizer.vocabulary import Pool

YOUNG = timedelta(minutes=10)
"""A rebalance recommendation so soon after our own launch is only recorded: a switch could begin a
loop."""


def answer_rebalance(received: ReceivedSignal) -> SignalOutcome:
    """EC2 sees an elevated risk of interruption."""
    pool, launched_at = received.pool, received.workload.launched_at
    if pool is None or launched_at is None:
        reason = "its pool is not on the ledger yet; the next cycle writes it"
        return record_only(received, REBALANCE, reason)
    if received.claim_is_live:
        reason = f"switch {received.workload.claim_switch_id} is running already"
        return record_only(received, REBALANCE, reason)
    age = received.now - launched_at
    if age < YOUNG:
        reason = f"launched {age} ago: another switch could begin a loop"
        return record_only(received, REBALANCE, reason)
    plan = received.ledger.plan(received.workload.workload_id)
    probability = _probability(received, pool, age, plan)
    estimate = f"interruption probability {probability:.2f}"
    if probability <= DRAIN_PROBABILITY_MIN:
        return record_only(received, REBALANCE, f"{estimate}, {DRAIN_PROBABILITY_MIN:.2f} at most")
    flag(received)
    outcome = record(received, REBALANCE, "DRAIN", estimate)
    ask_for_decision(
        received.env.decide_function,
        SignalledDecision(trigger="signal", workload=received.workload.workload_id),
    )
    return outcome


def _probability(
    received: ReceivedSignal, pool: Pool, age: timedelta, plan: PlanItem | None
) -> float:
    seen = [signal.kind for signal in pool_signals(received.ledger, pool, received.signal.time)]
    return interruption_probability(
        age=age,
        recommendations=seen.count(REBALANCE),
        interruptions=seen.count(INTERRUPTION),
        advisor_bucket=plan.terms.advisor_bucket if plan and plan.terms else -1,
        quiet_hour=is_quiet_hour(received.now, received.env.region),
    )
