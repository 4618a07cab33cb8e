"""An interruption meets a switch in flight: it is taken over, not raced."""

import pytest

from tests.workflow import scenarios_of_rescues as scenarios
from tests.workflow.story import Story, Told


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
def test_one_machine_is_left_and_it_has_the_address(told: Told, scenario: object) -> None:
    """Whenever the interruption comes: the workload runs once, the switch failed, the rescue did not."""
    story = told(scenario)  # type: ignore[arg-type]
    records = _records(story)
    graceful = records.pop("web-graceful")
    (rescue,) = records.values()
    assert (graceful["phase"], rescue["phase"]) == ("FAILED", "DONE")
    assert graceful["taken_over_by"] == rescue["switch_id"]
    assert story.alive == {story.workload()["instance_id"]}
    assert story.seen["address_holder"] == story.workload()["instance_id"]
    assert "claim_switch_id" not in story.workload()
    assert story.workload()["failures"] == 0


def test_a_replacement_that_is_there_is_used(told: Told) -> None:
    """The rescue launches nothing and commits on the machine that the switch had launched."""
    story = told(scenarios.switch_taken_over_after_its_launch)
    assert story.workload()["instance_id"] == story.seen["launched"]
    assert not story.calls_of("CreateFleet", "TerminateInstances")
    graceful = next(e for e in story.executions if e.state_machine == "SwitchInstance")
    assert graceful.error == "Superseded"
    assert not [a for a in story.alerts if "left as it is" in a]


def test_a_launch_that_was_under_way_is_ended_by_its_own_switch(told: Told) -> None:
    """The rescue could not know of it; the switch finds its claim gone and undoes what it did."""
    story = told(scenarios.switch_taken_over_while_it_launches)
    assert len(story.calls_of("CreateFleet")) == 1
    ended = {i for c in story.calls_of("TerminateInstances") for i in c.params["InstanceIds"]}
    assert len(ended) == 1
    assert story.seen["original"] not in ended


def test_the_end_of_an_original_after_the_commit_is_no_news(told: Told) -> None:
    """The workload runs elsewhere: no rescue starts."""
    story = told(scenarios.original_interrupted_after_the_commit)
    assert {e.state_machine for e in story.executions} == {"SwitchInstance"}
    assert story.execution().status == "SUCCEEDED"


def test_a_committed_switch_ends_its_original_while_its_replacement_is_rescued(told: Told) -> None:
    """Both runs succeed: the switch goes forward, the rescue moves the workload on."""
    story = told(scenarios.replacement_interrupted_after_the_commit)
    assert {(e.state_machine, e.status) for e in story.executions} == {
        ("SwitchInstance", "SUCCEEDED"),
        ("FailOver", "SUCCEEDED"),
    }
    assert story.alive == {story.workload()["instance_id"]}
    assert story.seen["targets"][story.workload()["instance_id"]] == "healthy"
    assert {record["phase"] for record in _records(story).values()} == {"DONE"}
