"""No path of the state machine is without a scenario that goes it."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.workflow.stage import TEMPLATE
from tests.workflow.stories import ALL, Edge, Story

Told = Callable[[Callable[[], Story]], Story]
STATES: dict[str, dict[str, Any]] = yaml.safe_load(
    (TEMPLATE.parent / "statemachines" / "switch_instance.asl.yaml").read_text()
)["States"]


@pytest.fixture(scope="module")
def stories(told: Told) -> list[Story]:
    """Every scenario of the switch, told."""
    return [told(scenario) for scenario in ALL]


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
