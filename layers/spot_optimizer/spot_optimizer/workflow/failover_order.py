"""The order of a rescue, from the standing plan alone: no forecast and no description of EC2."""

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
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Rule,
)

BACKOFF_MINUTES_MAX = 60.0
"""An interrupted workload does not run at all: it waits no longer than this for the next try."""


class NoFailover(Exception):
    """The workload cannot be rescued; the text says what is missing."""


def why_held(workload: WorkloadItem, plan: PlanItem | None, *, dry_run: bool) -> str:
    """Why the workload is not to be rescued; empty if it is. An open breaker is no reason.

    ``dry_run`` is the stack's; the plan holds what tags and commands say of the workload.
    """
    terms = plan.terms if plan else None
    mode = workload.mode or (terms.mode if terms else Mode.AUTO)
    if dry_run or (terms is not None and terms.dry_run):
        return "dry run: recorded, not acted upon"
    if mode is not Mode.AUTO:
        return f"mode {mode}: recorded, not acted upon"
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
    goes_on_with: str = "",
    stopped: bool = False,
    now: datetime,
) -> SwitchOrder:
    """The input of one FailOver execution. Raises NoRescue.

    Named after workload, instance and the moment of the signal, so that a repeated signal names the
    same execution. ``keeps_request``: the original's persistent spot request is left alone, because
    it will bring a stopped original back and cancelling it would end that (EC2 user guide, "Cancel a
    Spot Instance request"). ``goes_on_with``: the switch that broke off, whose replacement is used.
    ``stopped``: EC2 has stopped the original already, which is all that it does to it.
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
        goes_on_with=goes_on_with,
    )


def _original(workload: WorkloadItem, plan: PlanItem, *, keeps_request: bool) -> Original:
    return Original(
        instance_id=workload.instance_id,
        instance_type=workload.instance_type,
        availability_zone=workload.availability_zone,
        lifecycle=workload.lifecycle,
        spot_usd_per_hour=None,
        persistent_spot_request_id=None if keeps_request else plan.persistent_spot_request_id,
    )


def _candidates(workload: WorkloadItem, plan: PlanItem, terms: FailoverTerms) -> tuple[Target, ...]:
    spot = [_target(text, Lifecycle.SPOT) for text in plan.pools]
    if not terms.fallback_to_on_demand:
        return tuple(spot)
    on_demand = [
        _target(f"{workload.home_type}/{text}", Lifecycle.ON_DEMAND) for text in terms.on_demand
    ]
    return (*spot, *on_demand)


def _target(text: str, lifecycle: Lifecycle) -> Target:
    """``type/zone/subnet`` as a target."""
    instance_type, zone, subnet_id = text.split("/")
    return Target(
        instance_type=instance_type,
        availability_zone=zone,
        lifecycle=lifecycle,
        subnet_id=subnet_id,
        forecast_usd_per_hour=None,
    )
