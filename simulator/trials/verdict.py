"""What must be true when a trial is quiet again."""

import base64
from datetime import timedelta

from simulator.trials.ground import Ground
from simulator.trials.machines import SECRET
from simulator.trials.trials import Trial, TrialFailed

SETTLES_WITHIN = timedelta(minutes=20)
"""Invariant 10: of the last fault, or of the beginning."""
ONE_SWEEP = timedelta(minutes=11)
"""The sweep runs once at least, whatever there is to be found."""
_STEP = timedelta(minutes=1)


def run_until_settled(ground: Ground, trial: Trial) -> None:
    """Let time run until no switch is under way, nothing is claimed and nothing is left over.

    Raises TrialFailed if that takes longer than ``SETTLES_WITHIN`` of the last fault.
    """
    begun = ground.now
    ground.account.run_for(ONE_SWEEP)
    while (why := _unsettled(ground, trial)) is not None:
        since = max(begun, ground.injector.last_fault or begun)
        if ground.now - since > SETTLES_WITHIN:
            raise TrialFailed(f"not quiet {SETTLES_WITHIN} after the last fault: {why}")
        ground.account.run_for(_STEP)
        ground.world.advance()
        ground.auditor.check()


def _unsettled(ground: Ground, trial: Trial) -> str | None:
    running = [e.name for e in ground.account.executions() if e.status == "RUNNING"]
    if running:
        return f"executions {running} run"
    wrong_until = ground.injector.last_fault
    if wrong_until is not None and wrong_until > ground.now:
        return "something is still wrong"
    for item in ground.ledger.workloads().values():
        if item.claim_switch_id is not None:
            return f"{item.workload_id} is claimed by {item.claim_switch_id}"
    for workload in trial.workloads:
        machines = ground.running(workload)
        if len(machines) > 1 or not (machines or workload in ground.given_up):
            return f"{workload} has {len(machines)} machines: {machines}"
    return None


def judge(ground: Ground, trial: Trial) -> None:
    """Assert the invariants of a quiet stack, and that nothing of the user's is lost."""
    ground.auditor.check_quiet(ground.injector.last_fault)
    stranger = ground.notes["stranger"]
    if ground.world.state_of(stranger) != "running":
        raise TrialFailed(f"the stranger {stranger} is {ground.world.state_of(stranger)}")
    if set(ground.world.tags_of(stranger)) != {"Name"}:
        raise TrialFailed(f"the stranger's tags are {dict(ground.world.tags_of(stranger))}")
    holders = ground.address_holders()
    for workload in sorted(set(trial.workloads) - ground.given_up):
        _nothing_is_lost(ground, workload, holders)


def _nothing_is_lost(ground: Ground, workload: str, holders: list[str | None]) -> None:
    item = ground.ledger.workloads()[workload]
    machines = ground.running(workload)
    if machines != [item.instance_id]:
        raise TrialFailed(f"{workload} is recorded on {item.instance_id}, there are {machines}")
    group = ground.notes.get(f"group of {workload}")
    if group is None:
        return
    targets = ground.targets(group)
    serving = {i: state for i, state in targets.items() if state != "draining"}
    if serving != {item.instance_id: "healthy"}:
        raise TrialFailed(f"{workload} runs on {item.instance_id}, its targets are {targets}")
    if item.instance_id not in holders:
        raise TrialFailed(f"{workload} runs on {item.instance_id}, addresses are at {holders}")
    if ground.user_data(item.instance_id) != base64.b64encode(SECRET).decode():
        raise TrialFailed(f"{workload}: the user data of {item.instance_id} are not the original's")
