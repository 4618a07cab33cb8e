"""Whatever fails before the commit: the original keeps running and the replacement is ended."""

from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage, open_stage
from tests.workflow.faults import step
from tests.workflow.scenarios_before_the_commit import (
    BEFORE_COMMIT,
    every_step_before_the_commit_fails,
    launching_breaks,
    ledger_unreachable_after_the_launch,
    original_in_a_classic_load_balancer,
    replacement_dies_at_boot,
    replacement_never_passes_its_checks,
    target_never_healthy,
    undoing_fails,
)
from tests.workflow.story import Story, StoryOf

ENDS = {
    replacement_never_passes_its_checks: "not healthy within 10 minutes",
    replacement_dies_at_boot: "it is terminated: Client.UserInitiatedShutdown",
    target_never_healthy: "TargetsNotHealthy",
    original_in_a_classic_load_balancer: "Classic Load Balancer 'legacy'",
    launching_breaks: "Lambda.AccessDeniedException",
}


@pytest.mark.parametrize("scenario", ENDS, ids=lambda scenario: scenario.__name__)
def test_original_survives_and_the_reason_is_recorded(
    story_of: StoryOf, scenario: Callable[[], Story]
) -> None:
    """The original is the only instance left; the failure says why, counts, and releases the claim."""
    story = story_of(scenario)
    assert story.alive == {story.seen["original"]}
    assert story.execution().error == "NotSwitched"
    assert ENDS[scenario] in (story.execution().cause or "")
    switch, workload = story.switch(), story.workload()
    assert (switch["phase"], switch["outcome"]["counts"]) == ("FAILED", True)
    assert ENDS[scenario] in switch["outcome"]["summary"]
    assert workload["instance_id"] == story.seen["original"]
    assert workload["failures"] == 1
    assert "claim_switch_id" not in workload


def test_the_wait_for_health_is_limited(story_of: StoryOf) -> None:
    """A replacement that never passes its checks is ended ten minutes after its launch."""
    execution = story_of(replacement_never_passes_its_checks).execution()
    assert execution.stop is not None
    assert 10 <= (execution.stop - execution.start).total_seconds() / 60 <= 12


def test_a_target_that_stays_unhealthy_is_taken_out_again(story_of: StoryOf) -> None:
    """The replacement is deregistered before it ends; the original is healthy and kept its address."""
    story = story_of(target_never_healthy)
    healthy = [i for i, health in story.seen["targets"].items() if health == "healthy"]
    assert healthy == [story.seen["original"]]
    assert story.seen["address_holder"] == story.seen["original"]
    assert not story.calls_of("AssociateAddress")
    (taken_out,) = story.calls_of("DeregisterTargets")
    (ended,) = story.calls_of("TerminateInstances")
    assert story.api.index(taken_out) < story.api.index(ended)


def test_a_classic_load_balancer_is_refused_before_anything_moves(story_of: StoryOf) -> None:
    """Its target group and address are not touched, and the outcome says what to do."""
    story = story_of(original_in_a_classic_load_balancer)
    assert not story.calls_of("RegisterTargets", "DeregisterTargets", "AssociateAddress")
    summary = story.switch()["outcome"]["summary"]
    assert "with a target group instead of the Classic Load Balancer" in summary
    assert "spot-optimizer:mode = off" in summary


@pytest.mark.parametrize("state", BEFORE_COMMIT)
def test_a_switch_that_fails_in_any_state_is_undone(story_of: StoryOf, state: str) -> None:
    """A permanent error in any state before the commit ends in NotSwitched by AbandonSwitch; a launched
    replacement is ended."""
    story = story_of(every_step_before_the_commit_fails)
    execution = story.execution(state.lower())
    assert execution.states[execution.states.index(state) :] == (
        state,
        "AbandonSwitch",
        "AlreadyCommitted?",
        "ReplacementIsTheWorkload?",
        "UndoHandOver",
        "TerminateReplacement",
        "RecordFailure",
        "NotSwitched",
    )
    assert story.alive == set(story.seen["originals"].values())
    assert story.workload(state.lower())["instance_id"] == story.seen["originals"][state]


