"""An interruption during a switch: the failover takes the switch over."""

import pytest

from tests.workflow import scenarios_of_failovers as scenarios
from tests.workflow.story import Story, StoryOf


def _records(story: Story) -> dict[str, dict[str, object]]:
    return {
        str(item["switch_id"]): dict(item)
        for item in story.items
        if str(item["sk"]).startswith("SWITCH#")
    }


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.switch_taken_over_before_its_launch,
        scenarios.switch_taken_over_while_it_launches,
        scenarios.switch_taken_over_after_its_launch,
    ],
    ids=["before its launch", "while it launches", "after its launch"],
)
def test_one_instance_is_left_and_it_has_the_address(story_of: StoryOf, scenario: object) -> None:
    """Whenever the interruption comes: one instance runs, the switch failed, the failover succeeded."""
    story = story_of(scenario)  # type: ignore[arg-type]
    records = _records(story)
    graceful = records.pop("web-graceful")
    (failover,) = records.values()
    assert (graceful["phase"], failover["phase"]) == ("FAILED", "DONE")
    assert graceful["taken_over_by"] == failover["switch_id"]
    assert story.alive == {story.workload()["instance_id"]}
    assert story.seen["address_holder"] == story.workload()["instance_id"]
    assert "claim_switch_id" not in story.workload()
    assert story.workload()["failures"] == 0


def test_a_launched_replacement_is_used(story_of: StoryOf) -> None:
    """The failover launches nothing and commits the instance that the switch had launched."""
    story = story_of(scenarios.switch_taken_over_after_its_launch)
    assert story.workload()["instance_id"] == story.seen["launched"]
    assert not story.calls_of("CreateFleet", "TerminateInstances")
    graceful = next(e for e in story.executions if e.state_machine == "SwitchInstance")
    assert graceful.error == "Superseded"
    assert not [a for a in story.alerts if "left as it is" in a]


def test_a_launch_in_progress_is_ended_by_its_own_switch(story_of: StoryOf) -> None:
    """The failover could not know of it. The switch finds its claim lost and ends its replacement."""
    story = story_of(scenarios.switch_taken_over_while_it_launches)
    assert len(story.calls_of("CreateFleet")) == 1
    ended = {i for c in story.calls_of("TerminateInstances") for i in c.params["InstanceIds"]}
    assert len(ended) == 1
    assert story.seen["original"] not in ended


def test_the_end_of_an_original_after_the_commit_starts_no_failover(story_of: StoryOf) -> None:
    """The workload runs on its replacement."""
    story = story_of(scenarios.original_interrupted_after_the_commit)
    assert {e.state_machine for e in story.executions} == {"SwitchInstance"}
    assert story.execution().status == "SUCCEEDED"


def test_a_committed_switch_ends_its_original_during_a_failover(story_of: StoryOf) -> None:
    """Both succeed: the switch ends its original, the failover replaces the switch's replacement."""
    story = story_of(scenarios.replacement_interrupted_after_the_commit)
    assert {(e.state_machine, e.status) for e in story.executions} == {
        ("SwitchInstance", "SUCCEEDED"),
        ("FailOver", "SUCCEEDED"),
    }
    assert story.alive == {story.workload()["instance_id"]}
    assert story.seen["targets"][story.workload()["instance_id"]] == "healthy"
    assert {record["phase"] for record in _records(story).values()} == {"DONE"}
