"""Lost replies, overlapping executions, late orders: one switch, one replacement, one original."""

from datetime import timedelta
from typing import Any

import pytest

from simulator.account.account import FunctionFailed
from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage
from tests.workflow.faults import step
from tests.workflow.scenarios_of_lost_replies import (
    UNSEEN_REPLACEMENT_ENDED,
    claim_is_taken_over,
    claim_never_arrives,
    claim_replies_are_all_lost,
    claims_that_are_refused,
    commit_replies_are_all_lost,
    every_reply_is_lost_once,
    failed_switch_loses_every_reply_once,
    launch_replies_are_all_lost,
    lost_replacement_cannot_be_looked_for,
)
from tests.workflow.story import StoryOf

PLACE = ("m5a.large", ZONES[1], "spot")


def test_a_commit_whose_replies_are_all_lost_goes_forward(story_of: StoryOf) -> None:
    """AbandonSwitch answers that it is committed, and the original is released and ended."""
    story = story_of(commit_replies_are_all_lost)
    states = story.execution().states
    assert story.seen["met"] > 1
    assert states[states.index("AbandonSwitch") :][:4] == (
        "AbandonSwitch",
        "AlreadyCommitted?",
        "GoForward",
        "ReleaseOriginal",
    )
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["original"] not in story.alive
    assert "abandoned_at" not in story.switch()
    assert list(story.seen["targets"].values()) == ["healthy"]


def test_a_launch_whose_replies_are_all_lost_leaves_nothing_behind(story_of: StoryOf) -> None:
    """The unseen replacement is found by the switch's name and ended; the workload stays managed."""
    story = story_of(launch_replies_are_all_lost)
    states = story.execution().states
    assert states[states.index("AbandonSwitch") :] == UNSEEN_REPLACEMENT_ENDED
    assert story.calls_of("RunInstances")
    assert story.alive == {story.seen["original"]}
    assert story.seen["next_cycle"]["refused"] == 0


def test_a_launch_that_cannot_be_searched_is_recorded(story_of: StoryOf) -> None:
    """The failure is on the record although the replacement could not be found."""
    story = story_of(lost_replacement_cannot_be_looked_for)
    assert story.execution().states[-5:] == (
        "WaitUntilListed", "FindReplacement", "AlertNotUndone", "RecordFailure", "NotSwitched",
    )  # fmt: skip
    assert story.switch()["phase"] == "FAILED"
    assert story.seen["original"] in story.alive


def test_a_claim_whose_replies_are_all_lost_is_released(story_of: StoryOf) -> None:
    """The claim was made, but its execution does not know it: it is released, and no failure counts."""
    story = story_of(claim_replies_are_all_lost)
    assert story.execution("web").states[-2:] == ("ReleaseClaim", "NotClaimed")
    assert story.switch("web")["phase"] == "FAILED"
    assert "claim_switch_id" not in story.workload("web")
    assert story.workload("web")["failures"] == 0
    assert not story.calls_of("RunInstances")


def test_a_claim_that_was_never_made_is_not_released(story_of: StoryOf) -> None:
    """The ledger function could not be reached at all: nothing is written."""
    story = story_of(claim_never_arrives)
    assert story.execution().states[-2:] == ("ReleaseClaim", "NotClaimed")
    assert "fence" not in story.workload()


def test_a_claim_that_cannot_be_released_sends_an_alert(story_of: StoryOf) -> None:
    """It blocks the workload until it expires."""
    story = story_of(claim_replies_are_all_lost)
    assert story.execution("stuck").states[-2:] == ("AlertLeftAsIs", "LeftAsIs")
    assert len([alert for alert in story.alerts if "Workload stuck" in alert]) == 1


def test_every_step_may_lose_its_reply(story_of: StoryOf) -> None:
    """Each of the twelve calls is repeated, and the switch succeeds."""
    story = story_of(every_reply_is_lost_once)
    assert set(story.seen["met"].values()) == {1}
    assert story.execution().status == "SUCCEEDED"
    assert story.alive == {story.seen["replacement"]}
    assert story.seen["targets"] == {story.seen["replacement"]: "healthy"}


