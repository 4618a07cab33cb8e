"""Leftovers of switches are cleared within two sweeps, and nothing else is touched."""

from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.deployed import STACK, ZONES
from simulator.invariants import Auditor
from simulator.stage import Stage
from tests.workflow.faults import step
from tests.workflow.scenarios_after_the_commit import AFTER_COMMIT
from tests.workflow.scenarios_before_the_commit import UNDOING
from tests.workflow.scenarios_of_leftovers import (
    ABORTED,
    BETWEEN_SWEEPS,
    aftermath_fails_and_is_swept,
    claims_and_launches_are_lost_and_swept,
    executions_are_stopped_by_hand,
    replacement_ends_with_the_address,
    sweep_until_quiet,
    undoing_fails_and_is_swept,
)
from tests.workflow.story import Story, StoryOf

SCENARIOS = (
    undoing_fails_and_is_swept,
    aftermath_fails_and_is_swept,
    executions_are_stopped_by_hand,
    claims_and_launches_are_lost_and_swept,
    replacement_ends_with_the_address,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_two_sweeps_are_enough_and_a_third_changes_nothing(
    story_of: StoryOf, scenario: Callable[[], Story]
) -> None:
    """Invariants 3 and 10 hold after the second sweep; the third finds nothing and writes nothing."""
    story = story_of(scenario)
    assert story.seen["found"][0]
    assert story.seen["again"] == []
    assert story.seen["unchanged"]


# --- before the commit ---------------------------------------------------------------------------


def test_an_undo_that_failed_is_done(story_of: StoryOf) -> None:
    """Every original is the only instance of its workload, with its targets and its address."""
    story = story_of(undoing_fails_and_is_swept)
    originals = story.seen["originals"]
    assert story.alive == set(originals.values())
    assert story.seen["held_before"] not in story.alive
    assert story.seen["address_holder"] == originals["UndoHandOver"]
    healthy = [i for i, health in story.seen["targets"].items() if health == "healthy"]
    assert healthy == [originals["UndoHandOver"]]


def test_an_address_that_went_with_the_replacement_comes_back(story_of: StoryOf) -> None:
    """No instance has it any more; the order of the switch names its original."""
    story = story_of(replacement_ends_with_the_address)
    original = story.seen["original"]
    assert story.seen["held_before"] != original
    assert story.seen["address_holder"] == original
    assert story.alive == {original}
    assert story.switch()["phase"] == "FAILED"


@pytest.mark.parametrize("state", UNDOING)
def test_a_swept_failure_counts_once(story_of: StoryOf, state: str) -> None:
    """The record is FAILED, the claim released, and the workload has one failure, not two."""
    story = story_of(undoing_fails_and_is_swept)
    workload = story.workload(workload_id := state.lower())
    assert story.switch(workload_id)["phase"] == "FAILED"
    assert workload["failures"] == 1
    assert "claim_switch_id" not in workload


def test_a_resumption_is_an_execution_of_the_switch(story_of: StoryOf) -> None:
    """It has the switch's name, begins at AbandonSwitch and says why it was started."""
    story = story_of(undoing_fails_and_is_swept)
    resumed = story.execution("abandonswitch")
    assert resumed.name == f"{story.switch('abandonswitch')['switch_id']}-resume-1"
    assert resumed.states[:2] == ("Resumed?", "AbandonSwitch")
    assert "execution has ended as FAILED" in resumed.input["failure"]["Cause"]
    assert story.switch("abandonswitch")["outcome"]["summary"].startswith("LeftUnfinished")


def test_a_dead_claim_without_a_launch_is_no_failure(story_of: StoryOf) -> None:
    """The claim whose answer was lost is released. Nothing was launched, so no failure counts."""
    story = story_of(claims_and_launches_are_lost_and_swept)
    assert story.switch("claimed")["phase"] == "FAILED"
    assert story.workload("claimed")["failures"] == 0
    assert "claim_switch_id" not in story.workload("claimed")


def test_a_lost_replacement_is_found_by_its_switch(story_of: StoryOf) -> None:
    """No record has its id; tag and client token identify its switch."""
    story = story_of(claims_and_launches_are_lost_and_swept)
    assert "replacement_id" not in story.switch("launched")
    assert story.alive == set(story.seen["originals"].values())


# --- after the commit ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", AFTER_COMMIT)
def test_a_committed_switch_is_finished(story_of: StoryOf, state: str) -> None:
    """It goes forward: DONE, on its replacement, the claim released."""
    story = story_of(aftermath_fails_and_is_swept)
    workload = story.workload(state.lower())
    assert story.switch(state.lower())["phase"] == "DONE"
    assert workload["instance_id"] == story.switch(state.lower())["replacement_id"]
    assert "claim_switch_id" not in workload
    assert workload["failures"] == 0


def test_only_the_original_that_its_user_keeps_is_left(story_of: StoryOf) -> None:
    """Originals end, also that of the persistent request, which does not come back."""
    story = story_of(aftermath_fails_and_is_swept)
    left = {state for state, i in story.seen["originals"].items() if i in story.alive}
    assert left == {"LeaveOriginal"}
    assert len(story.alive) == len(AFTER_COMMIT) + 1
    assert list(story.seen["targets"].values()) == ["healthy"]


# --- executions that a person stopped ------------------------------------------------------------


@pytest.mark.parametrize("state", ABORTED)
def test_a_stopped_execution_is_finished_or_rolled_back(story_of: StoryOf, state: str) -> None:
    """Stopped before the commit, it is rolled back; after it, finished. One instance is left."""
    story = story_of(executions_are_stopped_by_hand)
    assert story.switch(state.lower())["phase"] == ABORTED[state]
    original = story.seen["originals"][state]
    own = story.workload(state.lower())["instance_id"]
    assert (own == original) == (ABORTED[state] == "FAILED")
    assert len(story.alive) == len(ABORTED)
    assert own in story.alive
    assert story.seen["targets"][own] == "healthy"


def test_a_running_switch_is_not_touched(stage: Stage) -> None:
    """Sweeps in every state find nothing, and the switch succeeds in one execution."""
    group = stage.world.create_target_group("shop")
    stage.launch(target_group_arn=group, address=True)
    stage.adopt()
    stage.force()
    while stage.account.executions()[-1].status == "RUNNING":
        assert stage.sweep() == []
        due = stage.account.clock.next_deadline()
        assert due is not None
        stage.account.run_until(due)
    assert stage.sweep() == []
    (execution,) = stage.account.executions()
    assert execution.status == "SUCCEEDED"


def test_an_execution_that_has_just_ended_is_not_touched(stage: Stage) -> None:
    """A step of a stopped execution may still run until its function times out."""
    stage.launch()
    stage.adopt()
    stage.force()
    stage.run_until_entered("WaitForBoot")
    boto3.client("stepfunctions").stop_execution(executionArn=stage.account.executions()[-1].arn)
    stage.finish()
    stage.account.run_for(timedelta(seconds=90))
    assert stage.sweep() == []
    stage.account.run_for(timedelta(seconds=60))
    assert [finding["action"] for finding in stage.sweep()] == ["resume"]


# --- instances -----------------------------------------------------------------------------------


def test_an_instance_without_a_record_is_removed_and_reported(stage: Stage) -> None:
    """An instance that we launched for a switch without a record is ended when it is ten minutes old. A
    copy that a user launched with the same tags stays."""
    original = stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.force()
    assert stage.finish().error == "CommittedUnfinished"
    (replacement,) = stage.alive() - {original}
    ledger = boto3.client("dynamodb")
    table = stage.account.outputs["LedgerTable"]
    record = stage.switches()[0]
    ledger.delete_item(TableName=table, Key={k: {"S": record[k]} for k in ("pk", "sk")})
    pointer = {"pk": {"S": f"INSTANCE#{replacement}"}, "sk": {"S": "POINTER"}}
    ledger.delete_item(TableName=table, Key=pointer)
    ledger.update_item(
        TableName=table,
        Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": "web"}},
        UpdateExpression="SET instance_id = :original REMOVE claim_switch_id",
        ExpressionAttributeValues={":original": {"S": original}},
    )
    tags = stage.world.tags_of(replacement).items()
    copy = stage.launch(None, tags={k: v for k, v in tags if not k.startswith("aws:")})
    stage.account.run_for(timedelta(minutes=11))
    auditor = Auditor(stage.account, stage.world, STACK)
    (found,) = stage.sweep()
    assert (found["action"], replacement in found["reason"]) == ("remove", True)
    assert stage.alive() == {original, copy}
    assert any(replacement in call.params["Message"] for call in stage.calls_of("Publish"))
    assert auditor.checks > 0


def test_the_last_instance_of_a_workload_is_never_removed(stage: Stage) -> None:
    """The original ends while its switch is interrupted: the replacement stays, and the next cycle adopts
    it."""
    original = stage.launch()
    stage.adopt()
    stage.force()
    stage.run_until_entered("WaitForBoot")
    boto3.client("stepfunctions").stop_execution(executionArn=stage.account.executions()[-1].arn)
    stage.finish()
    (replacement,) = stage.alive() - {original}
    stage.world.terminate_instance(original)
    swept = sweep_until_quiet_of_one(stage)
    assert swept == ["end"]
    assert stage.alive() == {replacement}
    stage.cycle()
    assert (stage.workload()["instance_id"], stage.workload()["status"]) == (replacement, "managed")


def sweep_until_quiet_of_one(stage: Stage) -> list[str]:
    """Actions of two sweeps."""
    actions = []
    for _ in range(2):
        stage.account.run_for(BETWEEN_SWEEPS)
        actions += [finding["action"] for finding in stage.sweep()]
        stage.finish()
    return actions


def test_instances_of_users_are_not_touched(stage: Stage) -> None:
    """Instances without our tag, of other stacks, and the second of two with one workload id run on. The
    sweep only reads and takes its lease."""
    stage.launch()
    stage.launch(zone=ZONES[1])
    stage.launch("other", tags={"spot-optimizer:managed": "another-stack"})
    stage.world.launch_instance("m5.large", ZONES[0], tags={"Name": "none of ours"})
    stage.adopt()
    before = stage.alive()
    stage.api.clear()
    assert stage.sweep() == []
    assert stage.alive() == before
    made = {call.operation for call in stage.api}
    assert made <= {"PutItem", "DescribeInstances", "Query", "GetItem", "DeleteItem"}


# --- trouble while sweeping ----------------------------------------------------------------------


def test_one_bad_item_stops_no_other(stage: Stage) -> None:
    """Of two leftovers one cannot be cleared. The other is, and the next sweep retries the first."""
    for workload in ("bad", "good"):
        stage.launch(workload)
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    for workload in ("bad", "good"):
        stage.force(workload)
    stage.finish()
    stage.faults[:] = [
        Fault("StartExecution", caller="Sweep", when=lambda p: p["name"].startswith("bad-"))
    ]
    stage.account.run_for(BETWEEN_SWEEPS)
    assert len(stage.sweep()) == 2
    stage.finish()
    assert stage.switches("good")[0]["phase"] == "DONE"
    assert stage.switches("bad")[0]["phase"] == "COMMITTED"
    stage.faults.clear()
    stage.account.run_for(BETWEEN_SWEEPS)
    stage.sweep()
    stage.finish()
    assert stage.switches("bad")[0]["phase"] == "DONE"


def test_a_damaged_record_does_not_count_as_missing(stage: Stage) -> None:
    """Its replacement is not ended, and the other workload is swept nevertheless."""
    for workload in ("bad", "good"):
        stage.launch(workload)
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.world.fail_status_checks("m5a.large", ZONES[1])
    for workload in ("bad", "good"):
        stage.force(workload)
    stage.finish()
    record = stage.switches("bad")[0]
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"],
        Key={k: {"S": record[k]} for k in ("pk", "sk")},
        UpdateExpression="SET phase = :phase",
        ExpressionAttributeValues={":phase": {"S": "OF_A_LATER_VERSION"}},
    )
    stage.faults.clear()
    assert sweep_until_quiet_of_one(stage) == ["resume"]
    assert record["replacement_id"] in stage.alive()
    assert stage.switches("good")[0]["replacement_id"] not in stage.alive()


