"""Stages and stories: whole scenarios in the embedded account."""

from collections.abc import Callable, Iterator

import pytest

from simulator.stage import SEED, Stage, open_stage
from tests.workflow.story import Story, StoryOf, run


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A deployed product that acts, with nothing to manage yet."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        yield opened


@pytest.fixture(scope="session")
def story_of() -> StoryOf:
    """Runs a scenario once and keeps its story for all claims about it."""
    stories: dict[str, Story] = {}

    def once(scenario: Callable[[], Story]) -> Story:
        if scenario.__name__ not in stories:
            stories[scenario.__name__] = run(scenario)
        return stories[scenario.__name__]

    return once
