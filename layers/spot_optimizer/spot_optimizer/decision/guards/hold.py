"""The guards between a decision and its switch: each may hold the decision, and says until when.

A held decision is recorded like any other; a later cycle decides again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.guards.limits import allot
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE
from spot_optimizer.decision.guards.windows import opens_at
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
)

DAY = timedelta(hours=24)
RETURN_WAIT_MAX = timedelta(hours=6)


def hold_back(decisions: Sequence[Decision], world: World, now: datetime) -> list[Decision]:
    """The decisions in their order, with ``held_by`` set if a guard holds them.

    A forced decision skips the guards about the time of a switch (cooldown, back-off, manual mode,
    window, not-before, switches per day, return to spot) and the limits of a cycle, no others. An urgent
    switch skips the back-off, the window, not-before and the limits of planned switches. The remaining
    switches in flight go to urgent switches first, then to the greatest saving.
    """
    workloads = {workload.workload_id: workload for workload in world.workloads}
    held = {
        decision.decision_id: _hold(decision, workloads[decision.workload_id], world, now)
        for decision in decisions
        if decision.kind is not DecisionKind.STAY
    }
    free = [d for d in decisions if held.get(d.decision_id) == ""]
    allotted = {d.decision_id: d for d in allot(free, world)}
    judged = (allotted.get(d.decision_id, d) for d in decisions)
    return [_marked(d, d.held_by or held.get(d.decision_id, "")) for d in judged]


def _marked(decision: Decision, hold: str) -> Decision:
    if not hold:
        return decision
    # When the hold ends, a fallback must not have to be confirmed by a second cycle again.
    pending = decision.fallback_pending or decision.kind is DecisionKind.FALLBACK
    return replace(decision, held_by=hold, fallback_pending=pending)


def every_hold(
    decision: Decision, workload: WorkloadView, world: World, now: datetime
) -> tuple[str, ...]:
    """All guards that hold a decision, without the limits that the switches of a cycle share."""
    return tuple(
        hold for check in _checks(decision, world) if (hold := check(workload, world, now))
    )


def why_not_left(
    decision: Decision | None, workload: WorkloadView, world: World, now: datetime
) -> str:
    """Why the workload will still run on its instance when EC2 ends that at the scheduled time, unless a
    person acts; empty if a switch is coming, or nothing is scheduled.

    ``decision`` is None if its mode is ``off``: it is ignored. A hold that ends before the date, such
    as a maintenance window, is no reason; nor is a lack of good pools while there is time.
    """
    stop = workload.scheduled_stop
    if stop is None or decision is None or workload.live_switch_id is not None:
        return ""
    if decision.kind is DecisionKind.STAY:
        near = stop.is_near(now) and not decision.fallback_pending
        return decision.reason if near else ""
    if not decision.held_by:
        return ""
    # Close to the date the switch is urgent, so the holds of planned switches alone do not count.
    lasting = every_hold(replace(decision, urgent=True), workload, world, max(now, stop.at))
    return lasting[0] if lasting else ""


def _hold(decision: Decision, workload: WorkloadView, world: World, now: datetime) -> str:
    try:
        checks = _checks(decision, world)
        return next((hold for check in checks if (hold := check(workload, world, now))), "")
    except Exception as error:  # The damaged record of one workload must not stop the others.
        return f"guards cannot be judged: {type(error).__name__}: {error}"


def _checks(decision: Decision, world: World) -> "tuple[_Check, ...]":
    if decision.workload_id in world.force:
        return _ALWAYS
    # Hours of back-off must not keep a workload in a pool that it must leave.
    return _ALWAYS + (_URGENT if decision.urgent else _PLANNED)


def _global_stop(_workload: WorkloadView, world: World, _now: datetime) -> str:
    if not world.stack.global_stop:
        return ""
    return "global stop: holds every switch until a user lifts it"


def _dry_run(workload: WorkloadView, _world: World, _now: datetime) -> str:
    if not workload.settings.dry_run:
        return ""
    return "dry run: recorded only; set the parameter DryRun to false to act"


def _state_missing(workload: WorkloadView, _world: World, _now: datetime) -> str:
    return WITHOUT_STATE if workload.state_missing else ""


def _stack_breaker(_workload: WorkloadView, world: World, _now: datetime) -> str:
    if not world.stack.breaker_open:
        return ""
    return (
        "the stack's breaker is open: switches of several workloads failed; command reset-breaker"
    )


def _workload_breaker(workload: WorkloadView, _world: World, _now: datetime) -> str:
    if not workload.breaker_open:
        return ""
    return "the workload's breaker is open: its switches failed in a row; command reset-breaker"


def _live_switch(workload: WorkloadView, _world: World, _now: datetime) -> str:
    if workload.live_switch_id is None:
        return ""
    return f"switch {workload.live_switch_id} of this workload is still running"


def _launch_problem(workload: WorkloadView, _world: World, _now: datetime) -> str:
    if not workload.launch_problem:
        return ""
    return f"no launch would succeed as it should: {workload.launch_problem}"


def _manual_mode(workload: WorkloadView, _world: World, _now: datetime) -> str:
    return "manual mode: recorded only" if workload.mode is Mode.MANUAL else ""


def _backoff(workload: WorkloadView, _world: World, now: datetime) -> str:
    return _until("back-off after a refused or failed launch", workload.backoff_until, now)


def _cooldown(workload: WorkloadView, _world: World, now: datetime) -> str:
    return _until("cooldown after the last switch", workload.cooldown_until, now)


def _hand_over_owed(workload: WorkloadView, _world: World, _now: datetime) -> str:
    """A switch hands over what its original has: first it must have everything."""
    if not workload.owes_hand_over:
        return ""
    return "a hand-over is owed: planned switches wait until the sweep has finished it"


def _not_before(workload: WorkloadView, _world: World, now: datetime) -> str:
    return _until("not-before: planned switches wait", workload.not_before, now)


def _window(workload: WorkloadView, _world: World, now: datetime) -> str:
    return _until("maintenance window: planned switches wait", opens_at(workload.windows, now), now)


def _switches_per_day(workload: WorkloadView, _world: World, now: datetime) -> str:
    planned = sorted(m.at for m in workload.moves if m.planned and now - m.at < DAY)
    most = int(workload.settings.switches_per_day_max)
    if len(planned) < most:
        return ""
    switches = "switch" if most == 1 else "switches"
    return _until(f"at most {most} planned {switches} in 24 hours", planned[-most] + DAY, now)


def _return_to_spot(workload: WorkloadView, _world: World, now: datetime) -> str:
    """A workload that falls back repeatedly waits longer each time: the cause may recur."""
    if workload.lifecycle is not Lifecycle.ON_DEMAND:
        return ""
    fallen = sorted(
        m.at for m in workload.moves if m.lifecycle is Lifecycle.ON_DEMAND and now - m.at < DAY
    )
    if len(fallen) < 2:
        return ""
    wait = timedelta(minutes=workload.settings.confirm_safe_minutes * 2.0 ** (len(fallen) - 1))
    text = f"{len(fallen)} fallbacks to on-demand in 24 hours: the return to spot waits"
    return _until(text, fallen[-1] + min(wait, RETURN_WAIT_MAX), now)


def _until(guard: str, end: datetime | None, now: datetime) -> str:
    if end is None or end <= now:
        return ""
    return f"{guard} until {end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_Check = Callable[[WorkloadView, World, datetime], str]
_ALWAYS: tuple[_Check, ...] = (
    _state_missing,
    _global_stop,
    _stack_breaker,
    _workload_breaker,
    _live_switch,
    _dry_run,
    _launch_problem,
)
_URGENT: tuple[_Check, ...] = (_manual_mode, _cooldown)
_PLANNED: tuple[_Check, ...] = (
    _manual_mode,
    _hand_over_owed,
    _not_before,
    _window,
    _backoff,
    _cooldown,
    _return_to_spot,
    _switches_per_day,
)