def test_a_resumption_that_fails_is_retried_after_a_longer_wait(stage: Stage) -> None:
    """A problem for a person sends no alert every ten minutes; once solved, the switch is finished."""
    stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.force()
    stage.finish()
    for _ in range(24):
        stage.account.run_for(BETWEEN_SWEEPS)
        stage.sweep()
        stage.finish()
    alerts = [call for call in stage.calls_of("Publish") if "could not be released" in str(call)]
    assert 4 <= len(alerts) <= 9
    stage.faults.clear()
    stage.account.run_for(timedelta(hours=1))
    assert [finding["action"] for finding in stage.sweep()] == ["resume"]
    stage.finish()
    assert stage.switches()[0]["phase"] == "DONE"
    assert len(stage.alive()) == 1


def test_an_original_is_ended_even_when_the_claim_was_taken_over(stage: Stage) -> None:
    """Its switch was interrupted after the commit until the claim expired and another switch was made."""
    original = stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.force()
    stage.finish()
    stage.faults.clear()
    stage.account.run_for(timedelta(hours=4))
    stage.force(zone=ZONES[2])
    assert stage.finish().status == "SUCCEEDED"
    swept = sweep_until_quiet(stage, stage.account.clock.now())
    assert swept["again"] == []
    assert original not in stage.alive()
    assert stage.alive() == {stage.workload()["instance_id"]}
    assert [switch["phase"] for switch in stage.switches()] == ["DONE", "DONE"]