def test_a_repeated_launch_finds_its_first_instance(story_of: StoryOf) -> None:
    """Two calls with one client token, one instance ever launched beside the original."""
    story = story_of(every_reply_is_lost_once)
    first, second = story.calls_of("RunInstances")
    assert first.params["ClientToken"] == second.params["ClientToken"]
    launched = [i.result["instance_id"] for i in story.trace if i.function == "LaunchReplacement"]
    assert launched == [story.seen["replacement"]] * 2


def test_a_repeated_claim_keeps_its_token(story_of: StoryOf) -> None:
    """The second try gets the token of the first: the fence is raised once."""
    story = story_of(every_reply_is_lost_once)
    claims = [
        i.result["token"]
        for i in story.trace
        if i.function == "UpdateLedger" and i.event["action"] == "claim"
    ]
    assert claims == ["1", "1"]
    assert story.workload()["fence"] == 1


def test_a_repeated_success_is_announced_once(story_of: StoryOf) -> None:
    """A lost reply of RecordSuccess sends no second event."""
    calls = story_of(every_reply_is_lost_once).calls_of("PutEvents")
    kinds = [entry["DetailType"] for call in calls for entry in call.params["Entries"]]
    assert kinds.count("Spot Optimizer Switch") == 1


def test_a_failure_may_lose_its_replies(story_of: StoryOf) -> None:
    """Refusal, abandonment and failure are each written once, although each was requested twice."""
    story = story_of(failed_switch_loses_every_reply_once)
    assert story.seen["met"] == [1, 1, 1]
    assert story.alive == {story.seen["original"]}
    assert len(story.switch()["refusals"]) == 1
    assert (story.workload()["failures"], story.workload()["backoffs"]) == (1, 1)


def test_a_run_that_lost_its_claim_cannot_commit(story_of: StoryOf) -> None:
    """It ends its own replacement. The newer switch succeeds, and an instance always runs."""
    story = story_of(claim_is_taken_over)
    slow = next(e for e in story.executions if e.name == "web-slow")
    fast = next(e for e in story.executions if e.name == "web-fast")
    assert (slow.status, fast.status) == ("FAILED", "SUCCEEDED")
    commits = [i for i in story.trace if i.event.get("action") == "commit" and i.error is None]
    assert [i.event["switch_id"] for i in commits] == ["web-fast"]
    assert story.alive == {story.seen["replacement"]}
    assert story.seen["replacement"] != story.seen["slow_replacement"]
    assert story.seen["address_holder"] == story.seen["replacement"]
    assert story.seen["targets"][story.seen["replacement"]] == "healthy"
    assert story.workload()["failures"] == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("web-stale", "is too old"),
        ("web-second", "switch 'web-first' of this workload is running"),
        ("web-moved", "not on i-"),
        ("web-stopped", "global stop is set"),
    ],
)
def test_a_claim_is_refused_with_its_reason(story_of: StoryOf, name: str, why: str) -> None:
    """Nothing is launched for a switch that may not begin, and its execution says why."""
    story = story_of(claims_that_are_refused)
    execution = next(e for e in story.executions if e.name == name)
    assert execution.states == ("Resumed?", "ClaimSwitch", "NotClaimed")
    assert execution.error == "ClaimRefused"
    assert why in (execution.cause or "")
    assert len(story.calls_of("RunInstances")) == 1
    assert f"SWITCH#{name}" not in {item["sk"] for item in story.items}


