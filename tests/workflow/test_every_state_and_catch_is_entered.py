"""No path of the state machine is without a scenario that goes it."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.workflow.scenarios_after_the_commit import (
    every_step_after_the_commit_fails,
    nobody_can_be_told,
)
from tests.workflow.scenarios_before_the_commit import (
    every_step_before_the_commit_fails,
    launching_breaks,
    replacement_never_passes_its_checks,
    target_never_healthy,
    undoing_fails,
)
from tests.workflow.scenarios_of_left_overs import executions_are_stopped_by_hand
from tests.workflow.scenarios_of_lost_replies import (
    claim_replies_are_all_lost,
    claims_that_are_refused,
    commit_replies_are_all_lost,
    launch_replies_are_all_lost,
    lost_replacement_cannot_be_looked_for,
)
from tests.workflow.scenarios_of_refusals import (
    first_two_pools_are_full,
    no_capacity_three_times,
    refusal_cannot_be_noted,
)
from tests.workflow.scenarios_of_rescues import switch_taken_over_after_its_launch
from tests.workflow.scenarios_without_trouble import (
    clean_switch,
    switch_from_a_persistent_request,
    switch_that_leaves_the_original,
)
from tests.workflow.stage import TEMPLATE
from tests.workflow.story import Edge, Story, Told

STATES: dict[str, dict[str, Any]] = yaml.safe_load(
    (TEMPLATE.parent / "statemachines" / "switch_instance.asl.yaml").read_text()
)["States"]

SCENARIOS: tuple[Callable[[], Story], ...] = (
    clean_switch,
    switch_that_leaves_the_original,
    switch_from_a_persistent_request,
    first_two_pools_are_full,
    no_capacity_three_times,
    refusal_cannot_be_noted,
    launching_breaks,
    launch_replies_are_all_lost,
    lost_replacement_cannot_be_looked_for,
    replacement_never_passes_its_checks,
    target_never_healthy,
    every_step_before_the_commit_fails,
    undoing_fails,
    every_step_after_the_commit_fails,
    nobody_can_be_told,
    claim_replies_are_all_lost,
    commit_replies_are_all_lost,
    claims_that_are_refused,
    executions_are_stopped_by_hand,
    switch_taken_over_after_its_launch,
)


@pytest.fixture(scope="module")
def stories(told: Told) -> list[Story]:
    """Every scenario of the switch, told."""
    return [told(scenario) for scenario in SCENARIOS]


def test_every_state_is_entered(stories: list[Story]) -> None:
    """Names come from the state machine's own file: a new state needs a scenario."""
    entered = frozenset[str]().union(*(story.states for story in stories))
    assert set(STATES) - entered == set()


def test_every_catch_is_taken(stories: list[Story]) -> None:
    """Each Catch of each state is the way of at least one scenario."""
    taken = frozenset[Edge]().union(*(story.edges for story in stories))
    written = {
        Edge(name, catch["Next"], caught=True)
        for name, state in STATES.items()
        for catch in state.get("Catch", ())
    }
    assert len(written) >= 20
    assert written - taken == set()


def test_every_choice_is_made(stories: list[Story]) -> None:
    """Each way out of each Choice is taken by at least one scenario."""
    taken = frozenset[Edge]().union(*(story.edges for story in stories))
    written = {
        Edge(name, following, caught=False)
        for name, state in STATES.items()
        if state["Type"] == "Choice"
        for following in (*(c["Next"] for c in state["Choices"]), state["Default"])
    }
    assert written - taken == set()
