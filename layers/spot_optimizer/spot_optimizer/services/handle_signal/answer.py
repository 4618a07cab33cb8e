"""``handle_signal``: what EC2 says about an instance -> FailOver, a decision, or a record.

The way of an interruption is kept short: pointer, workload and plan are read by key, and the state
machine is started; no describe, no forecast::

    interruption warning ------------------------------> EVACUATE (FailOver)
    ended by EC2 without a warning --------------------> EVACUATE
    rebalance, likely to be interrupted ---------------> DRAIN    (decide looks at this workload)
    rebalance otherwise, ended by its user ------------> RECORDED
    unknown, duplicate, stale, already seen to --------> NONE

Signals are best effort: they come twice, late, out of order or not at all. A replacement has a pointer
from its commit on; a warning for it before that has no effect, and its end is seen by its switch or,
after the commit, by its change of state.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.executions import ask_for_decision, start_switch
from spot_optimizer.aws.instances import read_end_reason
from spot_optimizer.aws.ledger.claims import LedgerBusy
from spot_optimizer.aws.ledger.items import PlanItem, WorkloadItem
from spot_optimizer.aws.ledger.signals import (
    first_of_its_kind,
    flag_pool,
    pool_signals,
    read_pointer,
    record_signal,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest, parse
from spot_optimizer.contracts.decide import SignalledDecision
from spot_optimizer.contracts.events import (
    InterruptionWarning,
    RebalanceRecommendation,
    Signal,
    SignalOutcome,
    SignalRequest,
    StateChange,
)
from spot_optimizer.decision.hazard import DRAIN_PROBABILITY_MIN, interruption_probability
from spot_optimizer.decision.quiet_hours import is_quiet_hour
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind, Pool
from spot_optimizer.workflow.failover_order import (
    NoFailover,
    failover_order,
    why_held,
)

AGE_MAX = timedelta(days=1)
"""EventBridge delivers for up to a day (EventBridge user guide, "Retry policy"); what it says then is
history."""

DUPLICATE_WINDOW = timedelta(minutes=10)
REARMED_AFTER = timedelta(minutes=30)
"""A later rebalance recommendation for the same instance counts again."""

WARNING_TIME = timedelta(minutes=2)
YOUNG = timedelta(minutes=10)
"""A rebalance so soon after our own launch is recorded only: to move again would begin a loop."""

_FLAG_TRIES = 4
_OVER = frozenset({"stopped", "terminated"})
_INTERRUPTION, _REBALANCE = "interruption", "rebalance"


def handle_signal(event: dict[str, Any], env: Environment, now: datetime) -> SignalOutcome:
    """Answer one event. Repeating it changes nothing more; a malformed one has no effect."""
    try:
        signal: Signal = parse(SignalRequest, event)
    except InvalidRequest as error:
        logger.warning("event not understood", problem=str(error))
        return _told(_none(f"not understood: {error}"))
    age = now - signal.time
    if age > AGE_MAX:
        return _told(_none(f"{age} old, {AGE_MAX} at most"))
    ledger = Ledger(env.ledger_table)
    pointer = read_pointer(ledger, signal.detail.instance_id)
    if pointer is None:
        return _told(_none(f"{signal.detail.instance_id} is none of our instances"))
    workload = ledger.workload(pointer.workload_id)
    if workload is None or workload.instance_id != signal.detail.instance_id:
        return _told(_none("its workload runs on another instance", pointer.workload_id))
    return _told(_Answer(env, ledger, workload, signal, now).give())


def _told(outcome: SignalOutcome) -> SignalOutcome:
    logger.info(
        "signal", effect=outcome.effect, reason=outcome.reason, workload=outcome.workload_id
    )
    metrics.add_metric(f"Signals{outcome.effect.capitalize()}", "Count", 1)
    return outcome


def _none(reason: str, workload_id: str | None = None) -> SignalOutcome:
    return SignalOutcome(effect="NONE", reason=reason, workload_id=workload_id)


class _Answer:
    """One signal about the instance that a workload runs on."""

    def __init__(
        self,
        env: Environment,
        ledger: Ledger,
        workload: WorkloadItem,
        signal: Signal,
        now: datetime,
    ) -> None:
        self.env, self.ledger, self.workload = env, ledger, workload
        self.signal, self.now = signal, now
        self.kind = _kind(signal)

    def give(self) -> SignalOutcome:
        window = REARMED_AFTER if self.kind == _REBALANCE else DUPLICATE_WINDOW
        if isinstance(self.signal, StateChange) and self.signal.detail.state not in _OVER:
            return self._outcome("NONE", f"state {self._action} needs no answer")
        if self._is_being_rescued():
            return self._outcome("NONE", f"rescue {self.workload.claim_switch_id} is under way")
        word = f"{self.kind}-{self._action}" if self._action else self.kind
        if not first_of_its_kind(
            self.ledger, self.workload.instance_id, word, self.signal.id, self.now, window
        ):
            return self._outcome("NONE", f"duplicate of a {word} within {window}")
        if isinstance(self.signal, InterruptionWarning):
            return self._evacuate(f"EC2 will {self._action} {self.workload.instance_id}")
        if isinstance(self.signal, RebalanceRecommendation):
            return self._rebalance()
        return self._ended()

    @property
    def _action(self) -> str:
        """What an interruption will do, or the state that the instance changed to."""
        if isinstance(self.signal, InterruptionWarning):
            return self.signal.detail.instance_action
        return self.signal.detail.state if isinstance(self.signal, StateChange) else ""

    @property
    def _pool(self) -> Pool | None:
        workload = self.workload
        known = workload.instance_type and workload.availability_zone
        return Pool(workload.instance_type, workload.availability_zone) if known else None

    # --- the three kinds -------------------------------------------------------------------------

    def _ended(self) -> SignalOutcome:
        """A change of state not of our doing: EC2's own is an interruption without a warning."""
        reason = read_end_reason(self.workload.instance_id)
        if reason.startswith("Server."):
            self.kind = _INTERRUPTION
            return self._evacuate(f"{self.workload.instance_id} is {self._action}: {reason}")
        return self._recorded(f"{self._action} by its user ({reason or 'no reason given'})")

    def _rebalance(self) -> SignalOutcome:
        pool, launched_at = self._pool, self.workload.launched_at
        if pool is None or launched_at is None:
            return self._recorded("its place is not on the ledger yet; the next cycle writes it")
        if self._claim_lives():
            return self._recorded(f"switch {self.workload.claim_switch_id} is moving it already")
        age = self.now - launched_at
        if age < YOUNG:
            return self._recorded(f"launched {age} ago: to move again would begin a loop")
        plan = self.ledger.plan(self.workload.workload_id)
        probability = self._probability(pool, age, plan)
        told = f"interruption probability {probability:.2f}"
        if probability <= DRAIN_PROBABILITY_MIN:
            return self._recorded(f"{told}, {DRAIN_PROBABILITY_MIN:.2f} at most")
        self._flag()
        self._record("DRAIN", told)
        ask_for_decision(
            self.env.decide_function,
            SignalledDecision(trigger="signal", workload=self.workload.workload_id),
        )
        return self._outcome("DRAIN", told)

    def _probability(self, pool: Pool, age: timedelta, plan: PlanItem | None) -> float:
        seen = [s.kind for s in pool_signals(self.ledger, pool, self.signal.time)]
        return interruption_probability(
            age=age,
            recommendations=seen.count(_REBALANCE),
            interruptions=seen.count(_INTERRUPTION),
            advisor_bucket=plan.terms.advisor_bucket if plan and plan.terms else -1,
            quiet_hour=is_quiet_hour(self.now, self.env.region),
        )

    def _evacuate(self, reason: str) -> SignalOutcome:
        plan = self.ledger.plan(self.workload.workload_id)
        hold = why_held(self.workload, plan, dry_run=self.env.settings.dry_run)
        if hold:
            self._flag()
            return self._recorded(f"{reason}; {hold}")
        try:
            order = failover_order(
                self.workload,
                plan,
                reason=reason,
                signalled_at=self.signal.time,
                ends_at=self._ends_at(),
                keeps_request=self._action in ("stop", "hibernate", "stopped"),
                now=self.now,
            )
        except NoFailover as error:
            return self._cannot(reason, str(error))
        start_switch(self.env.fail_over_arn, order)
        self._flag()
        self._record("EVACUATE", reason)
        return self._outcome("EVACUATE", f"{reason}: {order.switch_id}")

    def _ends_at(self) -> datetime:
        warned = isinstance(self.signal, InterruptionWarning) and self._action != "hibernate"
        return self.signal.time + (WARNING_TIME if warned else timedelta())

    def _cannot(self, reason: str, why: str) -> SignalOutcome:
        alert(
            self.env.alert_topic_arn,
            f"Spot Optimizer {self.env.stack_name}: a workload cannot be rescued",
            f"{reason}. Workload '{self.workload.workload_id}' cannot be rescued: {why}.",
        )
        return self._recorded(f"{reason}; {why}")

    # --- the ledger ------------------------------------------------------------------------------

    def _claim_lives(self) -> bool:
        expires = self.workload.claim_expires_at
        return bool(self.workload.claim_switch_id) and expires is not None and expires > self.now

    def _is_being_rescued(self) -> bool:
        switch_id = self.workload.claim_switch_id
        if switch_id is None or not self._claim_lives():
            return False
        switch = self.ledger.switch(self.workload.workload_id, switch_id)
        if switch is None or switch.order.kind is not DecisionKind.EVACUATE:
            return False
        return switch.order.original.instance_id == self.workload.instance_id

    def _flag(self) -> None:
        """Note the signal on the hot item. Another one may note itself at the same moment."""
        for tries_left in reversed(range(_FLAG_TRIES)):
            try:
                if self._pool is not None:
                    flag_pool(self.ledger, self.workload, self._pool, self.signal.time)
                break
            except LedgerBusy:
                if not tries_left:
                    raise
                self.workload = self.ledger.workload(self.workload.workload_id) or self.workload

    def _recorded(self, reason: str) -> SignalOutcome:
        self._record("RECORDED", reason)
        return self._outcome("RECORDED", reason)

    def _record(self, effect: str, reason: str) -> None:
        record_signal(
            self.ledger,
            self.workload.workload_id,
            self._pool,
            {
                "workload_id": self.workload.workload_id,
                "instance_id": self.workload.instance_id,
                "kind": self.kind,
                "action": self._action,
                "at": self.signal.time.astimezone(UTC),
                "received_at": self.now,
                "event_id": self.signal.id,
                "effect": effect,
                "reason": reason,
            },
            self.signal.time,
            self.env.retention_days,
        )

    def _outcome(self, effect: Any, reason: str) -> SignalOutcome:
        return SignalOutcome(effect=effect, reason=reason, workload_id=self.workload.workload_id)


def _kind(signal: Signal) -> str:
    if isinstance(signal, InterruptionWarning):
        return _INTERRUPTION
    return _REBALANCE if isinstance(signal, RebalanceRecommendation) else "state"
