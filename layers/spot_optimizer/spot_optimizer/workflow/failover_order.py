"""The order of a failover, from the standing plan alone: no forecast and no EC2 describe call."""

from datetime import datetime

from spot_optimizer.aws.ledger.items import FailoverTerms, PlanItem, WorkloadItem
from spot_optimizer.contracts.switch import (
    ORIGINAL_LOOKS_MAX,
    LaunchTemplateRef,
    Original,
    SwitchOrder,
    Target,
)
from spot_optimizer.decision.execution_names import execution_name
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE, StateRule
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Placement,
    Rule,
)

BACKOFF_MINUTES_MAX = 60.0
"""Longest back-off of a failover: shorter than others, because the workload does not run at all."""


class NoFailover(Exception):
    """No failover is possible; the text says what is missing."""


def why_held(workload: WorkloadItem, plan: PlanItem | None, *, dry_run: bool) -> str:
    """Why no failover may start; empty if it may. An open breaker is no reason.

    ``dry_run`` is the stack's; the plan holds what tags and commands set for the workload.
    """
    terms = plan.terms if plan else None
    mode = workload.mode or (terms.mode if terms else Mode.AUTO)
    if dry_run or (terms is not None and terms.dry_run):
        return "dry run: recorded, not acted upon"
    if mode is not Mode.AUTO:
        return f"mode {mode}: recorded, not acted upon"
    if workload.state_rule == StateRule.HELD:
        return WITHOUT_STATE
    if workload.status == "refused":
        return f"the workload is refused: {workload.status_reason}"
    return ""


def failover_order(
    workload: WorkloadItem,
    plan: PlanItem | None,
    *,
    reason: str,
    signalled_at: datetime,
    ends_at: datetime | None,
    keeps_request: bool,
    continues_switch_id: str = "",
    stopped: bool = False,
    now: datetime,
) -> SwitchOrder:
    """The input of one FailOver execution. Raises NoFailover.

    The execution is named after workload, instance and time of the signal, so that a repeated signal
    names the same execution.

    ``keeps_request``: do not cancel the original's persistent spot request, because EC2 starts a stopped
    original again with it (EC2 user guide, "Cancel a Spot Instance request"). ``continues_switch_id``:
    the interrupted switch whose replacement is used. ``stopped``: EC2 has already stopped the original
    and will not terminate it.
    """
    if plan is None or plan.terms is None:
        raise NoFailover("it has no standing plan yet; the next cycle writes one")
    template = plan.launch_template
    if template is None or not template.template_id:
        raise NoFailover("it has no launch template yet; the next cycle makes one")
    candidates = _candidates(workload, plan, plan.terms)
    if not candidates:
        raise NoFailover("its plan names no pool, and on-demand capacity may not be bought")
    name = execution_name(workload.workload_id, signalled_at, workload.instance_id)
    return SwitchOrder(
        switch_id=name,
        workload_id=workload.workload_id,
        decision_id=name,
        decided_at=now,
        kind=DecisionKind.EVACUATE,
        row=Rule.LEAVE_UNBEARABLE,
        reason=reason,
        original=_original(workload, plan, keeps_request=keeps_request),
        candidates=candidates,
        launch_template=LaunchTemplateRef.model_validate(template.model_dump()),
        home_type_after=workload.home_type,
        auto_terminate=False,
        guard=plan.terms.guard.model_copy(
            update={
                "backoff_minutes_max": min(
                    plan.terms.guard.backoff_minutes_max, BACKOFF_MINUTES_MAX
                )
            }
        ),
        original_ends_at=ends_at,
        original_looks=ORIGINAL_LOOKS_MAX if stopped else 0,
        standing_load_balancing=plan.load_balancing,
        continues_switch_id=continues_switch_id,
    )


def _original(workload: WorkloadItem, plan: PlanItem, *, keeps_request: bool) -> Original:
    return Original(
        instance_id=workload.instance_id,
        instance_type=workload.instance_type,
        availability_zone=workload.availability_zone,
        lifecycle=workload.lifecycle,
        spot_usd_per_hour=None,
        persistent_spot_request_id=None
        if keeps_request
        else plan.spot_request_of(workload.instance_id),
    )


def _candidates(workload: WorkloadItem, plan: PlanItem, terms: FailoverTerms) -> tuple[Target, ...]:
    spot = [_target(placement, Lifecycle.SPOT) for placement in plan.placements]
    if not terms.fallback_to_on_demand:
        return tuple(spot)
    on_demand = [
        _target(Placement(workload.home_type, *zone_subnet), Lifecycle.ON_DEMAND)
        for zone_subnet in terms.on_demand_subnets
    ]
    return (*spot, *on_demand)


def _target(placement: Placement, lifecycle: Lifecycle) -> Target:
    return Target(
        instance_type=placement.instance_type,
        availability_zone=placement.availability_zone,
        lifecycle=lifecycle,
        subnet_id=placement.subnet_id,
        forecast_usd_per_hour=None,
    )
