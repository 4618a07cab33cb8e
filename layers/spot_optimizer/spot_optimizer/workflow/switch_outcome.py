"""The end of a switch: outcome, breakers and release of the claim, then metrics and announcement."""

import json
from datetime import datetime
from typing import Any

from spot_optimizer.aws.announcements import SWITCH, alert, announce
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger import claims
from spot_optimizer.aws.ledger.claims import ClaimLost
from spot_optimizer.aws.ledger.decisions import read_decision
from spot_optimizer.aws.ledger.health import (
    stack_health,
    stack_health_changes,
    switch_health,
    switch_health_changes,
)
from spot_optimizer.aws.ledger.items import (
    PAST_SWITCHES_KEPT,
    PastSwitchItem,
    StackItem,
    SwitchItem,
    WorkloadItem,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import SwitchEnded
from spot_optimizer.contracts.steps import FailRequest, Outcome, SucceedRequest
from spot_optimizer.contracts.switch import GuardRules, SwitchOrder
from spot_optimizer.decision.breakers import (
    StackHealth,
    SwitchHealth,
    after_failure,
    after_failure_in_stack,
    after_refusal,
    after_success,
)
from spot_optimizer.settings import Settings
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind, Phase, Rule
from spot_optimizer.workflow.failure_report import failure_report
from spot_optimizer.workflow.switch_figures import success_figures

TEMPLATE_DIFFERS = frozenset({"OriginalChanged", "ReplacementDiffers"})
"""Errors of an inspection (``contracts.steps.Inspection``) after which the original is read again:
its launch template no longer makes an identical instance."""


def succeed(
    ledger: Ledger, request: SucceedRequest, env: StepEnvironment, now: datetime
) -> Outcome:
    """End a committed switch. Idempotent."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase is Phase.DONE:
        return Outcome(phase=Phase.DONE, summary=str(switch.outcome["summary"]))
    outcome = success_figures(switch, _decision_of(ledger, switch.order), now)
    if request.original_remains:
        outcome |= {"original_terminated": False, "original_remains": True}
        outcome["summary"] += "; the original was only stopped and remains, unmanaged"
    if switch.owed_because:
        outcome["summary"] += f"; its hand-over is owed ({switch.owed_because})"
    outcome["summary"] += "".join(f"; {each}" for each in json.loads(switch.not_handed_over))
    workload = ledger.workload(request.workload_id)
    changes = _changes_after_success(workload, switch, now) if workload else {}
    claims.record_success(ledger, switch, outcome, changes, now)
    _count_success(switch, outcome)
    _announce_end(env, switch, Phase.DONE, outcome)
    return Outcome(phase=Phase.DONE, summary=outcome["summary"])


def fail(
    ledger: Ledger,
    request: FailRequest,
    env: StepEnvironment,
    now: datetime,
    *,
    before_launch: bool = False,
) -> Outcome:
    """End a switch before its commit. Idempotent. ``before_launch``: it launched nothing, so the failure
    does not count."""
    switch = claims.held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase is Phase.FAILED:
        return Outcome(phase=Phase.FAILED, summary=str(switch.outcome["summary"]))
    workload = ledger.workload(request.workload_id)
    if workload is None:
        raise ClaimLost(f"workload '{request.workload_id}' is not in the ledger")
    summary, counts = failure_report(switch, request)
    counts = counts and not before_launch
    health = _health_after_failure(workload, switch.order.guard, now, counts=counts)
    changes = switch_health_changes(workload, health, now)
    if request.failure.get("Error") in TEMPLATE_DIFFERS:
        changes["template_doubted_at"] = now
    stack = ledger.stack() if counts else None
    stack_after = _stack_after_failure(stack, workload, now) if stack else None
    stack_changes = stack_health_changes(stack, stack_after, now) if stack and stack_after else {}
    outcome = {"summary": summary, "counts": counts}
    claims.record_failure(ledger, switch, outcome, changes, stack, stack_changes, now)
    metrics.add_metric(f"{_plural(switch)}{'Failed' if counts else 'Refused'}", "Count", 1)
    _announce_end(env, switch, Phase.FAILED, outcome)
    if changes.get("breaker_open_since"):
        _alert_breaker(env, f"workload '{workload.workload_id}'", summary)
    if stack_changes.get("breaker_open_since"):
        _alert_breaker(env, f"the whole stack '{env.stack_name}'", summary)
    return Outcome(phase=Phase.FAILED, summary=summary)


def fail_leftover(
    ledger: Ledger, switch: SwitchItem, failure: dict[str, Any], env: StepEnvironment, now: datetime
) -> Outcome:
    """End an uncommitted switch that has no running execution. It counts if it launched something."""
    failing = FailRequest(
        action="fail",
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        token=str(switch.fence),
        failure=failure,
    )
    return fail(ledger, failing, env, now, before_launch=switch.replacement_id is None)


def close_leftover(
    ledger: Ledger, switch: SwitchItem, env: StepEnvironment, now: datetime
) -> Outcome:
    """End a committed switch that has nothing left to do and no running execution."""
    succeeding = SucceedRequest(
        action="succeed",
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        token=str(switch.fence),
    )
    return succeed(ledger, succeeding, env, now)


# --- what changes on the ledger ----------------------------------------------------------------------


def _decision_of(ledger: Ledger, order: SwitchOrder) -> dict[str, Any] | None:
    """The record of the decision that ordered a switch; a failover has none."""
    if order.kind is DecisionKind.EVACUATE:
        return None
    return read_decision(ledger, order.workload_id, order.decided_at, order.decision_id)


def _changes_after_success(
    workload: WorkloadItem, switch: SwitchItem, now: datetime
) -> dict[str, Any]:
    health = after_success(switch_health(workload), now, _settings_of(switch.order.guard))
    return {
        **switch_health_changes(workload, health, now),
        "past_switches": _past_switches(workload, switch, now),
    }


def _past_switches(
    workload: WorkloadItem, switch: SwitchItem, now: datetime
) -> list[dict[str, Any]]:
    """The workload's switches of the last day, this one among them."""
    order = switch.order
    planned = (
        order.kind is not DecisionKind.EVACUATE
        and order.row != Rule.LEAVE_UNBEARABLE
        and not order.asked_by
    )
    newest = PastSwitchItem(
        at=now, lifecycle=order.candidates[switch.candidate].lifecycle, planned=planned
    )
    kept = [each for each in workload.past_switches if now - each.at < PAST_SWITCHES_KEPT]
    return [each.model_dump(mode="json") for each in (*kept, newest)]


def _health_after_failure(
    workload: WorkloadItem, guard: GuardRules, now: datetime, *, counts: bool
) -> SwitchHealth:
    after = after_failure if counts else after_refusal
    return after(switch_health(workload), now, _settings_of(guard))


def _settings_of(guard: GuardRules) -> Settings:
    return Settings(
        cooldown_minutes=guard.cooldown_minutes,
        breaker_failures=guard.breaker_failures,
        backoff_minutes=guard.backoff_minutes,
        backoff_minutes_max=guard.backoff_minutes_max,
    )


def _stack_after_failure(stack: StackItem, workload: WorkloadItem, now: datetime) -> StackHealth:
    settings = Settings(stack_breaker_workloads=stack.breaker_workloads)
    return after_failure_in_stack(stack_health(stack), workload.workload_id, now, settings)


# --- metrics, event and alert ------------------------------------------------------------------------


def _count_success(switch: SwitchItem, outcome: dict[str, Any]) -> None:
    metrics.add_metric(f"{_plural(switch)}Succeeded", "Count", 1)
    metrics.add_metric(f"{_name(switch)}Duration", "Seconds", outcome["duration_s"])
    if outcome["downtime_s"] is not None:
        metrics.add_metric(f"{_name(switch)}Downtime", "Seconds", outcome["downtime_s"])


def _name(switch: SwitchItem) -> str:
    return "FailOver" if switch.order.kind is DecisionKind.EVACUATE else "Switch"


def _plural(switch: SwitchItem) -> str:
    return "FailOvers" if switch.order.kind is DecisionKind.EVACUATE else "Switches"


def _announce_end(
    env: StepEnvironment, switch: SwitchItem, phase: Phase, outcome: dict[str, Any]
) -> None:
    summary = outcome["summary"]
    logger.info("switch ended", switch_id=switch.switch_id, phase=phase, summary=summary)
    ended = SwitchEnded(
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        phase=phase,
        summary=summary,
        saving_spot_usd_per_hour=outcome.get("saving_spot_usd_per_hour"),
        saving_forecast_usd_per_hour=outcome.get("saving_forecast_usd_per_hour"),
    )
    announce(env.bus_name, SWITCH, [ended])


def _alert_breaker(env: StepEnvironment, of_what: str, summary: str) -> None:
    metrics.add_metric("BreakersOpened", "Count", 1)
    alert(
        env.alert_topic_arn,
        f"Spot Optimizer {env.stack_name}: breaker open",
        f"The breaker of {of_what} is open: no switch starts until it is reset by hand "
        f'(command "reset-breaker"). Last failure: {summary}',
    )
