"""Switches that fail after the commit."""

from collections.abc import Mapping

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import WORKLOADS_MAX, open_stage
from tests.workflow.faults import inject, step, workload_of
from tests.workflow.story import Story, record

AFTER_COMMIT: Mapping[str, Fault] = {
    "ReleaseOriginal": Fault("Invoke", when=step("HandOver", "release")),
    "LeaveOriginal": Fault("DeleteTags"),
    "CancelSpotRequest": Fault("CancelSpotInstanceRequests"),
    "TerminateOriginal": Fault("TerminateInstances"),
    "ConfirmOriginalGone": Fault("DescribeInstances"),
    "RecordSuccess": Fault("Invoke", when=step("UpdateLedger", "succeed")),
}
"""State after the commit -> the fault that ends it."""


def every_step_after_the_commit_fails() -> Story:
    """One workload for each state of AFTER_COMMIT, whose call is always refused."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        originals = {
            state: stage.launch(
                workload_of(state),
                tags={"spot-optimizer:auto-terminate": "false"} if state == "LeaveOriginal" else {},
                persistent=state == "CancelSpotRequest",
            )
            for state in AFTER_COMMIT
        }
        stage.adopt()
        inject(stage, AFTER_COMMIT)
        for state in AFTER_COMMIT:
            stage.force(workload_of(state))
        stage.finish()
        return record(stage, originals=originals)


def every_step_after_the_commit_fails_once() -> Story:
    """The same, but AWS recovers after the first refusal."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        for state in AFTER_COMMIT:
            stage.launch(
                workload_of(state),
                tags={"spot-optimizer:auto-terminate": "false"} if state == "LeaveOriginal" else {},
                persistent=state == "CancelSpotRequest",
            )
        stage.adopt()
        inject(stage, AFTER_COMMIT)
        for fault in stage.faults:
            fault.times = 1
        for state in AFTER_COMMIT:
            stage.force(workload_of(state))
        stage.finish()
        return record(stage, met=[fault.met for fault in stage.faults])


def no_alert_can_be_sent() -> Story:
    """Three switches that need a person, after the commit and before, while no alert can be sent."""
    trouble = {
        "TerminateOriginal": Fault("TerminateInstances"),
        "UndoHandOver": Fault("Invoke", when=step("HandOver", "undo")),
        "AbandonSwitch": Fault("Invoke", when=step("UpdateLedger", "abandon")),
    }
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        for state in trouble:
            stage.launch(workload_of(state))
        stage.adopt()
        inject(stage, trouble)
        stage.faults.append(Fault("Publish"))
        stage.force(workload_of("TerminateOriginal"))
        stage.world.fail_status_checks("m5a.large", ZONES[2])
        for state in ("UndoHandOver", "AbandonSwitch"):
            stage.force(workload_of(state), zone=ZONES[2])
        stage.finish()
        return record(stage)