def test_a_taken_over_run_ends_its_own_record(stage: Stage) -> None:
    """Another switch has its claim, so it changes neither the claim nor the count of failures."""
    stage.launch()
    stage.adopt()
    stage.faults.append(Fault("Invoke", when=step("UpdateLedger", "abandon")))
    stage.world.fail_status_checks("m5a.large", ZONES[1])
    stage.force()
    assert stage.finish().error == "LeftAsIs"
    stage.faults.clear()
    stage.account.run_for(timedelta(hours=4))
    stage.force(zone=ZONES[2])
    stage.run_until_entered("WaitForBoot")
    held_by = stage.workload()["claim_switch_id"]
    assert stage.sweep() == []
    assert stage.workload()["claim_switch_id"] == held_by
    stage.finish()
    sweep_until_quiet(stage, stage.account.clock.now())
    assert [switch["phase"] for switch in stage.switches()] == ["FAILED", "DONE"]
    assert stage.workload()["failures"] == 0
    assert len(stage.alive()) == 1


def test_a_dry_run_finds_but_touches_no_instance(stage: Stage) -> None:
    """The answer lists the leftover, and it is cleared when the dry run is over."""
    stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.force()
    stage.finish()
    stage.faults.clear()
    stage.command(command="set-threshold", name="dry_run", value=True)
    assert sweep_until_quiet_of_one(stage) == ["resume", "resume"]
    assert len(stage.alive()) == 2
    stage.command(command="set-threshold", name="dry_run", value=None)
    assert sweep_until_quiet_of_one(stage) == ["resume"]
    assert len(stage.alive()) == 1


def test_a_second_sweep_does_nothing(stage: Stage) -> None:
    """The lease prevents two sweeps at a time."""
    boto3.client("dynamodb").put_item(
        TableName=stage.account.outputs["LedgerTable"],
        Item={
            "pk": {"S": "STACK"},
            "sk": {"S": "LEASE#sweep"},
            "holder": {"S": "another"},
            "expires_at": {"S": "2026-03-02T00:05:00.000Z"},
        },
    )
    assert stage.account.invoke("Sweep", {"trigger": "schedule"}) == {
        "skipped": "another sweep is running"
    }
