"""EC2 takes an instance back: another one has its place, and nothing of ours ends the original."""

from datetime import datetime, timedelta

import pytest

from tests.workflow import scenarios_of_rescues as scenarios
from tests.workflow.story import Story, Told


def _hand_over_s(story: Story, workload: str = "web") -> float:
    switch = story.switch(workload)
    times = [datetime.fromisoformat(switch[name]) for name in ("claimed_at", "handed_over_at")]
    return (times[1] - times[0]) / timedelta(seconds=1)


def test_a_warned_workload_moves_with_its_targets_and_address(told: Told) -> None:
    """One execution of FailOver from warning to end; traffic reaches the replacement only."""
    story = told(scenarios.clean_rescue)
    execution = story.execution()
    assert (execution.state_machine, execution.status) == ("FailOver", "SUCCEEDED")
    assert story.alive == {story.seen["replacement"]}
    assert story.workload()["instance_id"] == story.seen["replacement"]
    assert story.seen["targets"][story.seen["replacement"]] == "healthy"
    assert story.seen["address_holder"] == story.seen["replacement"]
    assert story.seen["tags"]["team"] == "shop"
    assert story.seen["tags"]["spot-optimizer:switch"] == execution.name


def test_a_rescue_terminates_nothing(told: Told) -> None:
    """The original ends by EC2's hand alone."""
    story = told(scenarios.clean_rescue)
    assert not story.calls_of("TerminateInstances")
    assert story.seen["original_ended_by"][0] == "Server.SpotInstanceTermination"


def test_a_rescue_is_started_from_four_reads_and_no_description(told: Told) -> None:
    """Between the warning and the start there are pointer, workload and plan, and one note."""
    story = told(scenarios.clean_rescue)
    calls = [c.operation for c in story.api if c.caller == "HandleSignal"]
    first = calls[: calls.index("StartExecution")]
    assert first == ["GetItem", "GetItem", "UpdateItem", "GetItem"]


def test_without_a_target_group_the_commit_follows_running(told: Told) -> None:
    """No status check is waited for: the hand-over comes with the boot, within a minute."""
    story = told(scenarios.rescue_without_a_target_group)
    assert not story.calls_of("DescribeInstanceStatus")
    assert _hand_over_s(story) < 60
    assert story.switch()["outcome"]["downtime_s"] == 0
    assert story.seen["next_cycle"]["workloads"] == 1
    assert story.seen["next_cycle"]["refused"] == 0


def test_one_call_tries_all_spot_pools_of_the_plan(told: Told) -> None:
    """CreateFleet names every pool of the standing plan, and what it chose is on the record."""
    story = told(scenarios.rescue_without_a_target_group)
    (call,) = story.calls_of("CreateFleet")
    (config,) = call.params["LaunchTemplateConfigs"]
    plan = next(i for i in story.items if i["pk"] == "PLANS")
    assert {f"{o['InstanceType']}" for o in config["Overrides"]} == {
        pool.split("/")[0] for pool in plan["pools"]
    }
    switch = story.switch()
    chosen = switch["order"]["candidates"][switch["candidate"]]
    workload = story.workload()
    assert (chosen["instance_type"], chosen["availability_zone"]) == (
        workload["instance_type"], workload["availability_zone"],
    )  # fmt: skip


def test_on_demand_is_the_last_resort(told: Told) -> None:
    """Where no spot pool has capacity the home type is bought, in the next zone if need be."""
    story = told(scenarios.all_spot_pools_are_full)
    assert story.execution().status == "SUCCEEDED"
    workload = story.workload()
    assert workload["lifecycle"] == "on-demand"
    assert (workload["instance_type"], workload["availability_zone"]) == (
        "m5.large", "us-east-1b",
    )  # fmt: skip
    assert [r["code"] for r in story.switch()["refusals"]] == ["InsufficientInstanceCapacity"] * 2


def test_a_workload_that_cannot_be_rescued_is_told(told: Told) -> None:
    """Nowhere is capacity: a person hears of it, and it is no failure of the workload. When EC2 has
    ended the original it is tried once more."""
    story = told(scenarios.nothing_has_capacity)
    assert [e.error for e in story.executions] == ["NotFailedOver"] * 2
    assert len([a for a in story.alerts if "could not replace it" in a]) == 2
    assert story.workload().get("failures", 0) == 0
    assert "claim_switch_id" not in story.workload()


def test_an_original_that_only_stopped_is_let_go_and_told(told: Told) -> None:
    """After ten minutes it is there still: success, without our tag on it, and an alert."""
    story = told(scenarios.original_only_stops)
    assert story.execution().status == "SUCCEEDED"
    assert story.switch()["outcome"]["original_remains"] is True
    assert "spot-optimizer:managed" not in story.seen["tags"]
    assert story.seen["original"] in story.alive
    assert not story.calls_of("TerminateInstances", "CancelSpotInstanceRequests")
    assert len([a for a in story.alerts if "has not terminated it" in a]) == 1


def test_a_persistent_request_brings_no_ghost(told: Told) -> None:
    """It is cancelled before EC2 terminates the original, and nothing is launched in its name."""
    story = told(scenarios.persistent_request_is_interrupted)
    assert len(story.calls_of("CancelSpotInstanceRequests")) == 1
    assert story.alive == {story.workload()["instance_id"]}


def test_the_global_stop_holds_a_rescue(told: Told) -> None:
    """Nothing is launched, and the execution says why."""
    story = told(scenarios.rescue_under_the_global_stop)
    assert story.execution().error == "ClaimRefused"
    assert "global stop" in (story.execution().cause or "")
    assert not story.calls_of("CreateFleet", "RunInstances")


def test_a_lost_commit_reply_goes_forward(told: Told) -> None:
    """What was committed is not undone."""
    story = told(scenarios.commit_replies_of_a_rescue_are_lost)
    assert story.execution().status == "SUCCEEDED"
    assert story.alive == {story.workload()["instance_id"]}


@pytest.mark.parametrize("state", ["RecordLaunched", "HandOver", "CommitFailOver"])
def test_a_rescue_that_fails_leaves_no_second_machine(told: Told, state: str) -> None:
    """Before the commit its own replacement is ended, the record says FAILED, a person hears of it."""
    story = told(scenarios.every_step_of_a_rescue_fails)
    name = state.lower()
    assert story.switch(name)["phase"] == "FAILED"
    assert story.switch(name).get("replacement_id") not in story.alive
    assert [a for a in story.alerts if f"Workload {name} loses" in a]


def test_a_rescue_after_its_commit_does_not_need_the_original(told: Told) -> None:
    """Where the original cannot be taken out of its groups the rescue succeeds all the same."""
    story = told(scenarios.every_step_of_a_rescue_fails)
    assert story.execution("releaseoriginal").status == "SUCCEEDED"


def test_a_replacement_that_never_runs_is_given_up(told: Told) -> None:
    """Three minutes of looking, then the failure is recorded and told."""
    story = told(scenarios.replacement_never_runs)
    assert story.execution().error == "NotFailedOver"
    assert "was not running" in str(story.switch()["outcome"]["summary"])
