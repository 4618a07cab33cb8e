"""EC2 interrupts an instance: another one takes its place, and we never end the original."""

from datetime import datetime, timedelta

import pytest

from simulator.call_log import ApiCall
from tests.workflow import scenarios_of_failovers as scenarios
from tests.workflow.story import Story, StoryOf


def _hand_over_s(story: Story, workload: str = "web") -> float:
    switch = story.switch(workload)
    times = [datetime.fromisoformat(switch[name]) for name in ("claimed_at", "handed_over_at")]
    return (times[1] - times[0]) / timedelta(seconds=1)


def test_a_warned_workload_moves_with_its_targets_and_address(story_of: StoryOf) -> None:
    """One execution of FailOver from warning to end; traffic reaches the replacement only."""
    story = story_of(scenarios.clean_failover)
    execution = story.execution()
    assert (execution.state_machine, execution.status) == ("FailOver", "SUCCEEDED")
    assert story.alive == {story.seen["replacement"]}
    assert story.workload()["instance_id"] == story.seen["replacement"]
    assert story.seen["targets"][story.seen["replacement"]] == "healthy"
    assert story.seen["address_holder"] == story.seen["replacement"]
    assert story.seen["tags"]["team"] == "shop"
    assert story.seen["tags"]["spot-optimizer:switch"] == execution.name


def test_a_failover_terminates_nothing(story_of: StoryOf) -> None:
    """Only EC2 ends the original."""
    story = story_of(scenarios.clean_failover)
    assert not story.calls_of("TerminateInstances")
    assert story.seen["original_ended_by"][0] == "Server.SpotInstanceTermination"


def test_a_failover_starts_after_four_reads_without_a_describe_call(story_of: StoryOf) -> None:
    """Between the warning and the start, pointer, workload and plan are read and one item is written."""
    story = story_of(scenarios.clean_failover)
    calls = [c.operation for c in story.api if c.caller == "HandleSignal"]
    first = calls[: calls.index("StartExecution")]
    assert first == ["GetItem", "GetItem", "UpdateItem", "GetItem"]


def test_without_a_target_group_the_commit_follows_running(story_of: StoryOf) -> None:
    """It does not wait for status checks: the hand-over comes within a minute, as the instance boots."""
    story = story_of(scenarios.failover_without_a_target_group)
    assert not story.calls_of("DescribeInstanceStatus")
    assert _hand_over_s(story) < 60
    assert story.switch()["outcome"]["downtime_s"] == 0
    assert story.seen["next_cycle"]["workloads"] == 1
    assert story.seen["next_cycle"]["refused"] == 0


def test_one_call_tries_all_spot_pools_of_the_plan(story_of: StoryOf) -> None:
    """CreateFleet names every pool of the standing plan, and its choice is on the record."""
    story = story_of(scenarios.failover_without_a_target_group)
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


def test_on_demand_is_the_last_resort(story_of: StoryOf) -> None:
    """If no spot pool has capacity, the home type is launched on-demand, if necessary in another zone."""
    story = story_of(scenarios.all_spot_pools_are_full)
    assert story.execution().status == "SUCCEEDED"
    workload = story.workload()
    assert workload["lifecycle"] == "on-demand"
    assert (workload["instance_type"], workload["availability_zone"]) == (
        "m5.large", "us-east-1b",
    )  # fmt: skip
    assert [r["code"] for r in story.switch()["refusals"]] == ["InsufficientInstanceCapacity"] * 2


def test_a_failover_without_any_capacity_sends_an_alert(story_of: StoryOf) -> None:
    """No pool has capacity: an alert is sent, and no failure counts. When EC2 has ended the original, the
    failover is tried once more."""
    story = story_of(scenarios.nothing_has_capacity)
    assert [e.error for e in story.executions] == ["NotFailedOver"] * 2
    assert len([a for a in story.alerts if "could not replace it" in a]) == 2
    assert story.workload().get("failures", 0) == 0
    assert "claim_switch_id" not in story.workload()


def test_an_original_that_only_stopped_is_released_and_reported(story_of: StoryOf) -> None:
    """After ten minutes it still exists: success, our tag is removed, and an alert is sent."""
    story = story_of(scenarios.original_only_stops)
    assert story.execution().status == "SUCCEEDED"
    assert story.switch()["outcome"]["original_remains"] is True
    assert "spot-optimizer:managed" not in story.seen["tags"]
    assert story.seen["original"] in story.alive
    assert not story.calls_of("TerminateInstances", "CancelSpotInstanceRequests")
    assert len([a for a in story.alerts if "has not terminated it" in a]) == 1


def test_a_persistent_request_launches_no_second_instance(story_of: StoryOf) -> None:
    """It is cancelled before EC2 terminates the original, and launches nothing. It is cancelled again
    afterwards, because that is not done while the original is stopped."""
    story = story_of(scenarios.persistent_request_is_interrupted)
    assert len(story.calls_of("CancelSpotInstanceRequests")) == 2
    assert story.alive == {story.workload()["instance_id"]}


