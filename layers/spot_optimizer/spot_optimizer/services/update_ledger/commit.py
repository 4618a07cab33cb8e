"""The steps CommitSwitch, CommitOwing and AbandonSwitch: exactly one of them comes first."""

from datetime import datetime

from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger import claims
from spot_optimizer.aws.ledger.claims import ClaimLost
from spot_optimizer.aws.ledger.items import DebtItem, SwitchItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import (
    Abandoned,
    AbandonRequest,
    CommitOwingRequest,
    CommitRequest,
    Committed,
)
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import Phase
from spot_optimizer.workflow.debt_alerts import alert_owed
from spot_optimizer.workflow.failure_report import failure_in_words

_COMMITTED = (Phase.COMMITTED, Phase.DONE)


def commit(ledger: Ledger, request: CommitRequest, now: datetime) -> Committed:
    """Commit the switch, unless that was done before, and permit the end of its original."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase not in _COMMITTED:
        claims.commit(ledger, switch, now)
    return _permission(switch)


def commit_owing(
    ledger: Ledger, request: CommitOwingRequest, env: StepEnvironment, now: datetime
) -> Committed:
    """Commit a failover whose hand-over failed, with a debt, unless it was committed before.

    Its replacement may be all that runs of the workload. Sends an alert with the first commit.
    """
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase in _COMMITTED:
        return _permission(switch)
    order = switch.order
    debt = DebtItem(
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        original_id=order.original.instance_id,
        load_balancing=order.standing_load_balancing,
        since=now,
        reason=failure_in_words(request.failure),
        reported_at=now,
    )
    claims.commit(ledger, switch, now, debt)
    logger.error("hand-over owed", switch_id=switch.switch_id, reason=debt.reason)
    metrics.add_metric("HandOversOwed", "Count", 1)
    alert_owed(env, debt, str(switch.replacement_id))
    return _permission(switch)


def abandon(ledger: Ledger, request: AbandonRequest, now: datetime) -> Abandoned:
    """Rule out the commit; if it came first, answer with it."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.replacement_adopted:
        return Abandoned(committed=None, adopted=True)
    if switch.phase not in _COMMITTED:
        try:
            claims.abandon(ledger, switch, now)
            workload = ledger.workload(request.workload_id)
            return Abandoned(committed=None, runs_on=workload.instance_id if workload else "")
        except ClaimLost:
            # A commit in another execution may have come first; then it stands.
            switch = claims.held_record(
                ledger, request.workload_id, request.switch_id, request.token
            )
            if switch.replacement_adopted:
                return Abandoned(committed=None, adopted=True)
            if switch.phase not in _COMMITTED:
                raise
    return Abandoned(committed=_permission(switch))


def _permission(switch: SwitchItem) -> Committed:
    order = switch.order
    assert switch.replacement_id is not None  # nothing is handed over without one
    return Committed(
        original_id=order.original.instance_id,
        replacement_id=switch.replacement_id,
        auto_terminate=order.auto_terminate,
        persistent_spot_request_id=order.original.persistent_spot_request_id,
    )
