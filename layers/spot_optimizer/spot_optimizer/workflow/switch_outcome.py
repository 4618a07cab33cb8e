"""The end of a switch: outcome, breakers and release of the claim, metrics and announcement."""

import json
from datetime import datetime
from typing import Any

from spot_optimizer.aws.announcements import (
    SWITCH,
    alert,
    announce,
)
from spot_optimizer.aws.clients import TryAgain
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.ledger import claims
from spot_optimizer.aws.ledger.claims import ClaimLost, LedgerBusy, held_record
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.items import (
    PAST_SWITCHES_KEPT,
    PastSwitchItem,
    StackItem,
    SwitchItem,
    WorkloadItem,
)
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import SwitchEnded
from spot_optimizer.contracts.steps import (
    FailRequest,
    Outcome,
    SucceedRequest,
)
from spot_optimizer.contracts.switch import GuardRules
from spot_optimizer.decision.breakers import (
    StackHealth,
    SwitchHealth,
    after_failure,
    after_failure_in_stack,
    after_refusal,
)
from spot_optimizer.settings import Settings
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import (
    DecisionKind,
    Phase,
    Rule,
)

ANOTHER_MACHINE = frozenset({"OriginalChanged", "ReplacementDiffers"})
"""Errors of an inspection (``contracts.Inspection``) after which the original's machine is read again:
its launch template does not make the same one."""


