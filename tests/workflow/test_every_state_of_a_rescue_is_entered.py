"""No path of FailOver is without a scenario that goes it."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.workflow import scenarios_of_rescues as scenarios
from tests.workflow.stage import TEMPLATE
from tests.workflow.story import Edge, Story, Told

STATES: dict[str, dict[str, Any]] = yaml.safe_load(
    (TEMPLATE.parent / "statemachines" / "fail_over.asl.yaml").read_text()
)["States"]

SCENARIOS: tuple[Callable[[], Story], ...] = (
    scenarios.clean_rescue,
    scenarios.rescue_without_a_target_group,
    scenarios.original_only_stops,
    scenarios.persistent_request_is_interrupted,
    scenarios.all_spot_pools_are_full,
    scenarios.nothing_has_capacity,
    scenarios.switch_taken_over_after_its_launch,
    scenarios.every_step_of_a_rescue_fails,
    scenarios.undoing_a_rescue_fails,
    scenarios.launch_replies_of_a_rescue_are_lost,
    scenarios.claim_replies_of_a_rescue_are_lost,
    scenarios.commit_replies_of_a_rescue_are_lost,
    scenarios.rescue_under_the_global_stop,
    scenarios.replacement_never_runs,
    scenarios.ending_a_rescue_fails,
    scenarios.nobody_hears_of_failed_rescues,
)


@pytest.fixture(scope="module")
def stories(told: Told) -> list[Story]:
    """Every scenario of the rescue, told."""
    return [told(scenario) for scenario in SCENARIOS]


def test_every_state_of_a_rescue_is_entered(stories: list[Story]) -> None:
    """Names come from the state machine's own file: a new state needs a scenario."""
    entered = frozenset[str]().union(*(story.states for story in stories))
    assert set(STATES) - entered == set()


def test_every_catch_of_a_rescue_is_taken(stories: list[Story]) -> None:
    """Each Catch of each state is the way of at least one scenario."""
    taken = frozenset[Edge]().union(*(story.edges for story in stories))
    written = {
        Edge(name, catch["Next"], caught=True)
        for name, state in STATES.items()
        for catch in state.get("Catch", ())
    }
    assert len(written) >= 20
    assert written - taken == set()


def test_every_choice_of_a_rescue_is_made(stories: list[Story]) -> None:
    """Each way out of each Choice is taken by at least one scenario."""
    taken = frozenset[Edge]().union(*(story.edges for story in stories))
    written = {
        Edge(name, following, caught=False)
        for name, state in STATES.items()
        if state["Type"] == "Choice"
        for following in (*(c["Next"] for c in state["Choices"]), state["Default"])
    }
    assert written - taken == set()
