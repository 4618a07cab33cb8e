"""Without the tag ``state`` a workload is held, unless it was adopted when no tag was demanded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE, StateRule, state_rule
from spot_optimizer.decision.world import Force, World
from spot_optimizer.vocabulary import DecisionKind, Pool
from tests.decision.worlds import CATALOG, HERE, NOW, REGION, market, workload

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
BEFORE = SINCE - timedelta(seconds=1)
MARKET = market({HERE: 0.09, Pool("m5.xlarge", "us-east-1b"): 0.03})


@pytest.mark.parametrize(
    ("known", "adopted_at", "ended", "rule"),
    [
        ("", BEFORE, False, StateRule.KEPT),
        ("kept", BEFORE, False, StateRule.KEPT),
        ("", BEFORE, True, StateRule.HELD),
        ("kept", BEFORE, True, StateRule.HELD),
        ("tagged", BEFORE, False, StateRule.HELD),
        ("held", BEFORE, False, StateRule.HELD),
        ("", SINCE, False, StateRule.HELD),
        ("", None, False, StateRule.HELD),
    ],
    ids=[
        "adopted before",
        "seen again",
        "the parameter ends it",
        "the parameter ends it later",
        "the tag was there and was removed",
        "held before",
        "adopted by older code during the update",
        "new",
    ],
)
def test_a_workload_without_the_tag_is_moved_only_by_the_old_rule(
    known: str, adopted_at: datetime | None, ended: bool, rule: StateRule
) -> None:
    """Its adoption was before the tag was demanded, it was never tagged, and nobody ended the rule."""
    found = state_rule(
        known,
        tagged=False,
        adopted_at=adopted_at,
        demanded_since=SINCE,
        old_rule_ended=ended,
    )
    assert found is rule


@given(
    known=st.sampled_from(["", *StateRule, "a later version's"]),
    adopted_at=st.none() | st.sampled_from([BEFORE, SINCE]),
    since=st.none() | st.just(SINCE),
    ended=st.booleans(),
)
def test_a_workload_with_the_tag_is_never_held(
    known: str, adopted_at: datetime | None, since: datetime | None, ended: bool
) -> None:
    """Whatever the ledger and the parameters say."""
    found = state_rule(
        known, tagged=True, adopted_at=adopted_at, demanded_since=since, old_rule_ended=ended
    )
    assert found is StateRule.TAGGED


@pytest.mark.parametrize("case", ["planned", "urgent", "forced"])
def test_nothing_moves_a_workload_without_its_state(case: str) -> None:
    """The switch is decided and recorded; planned, urgent or forced, the tag to write holds it first."""
    view = workload(state_missing=True, signals={HERE: NOW} if case == "urgent" else {})
    force = {"web-1": Force("ann")} if case == "forced" else {}
    world = World((view, replace(view, workload_id="web-2", state_missing=False)), MARKET, CATALOG)
    held, free = decide(replace(world, force=force), NOW, region=REGION)
    assert (held.kind, held.held_by) == (DecisionKind.SWITCH, WITHOUT_STATE)
    assert (free.kind, free.held_by) == (DecisionKind.SWITCH, "")
