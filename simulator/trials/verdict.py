"""What must be true when a trial is quiet again."""

import base64
from datetime import datetime, timedelta

from simulator.faults.kinds import FaultKind
from simulator.ledger_items import DecisionKind, Phase
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
    """A failed failover is retried when its back-off is over."""
    return [w.backoff_until or begun for w in ground.ledger.workloads().values()]


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
    if serving != {item.instance_id: "healthy"}:
        what = f"{workload} runs on {item.instance_id}, its targets are {targets}"
    elif item.instance_id not in holders:
        what = f"{workload} runs on {item.instance_id}, addresses are at {holders}"
    if what and _failover_was_refused(ground, workload, item.instance_id):
        ground.degraded.append(what)
    elif what:
        raise TrialFailed(what)


def _failover_was_refused(ground: Ground, workload: str, instance_id: str) -> bool:
    """Whether a failover failed because calls were refused for longer than EC2 warns: it could be neither
    carried out nor undone, and the remaining instance was adopted as it was. Or whether that happened for
    lack of capacity, with an instance that a stopped switch had left, and an alert reported that targets
    and address are not with it."""
    refused = any(met.kind is FaultKind.DENIED for met in ground.injector.met)
    alerted = any(
        text.startswith(f"{instance_id}, launched by a switch") for text in ground.alerts()
    )
    return (refused or alerted) and any(
        switch.workload_id == workload
        and switch.order.kind is DecisionKind.EVACUATE
        and switch.phase is Phase.FAILED
        for switch in ground.ledger.switches()
    )