def test_targets_and_address_are_given_back(story_of: StoryOf) -> None:
    """A moved address is the original's again; every original is still registered."""
    story = story_of(every_step_before_the_commit_fails)
    healthy = {i for i, health in story.seen["targets"].items() if health == "healthy"}
    assert healthy == set(story.seen["originals"].values())
    assert len(story.calls_of("AssociateAddress")) == 2
    assert story.seen["address_holder"] == story.seen["originals"]["CommitSwitch"]


def test_a_failed_undo_keeps_the_replacement_and_sends_an_alert(story_of: StoryOf) -> None:
    """It may have the Elastic IP address: ending it could disconnect the workload."""
    story = story_of(undoing_fails)
    execution = story.execution("undohandover")
    assert execution.states[-4:] == (
        "UndoHandOver", "AlertNotUndone", "RecordFailure", "NotSwitched",
    )  # fmt: skip
    assert story.switch("undohandover")["phase"] == "FAILED"
    assert story.switch("undohandover")["replacement_id"] in story.alive
    told_about = [alert for alert in story.alerts if "Workload undohandover" in alert]
    assert story.switch("undohandover")["switch_id"] in told_about[0]


def test_an_account_without_free_concurrency_opens_no_breaker(stage: Stage) -> None:
    """Lambda throttled the launch: it counts neither for the workload nor for the stack."""
    stage.launch()
    stage.adopt()
    stage.faults.append(
        Fault("Invoke", code="TooManyRequestsException", when=step("LaunchReplacement"))
    )
    stage.force()
    stage.finish()
    (switch,) = stage.switches()
    assert (switch["phase"], switch["outcome"]["counts"]) == ("FAILED", False)
    assert "Lambda.TooManyRequestsException" in switch["outcome"]["summary"]
    assert stage.workload()["failures"] == 0
    assert stage.workload()["backoff_until"]


def test_a_switch_that_is_redriven_much_later_ends_no_workload(stage: Stage) -> None:
    """It was stopped, its original ended, its replacement became the workload; then it is redriven."""
    original = stage.launch()
    stage.adopt()
    stage.cycle()
    stage.force()
    stage.run_until_entered("WaitForBoot")
    (execution,) = stage.account.executions()
    boto3.client("stepfunctions").stop_execution(executionArn=execution.arn)
    stage.account.run_for(timedelta(minutes=1))
    (replacement,) = stage.alive() - {original}
    stage.world.terminate_instance(original)
    stage.account.run_for(timedelta(minutes=15))
    stage.sweep()
    stage.cycle()
    assert stage.workload()["instance_id"] == replacement
    stage.account.redrive(execution.name)
    stage.finish()
    assert stage.alive() == {replacement}
    (redriven,) = stage.account.executions()
    assert redriven.error == "Superseded"


def test_a_replacement_that_stayed_is_no_duplicate(stage: Stage) -> None:
    """Its workload stays managed, and can be switched again."""
    stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.world.fail_status_checks("m5a.large", ZONES[1])
    stage.force()
    assert stage.finish().error == "NotSwitched"
    stage.faults.clear()
    assert len(stage.alive()) == 2
    stage.cycle()
    assert stage.workload()["status"] == "managed"
    stage.force(zone=ZONES[2])
    assert stage.finish().status == "SUCCEEDED"


def test_a_replacement_that_cannot_be_ended_is_named_on_the_record(story_of: StoryOf) -> None:
    """The failure is recorded with the replacement's id, for a person to end it."""
    switch = story_of(undoing_fails).switch("terminatereplacement")
    assert switch["phase"] == "FAILED"
    assert switch["replacement_id"] in story_of(undoing_fails).alive


