"""``handle_signal``: answers EC2's signals about an instance with a failover, a decision or a record.

The path of an interruption is short: it reads pointer, workload and plan by key and starts FailOver,
without a describe call or a forecast::

    interruption warning ------------------------------> EVACUATE (FailOver)
    ended by EC2 without a warning --------------------> EVACUATE
    rebalance, likely to be interrupted ---------------> DRAIN    (decide judges this workload)
    rebalance otherwise, ended by its user ------------> RECORDED
    announcement of AWS Health ------------------------> RECORDED (the next cycle decides)
    unknown, duplicate, stale, failover running -------> NONE

EC2 sends signals on a best effort basis: they may come twice, late, out of order or not at all. A
replacement has a pointer from its commit on. A warning for it before that has no effect: its switch sees
its end or, after the commit, the state change reports it.
"""

from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.signals import read_pointer
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest, parse
from spot_optimizer.contracts.events import (
    HealthEvent,
    InterruptionWarning,
    RebalanceRecommendation,
    Signal,
    SignalOutcome,
    SignalRequest,
    StateChange,
)
from spot_optimizer.services.handle_signal.duplicates import why_duplicate
from spot_optimizer.services.handle_signal.health_event import answer_health
from spot_optimizer.services.handle_signal.interruption import answer_warning
from spot_optimizer.services.handle_signal.rebalance import answer_rebalance
from spot_optimizer.services.handle_signal.received_signal import (
    ReceivedSignal,
    is_failing_over,
)
from spot_optimizer.services.handle_signal.state_change import (
    ENDED_STATES,
    ENDING_STATES,
    answer_end,
)
from spot_optimizer.telemetry import logger, metrics

AGE_MAX = timedelta(days=1)
"""EventBridge delivers for up to a day (EventBridge user guide, "Retry policy"); older events are not
answered."""


def handle_signal(event: dict[str, Any], env: Environment, now: datetime) -> SignalOutcome:
    """Answer one event. Idempotent; a malformed event has no effect."""
    outcome = _answer(event, env, now)
    logger.info(
        "signal", effect=outcome.effect, reason=outcome.reason, workload=outcome.workload_id
    )
    metrics.add_metric(f"Signals{outcome.effect.capitalize()}", "Count", 1)
    return outcome


def _answer(event: dict[str, Any], env: Environment, now: datetime) -> SignalOutcome:
    # 1. Parse the event.
    try:
        signal: Signal | HealthEvent = parse(SignalRequest, event)
    except InvalidRequest as error:
        logger.warning("event not understood", problem=str(error))
        return _none(f"not understood: {error}")
    age = now - signal.time
    if age > AGE_MAX:
        return _none(f"{age} old, {AGE_MAX} at most")
    # 2. Find the workload that runs on the instance.
    ledger = Ledger(env.ledger_table)
    if isinstance(signal, HealthEvent):
        return answer_health(signal, env, ledger, now)
    pointer = read_pointer(ledger, signal.detail.instance_id)
    if pointer is None:
        return _none(f"{signal.detail.instance_id} is not one of our instances")
    workload = ledger.workload(pointer.workload_id)
    if workload is None or workload.instance_id != signal.detail.instance_id:
        return _none("its workload runs on another instance", pointer.workload_id)
    received = ReceivedSignal(env, ledger, workload, signal, now)
    # 3. Ignore what needs no answer.
    needless = _why_needless(received)
    if needless:
        return received.outcome("NONE", needless)
    # 4. Answer by kind.
    match signal:
        case InterruptionWarning():
            return answer_warning(received)
        case RebalanceRecommendation():
            return answer_rebalance(received)
        case StateChange():
            return answer_end(received)


def _why_needless(received: ReceivedSignal) -> str:
    """Why the signal needs no answer; empty if it needs one."""
    if isinstance(received.signal, StateChange) and received.action not in (
        ENDED_STATES | ENDING_STATES
    ):
        return f"state {received.action} needs no answer"
    if is_failing_over(received):
        return f"failover {received.workload.claim_switch_id} is running"
    # Whether the beginning of an end needs an answer depends on its reason, see state_change.py.
    return "" if received.action in ENDING_STATES else why_duplicate(received)


def _none(reason: str, workload_id: str | None = None) -> SignalOutcome:
    return SignalOutcome(effect="NONE", reason=reason, workload_id=workload_id)
