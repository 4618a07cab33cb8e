"""After the commit nothing is undone: steps are retried, and an unfinished switch stays on record."""

from datetime import timedelta

import pytest

from simulator.call_log import Fault
from simulator.stage import Stage
from tests.workflow.scenarios_after_the_commit import (
    AFTER_COMMIT,
    every_step_after_the_commit_fails,
    every_step_after_the_commit_fails_once,
    no_alert_can_be_sent,
)
from tests.workflow.story import StoryOf


@pytest.mark.parametrize("state", AFTER_COMMIT)
def test_a_step_that_keeps_failing_leaves_a_committed_record(story_of: StoryOf, state: str) -> None:
    """The workload runs on its replacement, nothing is undone, and the record stays COMMITTED."""
    story = story_of(every_step_after_the_commit_fails)
    workload, execution = state.lower(), story.execution(state.lower())
    assert execution.states[-3:] == (state, "AlertUnfinished", "CommittedUnfinished")
    assert any(f"Workload {workload} runs on its replacement" in alert for alert in story.alerts)
    assert execution.error == "CommittedUnfinished"
    assert "AbandonSwitch" not in execution.states
    switch = story.switch(workload)
    assert switch["phase"] == "COMMITTED"
    assert story.workload(workload)["instance_id"] == switch["replacement_id"]
    assert switch["replacement_id"] in story.alive


def test_only_committed_originals_are_ended(story_of: StoryOf) -> None:
    """An original is ended only by an execution that has reached that step."""
    story = story_of(every_step_after_the_commit_fails)
    gone = {state for state, i in story.seen["originals"].items() if i not in story.alive}
    assert gone == {"ConfirmOriginalGone", "RecordSuccess"}


def test_an_unfinished_committed_switch_keeps_its_claim(story_of: StoryOf) -> None:
    """Until it is finished, no other switch of the workload can begin."""
    story = story_of(every_step_after_the_commit_fails)
    for state in AFTER_COMMIT:
        assert "claim_switch_id" in story.workload(state.lower())


@pytest.mark.parametrize("state", AFTER_COMMIT)
def test_a_step_that_fails_once_is_repeated(story_of: StoryOf, state: str) -> None:
    """Whatever the error, each step after the commit is retried and the switch succeeds."""
    story = story_of(every_step_after_the_commit_fails_once)
    assert story.seen["met"] == [1] * len(AFTER_COMMIT)
    assert story.execution(state.lower()).status == "SUCCEEDED"
    assert story.switch(state.lower())["phase"] == "DONE"


def test_an_unfinished_switch_leaves_its_workload_managed(stage: Stage) -> None:
    """Its original still runs and has the same workload tag; even when the claim has expired, the
    two are no duplicates."""
    stage.launch()
    stage.adopt()
    stage.faults.append(Fault("TerminateInstances"))
    stage.force()
    assert stage.finish().error == "CommittedUnfinished"
    stage.account.run_for(timedelta(hours=4))
    stage.cycle()
    assert len(stage.alive()) == 2
    assert stage.workload()["status"] == "managed"


def test_an_alert_that_cannot_be_sent_changes_nothing_else(story_of: StoryOf) -> None:
    """The execution ends in the same state, with the same record."""
    story = story_of(no_alert_can_be_sent)
    assert not story.alerts or all(c.error for c in story.calls_of("Publish"))
    assert story.execution("terminateoriginal").error == "CommittedUnfinished"
    assert story.execution("undohandover").error == "NotSwitched"
    assert story.execution("abandonswitch").error == "LeftAsIs"
