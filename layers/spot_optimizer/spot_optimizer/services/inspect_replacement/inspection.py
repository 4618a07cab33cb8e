"""``inspect_replacement``: whether the replacement is ready and equals its original."""

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
from spot_optimizer.switching.comparison import (
    DescribedInstance,
    Expected,
    described_instance,
    differences,
)
from spot_optimizer.switching.difference import Difference
from spot_optimizer.switching.instance_record import (
    SWITCH_TAG,
    Record,
    is_burstable,
    tags_of,
    user_data_hash,
)
from spot_optimizer.switching.launch_refusals import refusal_of_state_reason
from spot_optimizer.switching.stored_digests import instance_digest

HEALTH_DEADLINE = timedelta(minutes=10)
"""Status checks take two to five minutes; an instance that needs twice that does not come up."""

_CHECKS = ("InstanceStatus", "SystemStatus")


def inspect_replacement(request: InspectRequest, now: datetime) -> Inspection:
    """READY when both status checks pass and the replacement equals its original; PENDING while EC2
    is not done; UNFIT with findings otherwise, and after the deadline."""
    inspection = inspect_now(request)
    if inspection.verdict == "PENDING" and now - request.replacement.launched_at > HEALTH_DEADLINE:
        minutes = HEALTH_DEADLINE.total_seconds() / 60
        return _unfit(f"not healthy within {minutes:g} minutes of its launch")
    return inspection


def inspect_now(request: InspectRequest) -> Inspection:
    """The verdict without a deadline."""
    original_id, replacement_id = request.original_id, request.replacement.instance_id
    status = read_status(replacement_id)
    state = status["InstanceState"]["Name"] if status else "pending"
    checks = [status[kind]["Status"] for kind in _CHECKS] if status else []
    ended = state in ("shutting-down", "terminated", "stopping", "stopped")
    if not ended and (state != "running" or any(check != "ok" for check in checks)):
        return _PENDING
    instances = read_instances([original_id, replacement_id])
    replacement, original = instances.get(replacement_id), instances.get(original_id)
    if ended:
        return _unfit(_end_reason(replacement or {}, state))
    if replacement is None or SWITCH_TAG not in tags_of(replacement):
        # EC2 may show a new instance before its tags (eventual consistency).
        return _PENDING
    if original is None or original["State"]["Name"] != "running":
        return _unfit(f"the original {original_id} is gone: there is nothing to compare with")
    if request.auto_terminate and termination_is_protected(original_id):
        return _unfit("termination protection of the original has been switched on")
    return _compare(request, original, replacement)


_PENDING = Inspection(verdict="PENDING")


def _unfit(finding: str) -> Inspection:
    return Inspection(verdict="UNFIT", findings=(finding,), error="ReplacementUnfit")


def _end_reason(replacement: Record, state: str) -> str:
    reason = replacement.get("StateReason") or {}
    code, message = reason.get("Code", "unknown"), reason.get("Message", "")
    return f"it is {state}: {code}: {message}. {refusal_of_state_reason(code, message).cure}"


def _compare(request: InspectRequest, original: Record, replacement: Record) -> Inspection:
    was, now = _described(original, replacement)
    if was.pending or now.pending:
        return _PENDING
    read_digest = request.launch_template.instance_digest
    as_read = read_digest == instance_digest(was.identity, was.state)
    expected = Expected(
        instance_type=request.target.instance_type,
        availability_zone=request.target.availability_zone,
        lifecycle=request.target.lifecycle,
        cpu_credits=request.launch_template.cpu_credits,
        original_as_read=as_read,
    )
    found = differences(was, now, expected)
    unexplained = [each for each in found if not each.explanation]
    if not unexplained:
        return Inspection(verdict="READY", findings=_texts(found))
    if as_read or not read_digest:
        why = "the next cycle reads the original again"
        return Inspection(
            verdict="UNFIT", findings=(*_texts(unexplained), why), error="ReplacementDiffers"
        )
    why = "the original was changed after it was read; the next cycle reads it again"
    return Inspection(
        verdict="UNFIT", findings=(why, *_texts(unexplained)), error="OriginalChanged"
    )


def _texts(found: Iterable[Difference]) -> tuple[str, ...]:
    return tuple(str(each) for each in found)


def _described(*instances: Record) -> list[DescribedInstance]:
    volumes = read_volumes(instances)
    credits = read_credit_modes(
        i["InstanceId"] for i in instances if is_burstable(i["InstanceType"])
    )
    return [
        described_instance(
            instance,
            volumes.values(),
            user_data_hash=user_data_hash(read_user_data(instance["InstanceId"])),
            cpu_credits=credits.get(instance["InstanceId"]),
        )
        for instance in instances
    ]
