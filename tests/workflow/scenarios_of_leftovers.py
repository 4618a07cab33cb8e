"""Switches that leave leftovers, and the sweeps that find them once AWS has recovered."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import boto3

from simulator.call_log import Fault
from simulator.deployed import STACK, ZONES
from simulator.invariants import Auditor
from simulator.stage import WORKLOADS_MAX, Stage, open_stage
from tests.workflow.faults import inject, lost, step, workload_of
from tests.workflow.scenarios_after_the_commit import AFTER_COMMIT
from tests.workflow.scenarios_before_the_commit import UNDOING
from tests.workflow.story import Story, record

BETWEEN_SWEEPS = timedelta(minutes=10)


def sweep_until_quiet(stage: Stage, last_fault: datetime) -> dict[str, Any]:
    """AWS has recovered: three sweeps. Their findings, and whether invariants 3 and 10 hold after the
    second; the third finds nothing and changes nothing."""
    stage.faults.clear()
    found = []
    for _ in range(2):
        stage.account.run_for(BETWEEN_SWEEPS)
        found.append(stage.sweep())
        stage.finish()
    Auditor(stage.account, stage.world, STACK).check_quiet(last_fault)
    before = stage.items(), stage.alive()
    again = stage.sweep()
    return {"found": found, "again": again, "unchanged": before == (stage.items(), stage.alive())}


def undoing_fails_and_is_swept() -> Story:
    """One workload for each state of UNDOING; UndoHandOver's has handed over targets and address."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        group = stage.world.create_target_group("shop")
        holds = "UndoHandOver"
        originals = {
            state: stage.launch(
                workload_of(state),
                target_group_arn=group if state == holds else None,
                address=state == holds,
            )
            for state in UNDOING
        }
        stage.adopt()
        stage.world.fail_status_checks("m5a.large", ZONES[2])
        inject(stage, UNDOING)
        stage.faults.append(
            Fault("Invoke", workload=workload_of(holds), when=step("UpdateLedger", "commit"))
        )
        for state in UNDOING:
            stage.force(workload_of(state), zone=ZONES[1] if state == holds else ZONES[2])
        stage.finish()
        held_before = stage.address_holder()
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        return record(
            stage,
            originals=originals,
            held_before=held_before,
            address_holder=stage.address_holder(),
            targets=stage.targets(group),
            **swept,
        )


def replacement_ends_with_the_address() -> Story:
    """The ledger accepts neither commit nor undoing; then a user terminates the replacement."""
    with open_stage() as stage:
        original = stage.launch("web", address=True)
        stage.adopt()
        stage.cycle()
        for action in ("commit", "abandon"):
            stage.faults.append(Fault("Invoke", when=step("UpdateLedger", action)))
        stage.force("web", zone=ZONES[1])
        stage.finish()
        held_before = stage.address_holder()
        assert held_before is not None
        boto3.client("ec2").terminate_instances(InstanceIds=[held_before])
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        return record(
            stage,
            original=original,
            held_before=held_before,
            address_holder=stage.address_holder(),
            **swept,
        )


def aftermath_fails_and_is_swept() -> Story:
    """One workload for each state of AFTER_COMMIT."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        group = stage.world.create_target_group("shop")
        originals = {
            state: stage.launch(
                workload_of(state),
                target_group_arn=group if state == "ReleaseOriginal" else None,
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
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        return record(stage, originals=originals, targets=stage.targets(group), **swept)


ABORTED: Mapping[str, str] = {
    "LaunchReplacement": "FAILED",
    "WaitForBoot": "FAILED",
    "WaitForTargets": "FAILED",
    "WaitForDrain": "DONE",
    "WaitForTermination": "DONE",
}
"""State in which a person stops the execution -> the phase that its record ends in."""


def executions_are_stopped_by_hand() -> Story:
    """One workload for each state of ABORTED, one after the other, whose execution is stopped there."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        group = stage.world.create_target_group("shop")
        originals = {
            state: stage.launch(workload_of(state), target_group_arn=group) for state in ABORTED
        }
        stage.adopt()
        stage.faults.append(
            Fault("Invoke", "ServiceException", workload="launchreplacement",
                  when=step("LaunchReplacement"))
        )  # fmt: skip
        for state in ABORTED:
            stage.force(workload_of(state))
            stage.run_until_entered(state)
            boto3.client("stepfunctions").stop_execution(
                executionArn=stage.account.executions()[-1].arn
            )
        stage.finish()
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        return record(stage, originals=originals, targets=stage.targets(group), **swept)


def claims_and_launches_are_lost_and_swept() -> Story:
    """A claim whose replies are lost and that cannot be released; a launch whose replies are lost
    and that cannot be looked for."""
    with open_stage() as stage:
        originals = {workload: stage.launch(workload) for workload in ("claimed", "launched")}
        stage.adopt()
        stage.faults += [
            lost("Invoke", step("UpdateLedger", "claim"), times=7),
            Fault("Invoke", workload="claimed", when=step("UpdateLedger", "unclaim")),
        ]
        stage.force("claimed")
        stage.finish()
        stage.faults += [
            lost("Invoke", step("LaunchReplacement")),
            Fault("DescribeInstances"),
        ]
        stage.force("launched")
        stage.finish()
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        return record(stage, originals=originals, **swept)
