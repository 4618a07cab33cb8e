"""What must be true when a trial is quiet again."""

import base64
from datetime import datetime, timedelta

from simulator.ledger_items import Phase
from simulator.trials.ground import Ground, TrialFailed
from simulator.trials.instances import SECRET
from simulator.trials.trials import Trial

SETTLES_WITHIN = timedelta(minutes=20)
"""Invariant 10: after the last fault, or after the beginning."""
ONE_SWEEP = timedelta(minutes=11)
"""Long enough for one sweep, whether or not it finds something."""
TWO_SWEEPS = timedelta(minutes=20)
"""Invariant 3: a leftover is cleared within two sweeps."""
_STEP = timedelta(minutes=1)
_DEBT_WAIT = timedelta(minutes=2)
"""From the first try to pay a debt to the second."""
_CYCLE_EVERY = 5
"""Minutes between two cycles, as deployed: a cycle adopts what a failover has left."""


def run_until_settled(ground: Ground, trial: Trial) -> None:
    """Let time run until no switch is in progress, no workload is claimed and no leftover exists.

    Raises TrialFailed if that takes longer than ``SETTLES_WITHIN`` after the last fault, the end of a
    back-off or the start of a running execution; a leftover instance may remain for two sweeps after the
    last execution.
    """
    begun = at_work = ground.now
    ground.account.run_for(ONE_SWEEP)
    minutes = 0
    while (why := _under_way(ground) or _leftover(ground, trial)) is not None:
        since = max(begun, ground.injector.last_fault or begun, *_backed_off_until(ground, begun))
        if _under_way(ground):
            at_work = ground.now
            since = max(since, *_executions_begun_at(ground, begun))
        elif ground.now - at_work <= TWO_SWEEPS:
            since = ground.now
        if ground.now - since > SETTLES_WITHIN:
            raise TrialFailed(f"not quiet {SETTLES_WITHIN} after the last fault: {why}")
        ground.account.run_for(_STEP)
        minutes += 1
        if minutes % _CYCLE_EVERY == 0:
            ground.cycle()
        ground.world.advance()
        ground.auditor.check()


def _backed_off_until(ground: Ground, begun: datetime) -> list[datetime]:
    """A failed failover is retried when its back-off is over, a debt after a wait that doubles."""
    debts = [debt for debt in ground.ledger.debts() if debt.tried_at]
    return [
        *(w.backoff_until or begun for w in ground.ledger.workloads().values()),
        *((debt.tried_at or begun) + _DEBT_WAIT * (1 << min(debt.tries, 5)) for debt in debts),
    ]


def _executions_begun_at(ground: Ground, begun: datetime) -> list[datetime]:
    """A cycle or a sweep may start an execution long after the last fault. A run that would never end is
    stopped by its time limit (``server.RUN_S_MAX``)."""
    running = (each for each in ground.account.executions() if each.status == "RUNNING")
    return [begun, *(each.start for each in running)]


def _under_way(ground: Ground) -> str | None:
    running = [e.name for e in ground.account.executions() if e.status == "RUNNING"]
    if running:
        return f"executions {running} run"
    wrong_until = ground.injector.last_fault
    if wrong_until is not None and wrong_until > ground.now:
        return "a shortage or another fault still lasts"
    for item in ground.ledger.workloads().values():
        if item.claim_switch_id is not None:
            return f"{item.workload_id} is claimed by {item.claim_switch_id}"
    for debt in ground.ledger.debts():
        return f"switch {debt.switch_id} owes {debt.workload_id} a hand-over"
    for switch in ground.ledger.switches():
        if switch.phase not in (Phase.DONE, Phase.FAILED):
            return f"{switch.switch_id} is {switch.phase}"
    return None


def _leftover(ground: Ground, trial: Trial) -> str | None:
    items = ground.ledger.workloads()
    for workload in trial.workloads:
        running = ground.running(workload)
        expected = [items[workload].instance_id]
        if running != expected and (running or not ground.is_given_up(workload)):
            return f"{workload} is recorded on {expected}, running are {running}"
    return None


def judge(ground: Ground, trial: Trial) -> None:
    """Assert the invariants of a quiet stack, and that the user has lost nothing."""
    ground.auditor.check_quiet(ground.injector.last_fault)
    stranger = ground.notes["stranger"]
    if ground.world.state_of(stranger) != "running":
        raise TrialFailed(f"the stranger {stranger} is {ground.world.state_of(stranger)}")
    if set(ground.world.tags_of(stranger)) != {"Name"}:
        raise TrialFailed(f"the stranger's tags are {dict(ground.world.tags_of(stranger))}")
    holders = ground.address_holders()
    for workload in sorted(w for w in trial.workloads if not ground.is_given_up(w)):
        if f"group of {workload}" in ground.notes:
            _nothing_is_lost(ground, workload, holders)


def _nothing_is_lost(ground: Ground, workload: str, holders: list[str | None]) -> None:
    item = ground.ledger.workloads()[workload]
    if ground.user_data(item.instance_id) != base64.b64encode(SECRET).decode():
        raise TrialFailed(f"{workload}: the user data of {item.instance_id} are not the original's")
    group = ground.notes[f"group of {workload}"]
    targets = ground.targets(group)
    serving = {i: state for i, state in targets.items() if state != "draining"}
    what = ""
    # A sick instance is registered; no health check can pass there.
    state = "unhealthy" if ground.world.instances[item.instance_id].impaired else "healthy"
    if serving != {item.instance_id: state}:
        what = f"{workload} runs on {item.instance_id}, its targets are {targets}"
    elif item.instance_id not in holders:
        what = f"{workload} runs on {item.instance_id}, addresses are at {holders}"
    if what:
        raise TrialFailed(what)
