"""Workloads whose instance EC2 has interrupted or ended, as the sweep sees them without an event."""

from collections.abc import Iterable, Mapping

from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.reconcile import Action, Finding, Workload
from spot_optimizer.vocabulary import Lifecycle

_INTERRUPTED = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
"""EC2 API reference, StateReason: terminated or stopped by EC2 as the owner of spot capacity."""
_FAILED = frozenset({"Server.ScheduledStop", "Server.InternalError"})
"""EC2 API reference, StateReason: stopped due to a scheduled retirement, or ended by an error of EC2."""


def is_spot_interruption(reason_code: str, lifecycle: Lifecycle) -> bool:
    """Whether an instance that ended for this reason tells something about its spot pool: only a spot
    instance whose capacity EC2 took back does. Failed hardware does not."""
    return lifecycle is Lifecycle.SPOT and reason_code in _INTERRUPTED


def interruptions(
    workloads: Iterable[Workload], instances: Mapping[str, Record], marks: Mapping[str, str]
) -> dict[str, str]:
    """Workload id -> what happened to its instance, for the workloads that EC2 has interrupted
    or ended for a reason of its own.

    ``instances``: those that EC2 still shows, by id. ``marks``: the last interruption on the ledger by
    workload id. It is needed because EC2 shows a terminated instance for about an hour only.
    """
    found = {}
    for workload in workloads:
        instance = instances.get(workload.instance_id)
        found[workload.workload_id] = (
            _interruption(instance)
            if instance is not None
            else _forgotten(workload, marks.get(workload.workload_id, ""))
        )
    return {workload_id: what for workload_id, what in found.items() if what}


def not_failed_over(workloads: Iterable[Workload], interrupted: Mapping[str, str]) -> list[Finding]:
    """Findings for the interrupted workloads that no switch has claimed."""
    return [
        Finding(
            Action.FAIL_OVER,
            workload.workload_id,
            interrupted[workload.workload_id],
            instance_id=workload.instance_id,
        )
        for workload in workloads
        if workload.workload_id in interrupted and not workload.claim_switch_id
    ]


def interruption_mark(instance: Record) -> str:
    """Identifies one interruption of an instance: when a stopped instance starts again, its launch time
    changes."""
    return f"{instance['InstanceId']} {instance['LaunchTime'].isoformat()}"


def _interruption(instance: Record) -> str:
    reason = instance.get("StateReason") or {}
    code, state = reason.get("Code", ""), instance["State"]["Name"]
    if state in ("pending", "running") or code not in _INTERRUPTED | _FAILED:
        return ""
    did = "interrupted" if code in _INTERRUPTED else "ended"
    return f"{instance['InstanceId']} is {state}: EC2 has {did} it ({code})"


def _forgotten(workload: Workload, mark: str) -> str:
    if mark.partition(" ")[0] != workload.instance_id:
        return ""
    return f"{workload.instance_id} is gone: EC2 had interrupted it"