_OF_THE_SERVICE = frozenset(
    {
        TryAgain.__name__,
        LedgerBusy.__name__,
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
"""What a state machine tries again (Step Functions developer guide, "Handle transient Lambda service
exceptions"), the account's concurrency among it. A missing permission is none of these."""


def fail_leftover(
    ledger: Ledger, switch: SwitchItem, failure: dict[str, Any], env: StepEnvironment, now: datetime
) -> Outcome:
    """End an uncommitted switch that no run acts for; it counts if it had launched something."""
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
    """Record the success of a committed switch that has nothing left to do and no run acts for."""
    succeeding = SucceedRequest(
        action="succeed",
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        token=str(switch.fence),
    )
    return succeed(ledger, succeeding, env, now)


def succeed(
    ledger: Ledger, request: SucceedRequest, env: StepEnvironment, now: datetime
) -> Outcome:
    switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase is Phase.DONE:
        return Outcome(phase=Phase.DONE, summary=str(switch.outcome["summary"]))
    outcome = success_figures(switch, now)
    if request.original_remains:
        outcome |= {"original_terminated": False, "original_remains": True}
        outcome["summary"] += "; the original was only stopped and remains, unmanaged"
    outcome["summary"] += "".join(f"; {each}" for each in json.loads(switch.left_alone))
    workload = ledger.workload(request.workload_id)
    moves = _moves_after(workload.moves if workload else (), switch, now)
    claims.record_success(ledger, switch, outcome, {"moves": moves}, now)
    of_what = "FailOver" if switch.order.kind is DecisionKind.EVACUATE else "Switch"
    metrics.add_metric(f"{_plural(of_what)}Succeeded", "Count", 1)
    metrics.add_metric(f"{of_what}Duration", "Seconds", outcome["duration_s"])
    if outcome["downtime_s"] is not None:
        metrics.add_metric(f"{of_what}Downtime", "Seconds", outcome["downtime_s"])
    _tell(env, switch, Phase.DONE, outcome["summary"])
    return Outcome(phase=Phase.DONE, summary=outcome["summary"])


def _moves_after(
    moves: tuple[PastSwitchItem, ...], switch: SwitchItem, now: datetime
) -> list[dict[str, Any]]:
    """The workload's moves of the last day and this one."""
    order = switch.order
    planned = (
        order.kind is not DecisionKind.EVACUATE
        and order.row != Rule.LEAVE_UNBEARABLE
        and not order.asked_by
    )
    move = PastSwitchItem(
        at=now, lifecycle=order.candidates[switch.candidate].lifecycle, planned=planned
    )
    kept = [m for m in moves if now - m.at < PAST_SWITCHES_KEPT]
    return [m.model_dump(mode="json") for m in (*kept, move)]


def _plural(of_what: str) -> str:
    return f"{of_what}es" if of_what == "Switch" else f"{of_what}s"


def success_figures(switch: SwitchItem, now: datetime) -> dict[str, Any]:
    """What a switch brought: saving per hour at the prices of the decision, the overlap that was
    billed twice, the hours until the saving has paid for it, and the downtime.

    Downtime is the time between the original's last and the replacement's first readiness: 0 for a
    switch that launches before it terminates and hands over between two healthy machines; for a
    rescue what lies between the end that EC2 gave the original and the hand-over, None where nobody
    told when that was.
    """
    original, target = switch.order.original, switch.order.candidates[switch.candidate]
    assert switch.launched_at is not None
    overlap_s = (now - switch.launched_at).total_seconds()
    before, after = original.spot_usd_per_hour, target.forecast_usd_per_hour
    saving = None if before is None or after is None else before - after
    overlap_usd = None if before is None or after is None else min(before, after) * overlap_s / 3600
    break_even_hours = (
        overlap_usd / saving
        if saving is not None and overlap_usd is not None and saving > 0
        else None
    )
    place = f"{target.instance_type}/{target.availability_zone} {target.lifecycle}"
    money = "" if saving is None else f", saves {saving:.4f} USD per hour"
    if saving is not None and saving < 0:
        money = f", costs {-saving:.4f} USD per hour more"
    return {
        "summary": (
            f"{original.instance_type}/{original.availability_zone} {original.lifecycle}"
            f" -> {place}{money}"
        ),
        "original_terminated": switch.order.auto_terminate,
        "price_before_usd_per_hour": before,
        "price_after_usd_per_hour": after,
        "saving_usd_per_hour": saving,
        "overlap_s": overlap_s,
        "overlap_usd": overlap_usd,
        "break_even_hours": break_even_hours,
        "duration_s": (now - switch.claimed_at).total_seconds(),
        "downtime_s": _downtime_s(switch),
    }


def _downtime_s(switch: SwitchItem) -> float | None:
    end = switch.order.original_ends_at
    if switch.order.kind is DecisionKind.EVACUATE and end is None:
        return None
    if end is None or switch.handed_over_at is None:
        return 0.0
    return max(0.0, (switch.handed_over_at - end).total_seconds())


def fail(
    ledger: Ledger,
    request: FailRequest,
    env: StepEnvironment,
    now: datetime,
    *,
    before_launch: bool = False,
) -> Outcome:
    switch = held_record(ledger, request.workload_id, request.switch_id, request.token)
    if switch.phase is Phase.FAILED:
        return Outcome(phase=Phase.FAILED, summary=str(switch.outcome["summary"]))
    workload = ledger.workload(request.workload_id)
    if workload is None:
        raise ClaimLost(f"workload '{request.workload_id}' is not in the ledger")
    summary, counts = _failure(switch, request)
    counts = counts and not before_launch
    health = _health_after(workload, switch.order.guard, now, counts=counts)
    stack = ledger.stack() if counts else None
    stack_changes, stack_opens = _stack_after(stack, workload, now)
    doubts = {"doubted_at": now} if request.failure.get("Error") in ANOTHER_MACHINE else {}
    claims.record_failure(
        ledger,
        switch,
        {"summary": summary, "counts": counts},
        {
            "failures": health.failures_in_row,
            "backoffs": health.setbacks_in_row,
            "backoff_until": health.backoff_until,
            "cooldown_until": health.cooldown_until,
            "breaker_open_since": (workload.breaker_open_since or now)
            if health.breaker_open
            else None,
            **doubts,
        },
        stack,
        stack_changes,
        now,
    )
    of_what = "FailOver" if switch.order.kind is DecisionKind.EVACUATE else "Switch"
    ending = "Failed" if counts else "Refused"
    metrics.add_metric(f"{_plural(of_what)}{ending}", "Count", 1)
    _tell(env, switch, Phase.FAILED, summary)
    if health.breaker_open and workload.breaker_open_since is None:
        _alert_breaker(env, f"workload '{workload.workload_id}'", summary)
    if stack_opens:
        _alert_breaker(env, f"the whole stack '{env.stack_name}'", summary)
    return Outcome(phase=Phase.FAILED, summary=summary)


def _failure(switch: SwitchItem, request: FailRequest) -> tuple[str, bool]:
    """What happened in words, and whether it counts: refusals before a launch are no failures."""
    last = switch.refusals[-1] if switch.refusals else None
    # Where another attempt came after it, that one has failed otherwise, and may have launched.
    if switch.phase is Phase.CLAIMED and last is not None and last.attempt == switch.attempt:
        tried = len(switch.refusals)
        return f"nothing launched, {tried} refused; last: {last.code}: {last.cure}", False
    error = str(request.failure.get("Error", "unknown error"))
    # What was too busy to launch is no fault of the workload, and an original that its team has just
    # changed is none either: a hand would have to reset its breaker.
    busy = switch.phase is Phase.CLAIMED and error in _OF_THE_SERVICE
    counts = not busy and error != "OriginalChanged"
    return f"{error}: {_readable(str(request.failure.get('Cause', '')))}", counts


def _readable(cause: str) -> str:
    """The message inside a Lambda error's JSON, or the cause as it is, shortened."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    text = parsed.get("errorMessage", cause) if isinstance(parsed, dict) else cause
    return str(text)[:500]


def _health_after(
    workload: WorkloadItem, guard: GuardRules, now: datetime, *, counts: bool
) -> SwitchHealth:
    health = SwitchHealth(
        failures_in_row=workload.failures,
        setbacks_in_row=workload.backoffs,
        breaker_open=workload.breaker_open_since is not None,
        cooldown_until=workload.cooldown_until,
        backoff_until=workload.backoff_until,
    )
    settings = Settings(
        cooldown_minutes=guard.cooldown_minutes,
        breaker_failures=guard.breaker_failures,
        backoff_minutes=guard.backoff_minutes,
        backoff_minutes_max=guard.backoff_minutes_max,
    )
    return (after_failure if counts else after_refusal)(health, now, settings)


def _stack_after(
    stack: StackItem | None, workload: WorkloadItem, now: datetime
) -> tuple[dict[str, Any], bool]:
    """Changes of the stack's item after a failure that counts, and whether its breaker opens now."""
    if stack is None:
        return {}, False
    before = StackHealth(
        {row["workload_id"]: datetime.fromisoformat(row["at"]) for row in stack.failures},
        stack.breaker_open_since is not None,
    )
    settings = Settings(stack_breaker_workloads=stack.breaker_workloads)
    after = after_failure_in_stack(before, workload.workload_id, now, settings)
    changes: dict[str, Any] = {
        "failures": [{"workload_id": w, "at": instant(at)} for w, at in after.failed_at.items()]
    }
    opens = after.breaker_open and not before.breaker_open
    if opens:
        changes["breaker_open_since"] = now
    return changes, opens


def _tell(env: StepEnvironment, switch: SwitchItem, phase: Phase, summary: str) -> None:
    logger.info("switch ended", switch_id=switch.switch_id, phase=phase, summary=summary)
    announce(
        env.bus_name,
        SWITCH,
        [
            SwitchEnded(
                workload_id=switch.workload_id,
                switch_id=switch.switch_id,
                phase=phase,
                summary=summary,
            )
        ],
    )


def _alert_breaker(env: StepEnvironment, of_what: str, summary: str) -> None:
    metrics.add_metric("BreakersOpened", "Count", 1)
    alert(
        env.alert_topic_arn,
        f"Spot Optimizer {env.stack_name}: breaker open",
        f"The breaker of {of_what} is open: no switch starts until it is reset by hand "
        f'(command "reset-breaker"). Last failure: {summary}',
    )
