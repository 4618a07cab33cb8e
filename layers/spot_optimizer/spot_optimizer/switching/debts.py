"""What the instance of a workload still lacks of the instance before it, and when it is handed over.

A debt is due when nothing replaces the workload's instance. The wait between two tries doubles, so that
a debt that only a person can help with costs little; it is reported once a day.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from spot_optimizer.contracts.switch import StandingLoadBalancing
from spot_optimizer.switching.reconcile import Action, Finding

TRY_AGAIN_AFTER = timedelta(minutes=2)
TRY_AGAIN_AFTER_MAX = timedelta(hours=1)
REPORT_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Debt:
    """A debt on the ledger, with the state of its workload."""

    workload_id: str
    switch_id: str
    original_id: str
    """The instance that had what is owed."""
    instance_id: str
    """The instance that the workload runs on."""
    is_managed: bool
    """The workload is neither refused nor gone."""
    is_gone: bool
    """The workload is gone, or is not on the ledger."""
    is_claimed: bool
    """A switch holds the workload's claim, live or expired: the sweep finds out what became of it."""
    tries: int
    tried_at: datetime | None


def payments(debts: Iterable[Debt], interrupted: Collection[str], now: datetime) -> list[Finding]:
    """The debts that are due, as PAY, and those that nobody can be paid any more, as FORGET.

    ``interrupted``: ids of workloads whose instance EC2 has interrupted. Their failover comes first, and
    leaves the debt to the next instance.
    """
    found = []
    for debt in debts:
        if debt.is_gone:
            action, reason = Action.FORGET, "the workload is gone"
        elif (
            debt.is_managed
            and not debt.is_claimed
            and debt.workload_id not in interrupted
            and _is_due(debt, now)
        ):
            action = Action.PAY
            reason = f"{debt.instance_id} lacks what {debt.original_id} had"
        else:
            continue
        found.append(
            Finding(
                action,
                debt.workload_id,
                f"{reason} (switch {debt.switch_id})",
                switch_id=debt.switch_id,
                original_id=debt.original_id,
                instance_id=debt.instance_id,
            )
        )
    return found


def _is_due(debt: Debt, now: datetime) -> bool:
    wait = min(TRY_AGAIN_AFTER * (1 << min(debt.tries, 10)), TRY_AGAIN_AFTER_MAX)
    return debt.tried_at is None or now - debt.tried_at >= wait


def owed_in_words(owed: StandingLoadBalancing | None) -> str:
    """Target groups and addresses, by the names that AWS's console shows."""
    if owed is None:
        return "what the original has in target groups and Elastic IP addresses"
    groups = [f"{each.target_group_arn} port {each.port}" for each in owed.registrations]
    addresses = [f"Elastic IP address {each}" for each in owed.allocation_ids]
    return "; ".join(dict.fromkeys((*groups, *addresses))) or "nothing that its plan names"
