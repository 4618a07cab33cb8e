"""A target that is registered by its private address is handed over, and never to another instance."""

from tests.workflow.scenarios_of_addresses import (
    clean_switch_by_address,
    original_ends_before_its_address_is_deregistered,
    replacement_ends_while_registered_by_address,
)
from tests.workflow.story import StoryOf


def test_address_is_deregistered_only_when_the_replacements_is_healthy(story_of: StoryOf) -> None:
    """Both are healthy when the original is deregistered, and it is terminated when it has drained."""
    story = story_of(clean_switch_by_address)
    original, replacement = story.seen["address"], story.seen["replacement_address"]
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["targets_at_deregistration"] == {original: "healthy", replacement: "healthy"}
    assert story.seen["targets_at_end"] == {replacement: "healthy"}
    assert story.seen["original"] not in story.alive


def test_addresses_are_recorded_before_the_registration(story_of: StoryOf) -> None:
    """The execution has both addresses before it changes the target group."""
    story = story_of(clean_switch_by_address)
    (known,) = story.seen["known_at_registration"]
    assert f'"replacement_addresses":["{story.seen["replacement_address"]}"]' in known
    assert f'"original_addresses":["{story.seen["address"]}"]' in known


def test_address_of_an_ended_replacement_is_deregistered(story_of: StoryOf) -> None:
    """ELB keeps the address of an ended instance, and EC2 gives it to the next one."""
    story = story_of(replacement_ends_while_registered_by_address)
    first, _ = story.executions
    first_address, _ = story.seen["addresses"]
    assert first.error == "NotSwitched"
    assert story.seen["targets_after_undo"] == {
        story.seen["address"]: "healthy",
        first_address: "draining",
    }


def test_address_that_is_draining_is_registered_later(story_of: StoryOf) -> None:
    """The next replacement has the address that was just deregistered: the switch waits and succeeds."""
    story = story_of(replacement_ends_while_registered_by_address)
    first_address, second_address = story.seen["addresses"]
    assert second_address == first_address
    assert story.seen["targets_at_second"][second_address] == "draining"
    assert story.execution().status == "SUCCEEDED"
    assert story.alive == {story.seen["replacement"]}
    assert not [call for call in story.calls_of("RegisterTargets") if call.error]


def test_address_of_an_ended_original_is_deregistered(story_of: StoryOf) -> None:
    """The release has the address from the hand-over, not from EC2."""
    story = story_of(original_ends_before_its_address_is_deregistered)
    assert story.seen["original_at_release"] == ["terminated"]
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["targets"] == {story.seen["replacement_address"]: "healthy"}