def test_a_stale_token_writes_nothing(stage: Stage) -> None:
    """A step with an older token than the record's fails with ClaimLost; the ledger does not change."""
    stage.launch()
    stage.adopt()
    stage.start(stage.order("web", PLACE))
    stage.run_until_entered("WaitForBoot")
    held = {"workload_id": "web", "switch_id": "web-by-hand", "token": "0"}
    steps: dict[str, dict[str, Any]] = {
        "refuse": {"attempt": 1, "cause": "{}"},
        "commit": {},
        "abandon": {},
        "succeed": {},
        "fail": {"failure": {}},
    }
    before = stage.items()
    for action, rest in steps.items():
        with pytest.raises(FunctionFailed) as refused:
            stage.account.invoke("UpdateLedger", {**held, "action": action, **rest})
        assert refused.value.error_type == "ClaimLost", action
    assert stage.items() == before


def test_an_abandoned_switch_cannot_commit(stage: Stage) -> None:
    """A commit that arrives later is refused in whatever phase the switch was."""
    original = stage.launch()
    stage.adopt()
    commit = step("UpdateLedger", "commit")
    stage.faults.append(Fault("Invoke", code="ServiceException", when=commit, times=1))
    stage.start(stage.order("web", PLACE))
    stage.run_until_entered("CommitSwitch")
    assert stage.switches()[0]["phase"] == "HANDED_OVER"
    held = {"workload_id": "web", "switch_id": "web-by-hand", "token": "1"}
    answer = stage.account.invoke("UpdateLedger", {**held, "action": "abandon"})
    assert answer == {"committed": None, "adopted": False, "runs_on": original}
    with pytest.raises(FunctionFailed, match="ClaimLost"):
        stage.account.invoke("UpdateLedger", {**held, "action": "commit"})
    assert stage.finish().error == "NotSwitched"
    assert stage.alive() == {original}


def test_an_abandoned_switch_cannot_launch(stage: Stage) -> None:
    """A launch that arrives late is refused."""
    original = stage.launch()
    stage.adopt()
    order = stage.order("web", PLACE)
    claim = stage.account.invoke("UpdateLedger", {"action": "claim", "order": order})
    held = {"workload_id": "web", "switch_id": order["switch_id"], "token": claim["token"]}
    stage.account.invoke("UpdateLedger", {**held, "action": "abandon"})
    launch = {**held, "attempt": claim["attempt"], "launch_template": order["launch_template"]}
    with pytest.raises(FunctionFailed, match="ClaimLost"):
        stage.account.invoke("LaunchReplacement", launch)
    assert stage.alive() == {original}


def test_one_decision_starts_one_switch(stage: Stage) -> None:
    """The same decision made twice has one execution: its name is the decision's."""
    stage.launch()
    stage.adopt()
    first, second = stage.force(), stage.force()
    assert first["started"]
    assert first["made"][0]["decision_id"] == second["made"][0]["decision_id"]
    stage.finish()
    assert len(stage.account.executions()) == 1
    assert len(stage.calls_of("RunInstances")) == 1


def test_a_cycle_does_not_touch_a_workload_in_a_switch(stage: Stage) -> None:
    """While a switch runs, original and replacement are no duplicates and no second switch starts."""
    original = stage.launch()
    stage.adopt()
    stage.force()
    stage.run_until_entered("InspectReplacement")
    assert [stage.world.state_of(i) for i in stage.alive()] == ["running", "running"]
    summary = stage.cycle()
    assert summary["refused"] == 0
    assert summary["workloads"] == 1
    (held,) = stage.force(instance_type="m6i.large")["made"]
    assert "is still running" in held["held_by"]
    stage.finish()
    assert original not in stage.alive()
    assert len(stage.alive()) == 1


def test_cooldown_holds_planned_switches_but_not_forced_ones(stage: Stage) -> None:
    """Within ten minutes after a switch a planned one waits; a forced one does not."""
    stage.launch()
    stage.adopt()
    stage.force(lifecycle="on-demand", instance_type="m5.large")
    stage.finish()
    held = next(iter(stage.cycle()["made"]))
    assert held["kind"] == "SWITCH"
    assert "cooldown" in held["held_by"]
    stage.account.run_for(timedelta(minutes=11))
    assert stage.cycle()["started"]
