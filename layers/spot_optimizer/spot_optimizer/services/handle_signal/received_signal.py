"""One signal about the instance that a workload runs on."""

from dataclasses import dataclass
from datetime import datetime

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.items import WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.events import (
    InterruptionWarning,
    RebalanceRecommendation,
    Signal,
    SignalEffect,
    SignalOutcome,
    StateChange,
)
from spot_optimizer.vocabulary import DecisionKind, Pool

INTERRUPTION, REBALANCE, STATE = "interruption", "rebalance", "state"
"""Kinds of signals, as the ledger records them."""


@dataclass(frozen=True, slots=True)
class ReceivedSignal:
    """The signal, its workload and where to answer it."""

    env: Environment
    ledger: Ledger
    workload: WorkloadItem
    signal: Signal
    now: datetime

    @property
    def kind(self) -> str:
        """Kind of the signal as it came; a state change may turn out to be an interruption."""
        if isinstance(self.signal, InterruptionWarning):
            return INTERRUPTION
        return REBALANCE if isinstance(self.signal, RebalanceRecommendation) else STATE

    @property
    def action(self) -> str:
        """What an interruption counts as, or the state that the instance changed to; else empty."""
        if isinstance(self.signal, InterruptionWarning):
            return self.signal.detail.action
        return self.signal.detail.state if isinstance(self.signal, StateChange) else ""

    @property
    def pool(self) -> Pool | None:
        """The pool of the workload; None until a cycle has written it."""
        workload = self.workload
        known = workload.instance_type and workload.availability_zone
        return Pool(workload.instance_type, workload.availability_zone) if known else None

    @property
    def claim_is_live(self) -> bool:
        """Whether a switch or failover holds the workload."""
        return self.workload.claim_is_live(self.now)

    def outcome(self, effect: SignalEffect, reason: str) -> SignalOutcome:
        return SignalOutcome(effect=effect, reason=reason, workload_id=self.workload.workload_id)


def is_failing_over(received: ReceivedSignal) -> bool:
    """Whether a failover of the workload's instance is running."""
    switch_id = received.workload.claim_switch_id
    if switch_id is None or not received.claim_is_live:
        return False
    switch = received.ledger.switch(received.workload.workload_id, switch_id)
    if switch is None or switch.order.kind is not DecisionKind.EVACUATE:
        return False
    return switch.order.original.instance_id == received.workload.instance_id
