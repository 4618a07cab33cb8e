"""What a load balancer sends to a private address follows the machine, and never goes to a stranger."""

from tests.workflow.scenarios_of_addresses import (
    clean_switch_by_address,
    original_ends_before_its_address_is_taken_out,
    replacement_ends_while_registered_by_address,
)
from tests.workflow.story import Told


def test_an_address_leaves_when_the_replacements_is_healthy(told: Told) -> None:
    """While the original is taken out both are healthy, and it ends when it has drained."""
    story = told(clean_switch_by_address)
    original, replacement = story.seen["address"], story.seen["replacement_address"]
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["targets_at_leave"] == {original: "healthy", replacement: "healthy"}
    assert story.seen["targets_at_end"] == {replacement: "healthy"}
    assert story.seen["original"] not in story.alive


def test_an_address_is_noted_before_it_is_registered(told: Told) -> None:
    """The run carries both addresses before the only trace that could get lost is made."""
    story = told(clean_switch_by_address)
    (known,) = story.seen["known_at_registration"]
    assert f'"replacement_addresses":["{story.seen["replacement_address"]}"]' in known
    assert f'"original_addresses":["{story.seen["address"]}"]' in known


def test_an_address_of_a_replacement_that_ended_is_taken_out(told: Told) -> None:
    """ELB keeps an address whose machine is gone, and EC2 gives the address to the next one."""
    story = told(replacement_ends_while_registered_by_address)
    first, _ = story.executions
    first_address, _ = story.seen["addresses"]
    assert first.error == "NotSwitched"
    assert story.seen["targets_after_undo"] == {
        story.seen["address"]: "healthy",
        first_address: "draining",
    }


def test_an_address_that_still_drains_is_registered_later(told: Told) -> None:
    """The next replacement has the address that was just taken out: the switch waits and succeeds."""
    story = told(replacement_ends_while_registered_by_address)
    first_address, second_address = story.seen["addresses"]
    assert second_address == first_address
    assert story.seen["targets_at_second"][second_address] == "draining"
    assert story.execution().status == "SUCCEEDED"
    assert story.alive == {story.seen["replacement"]}
    assert not [call for call in story.calls_of("RegisterTargets") if call.error]


def test_an_address_of_an_original_that_ended_is_taken_out(told: Told) -> None:
    """The release knows the address from the hand-over, not from EC2."""
    story = told(original_ends_before_its_address_is_taken_out)
    assert story.seen["original_at_release"] == ["terminated"]
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["targets"] == {story.seen["replacement_address"]: "healthy"}
