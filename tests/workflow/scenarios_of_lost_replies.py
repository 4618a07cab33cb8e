"""Switches whose replies are lost, and switches that compete."""

from datetime import timedelta

import boto3

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import open_stage
from tests.workflow.faults import lost, record_of, step
from tests.workflow.story import Story, record

UNSEEN_REPLACEMENT_ENDED = (
    "AbandonSwitch",
    "AlreadyCommitted?",
    "WaitUntilListed",
    "FindReplacement",
    "ReplacementFound?",
    "NameReplacement",
    "TerminateReplacement",
    "RecordFailure",
    "NotSwitched",
)
"""The states of a switch whose launch may have succeeded: the instance is found by its tag."""


def commit_replies_are_all_lost() -> Story:
    """CommitSwitch commits, but none of its replies arrives."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group)
        stage.adopt()
        stage.faults.append(lost("Invoke", step("UpdateLedger", "commit")))
        stage.force()
        stage.finish()
        return record(
            stage, original=original, met=stage.faults[0].met, targets=stage.targets(group)
        )


def every_reply_is_lost_once() -> Story:
    """Each call of the state machine takes effect, its first reply is lost, and it is repeated."""
    lossy = {
        "claim": ("Invoke", step("UpdateLedger", "claim")),
        "launch": ("Invoke", step("LaunchReplacement")),
        "launched": ("UpdateItem", record_of("LAUNCHED")),
        "inspect": ("Invoke", step("InspectReplacement")),
        "healthy": ("UpdateItem", record_of("HEALTHY")),
        "shift": ("Invoke", step("HandOver", "shift")),
        "handed over": ("UpdateItem", record_of("HANDED_OVER")),
        "commit": ("Invoke", step("UpdateLedger", "commit")),
        "release": ("Invoke", step("HandOver", "release")),
        "terminate": ("TerminateInstances", lambda _params: True),
        "confirm": ("DescribeInstances", lambda _params: True),
        "succeed": ("Invoke", step("UpdateLedger", "succeed")),
    }
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.adopt()
        stage.faults += [lost(op, when, times=1) for op, when in lossy.values()]
        stage.force()
        stage.finish()
        return record(
            stage,
            original=original,
            replacement=stage.workload()["instance_id"],
            met=dict(zip(lossy, [fault.met for fault in stage.faults], strict=True)),
            targets=stage.targets(group),
        )


def failed_switch_loses_every_reply_once() -> Story:
    """A switch is undone; the first replies of refuse, abandon and fail are lost."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.world.close_capacity("m5a.large", ZONES[1])
        stage.world.fail_status_checks("m6i.large")
        stage.faults += [
            lost("Invoke", step("UpdateLedger", action), times=1)
            for action in ("refuse", "abandon", "fail")
        ]
        stage.start(
            stage.order("web", ("m5a.large", ZONES[1], "spot"), ("m6i.large", ZONES[2], "spot"))
        )
        stage.finish()
        return record(stage, original=original, met=[fault.met for fault in stage.faults])


def claim_is_taken_over() -> Story:
    """A switch is so slow that its claim expires and another switch of the workload starts."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.adopt()
        stage.start(stage.order("web", ("m5a.large", ZONES[1], "spot"), name="slow"))
        stage.run_until_entered("WaitForTargets")
        (slow_replacement,) = stage.alive() - {original}
        boto3.client("dynamodb").update_item(
            TableName=stage.account.outputs["LedgerTable"],
            Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": "web"}},
            UpdateExpression="SET claim_expires_at = :past",
            ExpressionAttributeValues={":past": {"S": "2026-03-01T00:00:00.000Z"}},
        )
        stage.start(stage.order("web", ("m6i.large", ZONES[2], "spot"), name="fast"))
        stage.finish()
        return record(
            stage,
            original=original,
            slow_replacement=slow_replacement,
            replacement=stage.workload()["instance_id"],
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


def claims_that_are_refused() -> Story:
    """Switches that may not begin: one runs already, the decision is old, its name was used, the
    original no longer belongs to the workload, the global stop is set."""
    with open_stage() as stage:
        stage.launch()
        stage.adopt()
        place = ("m5a.large", ZONES[1], "spot")
        second = stage.order("web", place, name="second")
        moved = stage.order("web", place, name="moved")
        minutes = stage.account.clock.now() - timedelta(minutes=16)
        stage.start(stage.order("web", place, name="stale", decided_at=minutes.isoformat()))
        stage.finish()
        stage.start(stage.order("web", place, name="first"))
        stage.run_until_entered("WaitForBoot")
        stage.start(second)
        stage.finish()
        now = stage.account.clock.now().isoformat()
        stage.start({**moved, "decided_at": now})
        stage.finish()
        stage.command(command="stop")
        stage.start(stage.order("web", ("m5.large", ZONES[0], "spot"), name="stopped"))
        stage.finish()
        return record(stage)


def launch_replies_are_all_lost() -> Story:
    """The launch function launches, but none of its replies arrives."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.faults.append(lost("Invoke", step("LaunchReplacement")))
        stage.force()
        stage.finish()
        return record(stage, original=original, next_cycle=stage.cycle())


def lost_replacement_cannot_be_looked_for() -> Story:
    """No reply of the launch arrives, and EC2 refuses to list instances."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.faults += [
            lost("Invoke", step("LaunchReplacement")),
            Fault("DescribeInstances"),
        ]
        stage.force()
        stage.finish()
        return record(stage, original=original)


def claim_replies_are_all_lost() -> Story:
    """ClaimSwitch claims, but none of its replies arrives; for one of two, the release fails as well."""
    with open_stage() as stage:
        for workload in ("web", "stuck"):
            stage.launch(workload)
        stage.adopt()
        stage.faults += [
            lost("Invoke", step("UpdateLedger", "claim")),
            Fault("Invoke", workload="stuck", when=step("UpdateLedger", "unclaim")),
        ]
        for workload in ("web", "stuck"):
            stage.force(workload)
        stage.finish()
        return record(stage)


def claim_never_arrives() -> Story:
    """The ledger function is unavailable while the claim is tried."""
    with open_stage() as stage:
        stage.launch()
        stage.adopt()
        stage.faults.append(Fault("Invoke", when=step("UpdateLedger", "claim")))
        stage.force()
        stage.finish()
        return record(stage)