def test_a_failure_that_cannot_be_recorded_keeps_its_claim(story_of: StoryOf) -> None:
    """The execution fails with the reason; the claim stays until it expires, so nothing else starts."""
    story = story_of(undoing_fails)
    execution = story.execution("recordfailure")
    assert execution.states[-2:] == ("AlertLeftAsIs", "LeftAsIs")
    assert "not healthy" in (execution.cause or "")
    assert "claim_switch_id" in story.workload("recordfailure")
    assert story.switch("recordfailure")["replacement_id"] not in story.alive


def test_nothing_is_touched_when_the_ledger_cannot_be_read(story_of: StoryOf) -> None:
    """If it is unknown whether the switch is committed, both instances stay as they are."""
    story = story_of(ledger_unreachable_after_the_launch)
    assert story.execution().error == "LeftAsIs"
    assert len(story.alive) == 2
    assert not story.calls_of("TerminateInstances", "RegisterTargets", "AssociateAddress")
    assert story.execution("web").states[-3:] == (
        "AbandonSwitch", "AlertLeftAsIs", "LeftAsIs",
    )  # fmt: skip
    assert len(story.alerts) == 1


# --- breakers ------------------------------------------------------------------------------------


def _fail(stage: Stage, workload: str) -> None:
    stage.force(workload)
    assert stage.finish().error == "NotSwitched"


def test_third_failure_in_a_row_opens_the_breaker_once(stage: Stage) -> None:
    """Two failures change nothing, the third opens the breaker and alerts, a reset closes it."""
    stage.launch()
    stage.adopt()
    stage.world.fail_status_checks("m5a.large", ZONES[1])
    for failures in (1, 2, 3):
        assert "breaker_open_since" not in stage.workload()
        _fail(stage, "web")
        assert stage.workload()["failures"] == failures
    (alert,) = stage.calls_of("Publish")
    assert "workload 'web'" in alert.params["Message"]
    assert "reset-breaker" in alert.params["Message"]

    (held,) = stage.force()["made"]
    assert "breaker is open" in held["held_by"]
    stage.start(stage.order("web", ("m6i.large", ZONES[2], "spot")))
    assert stage.finish().error == "ClaimRefused"

    stage.command(command="reset-breaker", workload="web")
    assert stage.workload()["failures"] == 0
    assert stage.force(instance_type="m6i.large")["started"]
    assert stage.finish().status == "SUCCEEDED"
    assert len(stage.calls_of("Publish")) == 1


def test_three_workloads_failing_within_an_hour_open_the_stacks_breaker(stage: Stage) -> None:
    """The third workload that fails stops all switches; the reset permits the next one."""
    for workload in ("a", "b", "c", "d"):
        stage.launch(workload)
    stage.adopt()
    stage.world.fail_status_checks("m5a.large", ZONES[1])
    for workload in ("a", "a", "b"):
        _fail(stage, workload)
    assert "breaker_open_since" not in stage.item("STACK", "STATE")
    _fail(stage, "c")
    (alert,) = stage.calls_of("Publish")
    assert f"the whole stack '{stage.account.stack.name}'" in alert.params["Message"]

    (held,) = stage.force("d", "m6i.large")["made"]
    assert "stack's breaker" in held["held_by"]
    stage.start(stage.order("d", ("m6i.large", ZONES[2], "spot")))
    assert stage.finish().error == "ClaimRefused"

    stage.command(command="reset-breaker")
    assert stage.force("d", "m6i.large")["started"]
    assert stage.finish().status == "SUCCEEDED"


def test_failures_an_hour_apart_leave_the_stacks_breaker_closed() -> None:
    """Three workloads fail, the last one more than an hour after the first: no breaker opens."""
    with open_stage() as stage:
        for workload in ("a", "b", "c"):
            stage.launch(workload)
        stage.adopt()
        stage.faults.append(Fault("Invoke", when=step("InspectReplacement")))
        for workload in ("a", "b", "c"):
            _fail(stage, workload)
            stage.account.clock.run_until(stage.account.clock.now() + timedelta(minutes=40))
        assert "breaker_open_since" not in stage.item("STACK", "STATE")
        assert not stage.calls_of("Publish")
