"""``inspect_replacement``: readiness, lifecycle and parity in one verdict."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from spot_optimizer.aws.instances import (
    read_credit_modes,
    read_instances,
    read_status,
    read_user_data,
    read_volumes,
    termination_is_protected,
)
from spot_optimizer.contracts.steps import Inspection, InspectRequest
from spot_optimizer.switching.instance_record import (
    SWITCH_TAG,
    Record,
    is_burstable,
    tags_of,
    user_data_hash,
)
from spot_optimizer.switching.launch_refusals import refusal_of_state_reason
from spot_optimizer.switching.parity import (
    Expected,
    InstanceFacts,
    differences,
    identity_digest,
    instance_facts,
)

HEALTH_DEADLINE = timedelta(minutes=10)
"""Status checks need two to five minutes; twice that is a machine that does not come up."""

_CHECKS = ("InstanceStatus", "SystemStatus")


def inspect_replacement(request: InspectRequest, now: datetime) -> Inspection:
    """READY when both status checks pass and the machine is the same as the original's; PENDING
    while EC2 is still at it; UNFIT with findings otherwise, and once the deadline has passed."""
    inspection = _inspection(request)
    if inspection.verdict == "PENDING" and now - request.replacement.launched_at > HEALTH_DEADLINE:
        minutes = HEALTH_DEADLINE.total_seconds() / 60
        return _unfit(f"not healthy within {minutes:g} minutes of its launch")
    return inspection


def _unfit(finding: str) -> Inspection:
    return Inspection(verdict="UNFIT", findings=(finding,), error="ReplacementUnfit")


_PENDING = Inspection(verdict="PENDING")


def _inspection(request: InspectRequest) -> Inspection:
    """The verdict, however long it takes."""
    original_id, replacement_id = request.original_id, request.replacement.instance_id
    status = read_status(replacement_id)
    state = status["InstanceState"]["Name"] if status else "pending"
    checks = [status[kind]["Status"] for kind in _CHECKS] if status else []
    gone = state in ("shutting-down", "terminated", "stopping", "stopped")
    if not gone and (state != "running" or any(check != "ok" for check in checks)):
        return _PENDING
    machines = read_instances([original_id, replacement_id])
    replacement, original = machines.get(replacement_id), machines.get(original_id)
    if gone:
        return _unfit(_death(replacement or {}, state))
    if replacement is None or SWITCH_TAG not in tags_of(replacement):
        # EC2 may show a new instance before its tags (eventual consistency).
        return _PENDING
    if original is None or original["State"]["Name"] != "running":
        return _unfit(f"the original {original_id} is gone: there is nothing to compare with")
    if request.auto_terminate and termination_is_protected(original_id):
        return _unfit("termination protection of the original has been switched on")
    return _comparison(request, original, replacement)


def _death(replacement: Record, state: str) -> str:
    reason = replacement.get("StateReason") or {}
    code, message = reason.get("Code", "unknown"), reason.get("Message", "")
    return f"it is {state}: {code}: {message}. {refusal_of_state_reason(code, message).cure}"


def _comparison(request: InspectRequest, original: Record, replacement: Record) -> Inspection:
    was, now = _facts(original, replacement)
    if was.pending or now.pending:
        return _PENDING
    remembered = request.launch_template.identity_digest
    as_read = remembered == identity_digest(was)
    expected = Expected(
        instance_type=request.target.instance_type,
        availability_zone=request.target.availability_zone,
        lifecycle=request.target.lifecycle,
        cpu_credits=request.launch_template.cpu_credits,
        original_as_read=as_read,
    )
    found = differences(was, now, expected)
    lost = [each for each in found if not each.explanation]
    if not lost:
        return Inspection(verdict="READY", findings=_told(found))
    if as_read or not remembered:
        why = "the next cycle reads the machine again"
        return Inspection(verdict="UNFIT", findings=(*_told(lost), why), error="ReplacementDiffers")
    why = "the original was changed after it had been read; the next cycle reads it again"
    return Inspection(verdict="UNFIT", findings=(why, *_told(lost)), error="OriginalChanged")


def _told(found: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(each) for each in found)


def _facts(*instances: Record) -> list[InstanceFacts]:
    volumes = read_volumes(instances)
    credits = read_credit_modes(
        i["InstanceId"] for i in instances if is_burstable(i["InstanceType"])
    )
    return [
        instance_facts(
            instance,
            volumes.values(),
            user_data_hash=user_data_hash(read_user_data(instance["InstanceId"])),
            cpu_credits=credits.get(instance["InstanceId"]),
        )
        for instance in instances
    ]