def test_the_global_stop_holds_a_failover(story_of: StoryOf) -> None:
    """Nothing is launched, and the execution says why."""
    story = story_of(scenarios.failover_under_the_global_stop)
    assert story.execution().error == "ClaimRefused"
    assert "global stop" in (story.execution().cause or "")
    assert not story.calls_of("CreateFleet", "RunInstances")


def test_a_lost_commit_reply_goes_forward(story_of: StoryOf) -> None:
    """What was committed is not undone."""
    story = story_of(scenarios.commit_replies_of_a_failover_are_lost)
    assert story.execution().status == "SUCCEEDED"
    assert story.alive == {story.workload()["instance_id"]}


@pytest.mark.parametrize("state", ["RecordLaunched", "CheckReplacement"])
def test_a_failover_that_fails_leaves_no_second_instance(story_of: StoryOf, state: str) -> None:
    """Before it is known to run its replacement is ended, the record says FAILED, an alert is sent."""
    story = story_of(scenarios.every_step_of_a_failover_fails)
    name = state.lower()
    assert story.switch(name)["phase"] == "FAILED"
    assert story.switch(name).get("replacement_id") not in story.alive
    assert [a for a in story.alerts if f"Workload {name} loses" in a]


@pytest.mark.parametrize(
    "state", ["RecordRunning", "HandOver", "RecordHandedOver", "CommitFailOver"]
)
def test_a_failover_keeps_a_replacement_that_runs(story_of: StoryOf, state: str) -> None:
    """Whatever fails for good afterwards: it is committed, and what it may lack is owed."""
    story = story_of(scenarios.every_step_of_a_failover_fails)
    name = state.lower()
    switch = story.switch(name)
    assert switch["phase"] == "DONE"
    assert switch["replacement_id"] in story.alive
    assert story.workload(name)["instance_id"] == switch["replacement_id"]
    assert [
        i["switch_id"] for i in story.items if i["pk"] == "DEBTS" and i["workload_id"] == name
    ] == [switch["switch_id"]]
    assert [a for a in story.alerts if f"Workload '{name}' runs on {switch['replacement_id']}" in a]


def test_a_failover_after_its_commit_does_not_need_the_original(story_of: StoryOf) -> None:
    """If the original cannot be deregistered, the failover succeeds nevertheless."""
    story = story_of(scenarios.every_step_of_a_failover_fails)
    assert story.execution("releaseoriginal").status == "SUCCEEDED"


def test_a_replacement_that_never_runs_is_given_up(story_of: StoryOf) -> None:
    """After three minutes the failure is recorded and an alert is sent."""
    story = story_of(scenarios.replacement_never_runs)
    assert story.execution().error == "NotFailedOver"
    assert "was not running" in str(story.switch()["outcome"]["summary"])


def test_after_a_spot_replacement_that_cannot_start_comes_on_demand(story_of: StoryOf) -> None:
    """A key without its grant for EC2 Spot ends the replacement at once: the record says so, and the
    workload runs on-demand before EC2 ends the original."""
    story = story_of(scenarios.key_lacks_its_grant_for_spot)
    assert story.execution().status == "SUCCEEDED"
    assert story.workload()["lifecycle"] == "on-demand"
    assert story.alive == {story.workload()["instance_id"]}
    (refusal,) = story.switch()["refusals"]
    assert (refusal["code"], refusal["scope"]) == ("Client.InternalError", "lifecycle")
    assert "AWSServiceRoleForEC2Spot" in refusal["cure"]
    assert story.switch()["outcome"]["downtime_s"] == 0


def test_after_a_replacement_that_failed_on_its_host_comes_another_pool(story_of: StoryOf) -> None:
    """A second fleet tries the other spot pools; the pool is avoided for a while."""
    story = story_of(scenarios.host_of_the_replacement_fails)
    assert story.execution().status == "SUCCEEDED"
    first, second = (_pools_tried(call) for call in story.calls_of("CreateFleet"))
    (refusal,) = story.switch()["refusals"]
    candidates = story.switch()["order"]["candidates"]
    failed = candidates[refusal["candidate"]]
    assert (refusal["code"], refusal["scope"]) == ("Server.InternalError", "pool")
    assert first - second == {(failed["instance_type"], failed["subnet_id"])}
    assert story.workload()["lifecycle"] == "spot"
    assert story.alive == {story.workload()["instance_id"]}
    assert [i["sk"] for i in story.items if i["pk"] == "POOLS" and "REFUSED" in str(i)]


def _pools_tried(call: ApiCall) -> set[tuple[str, str]]:
    (config,) = call.params["LaunchTemplateConfigs"]
    return {(o["InstanceType"], o["SubnetId"]) for o in config["Overrides"]}
