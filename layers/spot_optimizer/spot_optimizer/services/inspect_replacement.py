"""``inspect_replacement``: readiness, lifecycle and parity in one verdict."""

from datetime import datetime, timedelta

from spot_optimizer.aws.instances import (
    read_credit_modes,
    read_instances,
    read_status,
    read_user_data,
    read_volumes,
    termination_is_protected,
)
from spot_optimizer.contracts import Inspection, InspectRequest
from spot_optimizer.switching.machine import (
    SWITCH_TAG,
    Record,
    is_burstable,
    tags_of,
    user_data_hash,
)
from spot_optimizer.switching.parity import Expected, MachineFacts, differences, machine_facts
from spot_optimizer.switching.refusals import refusal_of_state_reason

HEALTH_DEADLINE = timedelta(minutes=10)
"""Status checks need two to five minutes; twice that is a machine that does not come up."""

_CHECKS = ("InstanceStatus", "SystemStatus")


def inspect_replacement(request: InspectRequest, now: datetime) -> Inspection:
    """READY when both status checks pass and the machine is the same as the original's; PENDING
    while EC2 is still at it; UNFIT with findings otherwise, and once the deadline has passed."""
    findings = _findings(request)
    if findings is None:
        if now - request.replacement.launched_at <= HEALTH_DEADLINE:
            return Inspection(verdict="PENDING")
        minutes = HEALTH_DEADLINE.total_seconds() / 60
        return Inspection(
            verdict="UNFIT",
            findings=(f"not healthy within {minutes:g} minutes of its launch",),
        )
    return Inspection(verdict="UNFIT" if findings else "READY", findings=tuple(findings))


def _findings(request: InspectRequest) -> list[str] | None:
    """What speaks against the replacement, or None while that cannot be said."""
    original_id, replacement_id = request.original_id, request.replacement.instance_id
    status = read_status(replacement_id)
    state = status["InstanceState"]["Name"] if status else "pending"
    checks = [status[kind]["Status"] for kind in _CHECKS] if status else []
    gone = state in ("shutting-down", "terminated", "stopping", "stopped")
    if not gone and (state != "running" or any(check != "ok" for check in checks)):
        return None
    machines = read_instances([original_id, replacement_id])
    replacement, original = machines.get(replacement_id), machines.get(original_id)
    if gone:
        return [_death(replacement or {}, state)]
    if replacement is None or SWITCH_TAG not in tags_of(replacement):
        # EC2 may show a new instance before its tags (eventual consistency).
        return None
    if original is None or original["State"]["Name"] != "running":
        return [f"the original {original_id} is gone: there is nothing to compare with"]
    if request.auto_terminate and termination_is_protected(original_id):
        return ["termination protection of the original has been switched on"]
    return _differences(request, original, replacement)


def _death(replacement: Record, state: str) -> str:
    reason = replacement.get("StateReason") or {}
    code, message = reason.get("Code", "unknown"), reason.get("Message", "")
    return f"it is {state}: {code}: {message}. {refusal_of_state_reason(code, message).cure}"


def _differences(
    request: InspectRequest, original: Record, replacement: Record
) -> list[str] | None:
    was, now = _facts(original, replacement)
    if was.pending or now.pending:
        return None
    expected = Expected(
        instance_type=request.target.instance_type,
        availability_zone=request.target.availability_zone,
        lifecycle=request.target.lifecycle,
        cpu_credits=request.cpu_credits,
    )
    return [
        f"{difference.field}: {difference.original} became {difference.replacement}"
        for difference in differences(was, now, expected)
    ]


def _facts(*instances: Record) -> list[MachineFacts]:
    volumes = read_volumes(instances)
    credits = read_credit_modes(
        i["InstanceId"] for i in instances if is_burstable(i["InstanceType"])
    )
    return [
        machine_facts(
            instance,
            volumes.values(),
            user_data_hash=user_data_hash(read_user_data(instance["InstanceId"])),
            cpu_credits=credits.get(instance["InstanceId"]),
        )
        for instance in instances
    ]
