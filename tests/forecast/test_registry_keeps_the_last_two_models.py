"""The live model changes only in steps that can be undone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.forecast.model_registry import (
    RESERVED,
    SHIPPED_VERSION,
    NotPossible,
    Registry,
    Slot,
    is_version,
)

names = st.sampled_from(["a", "b", "c", "d", SHIPPED_VERSION])
steps = st.lists(
    st.tuples(st.sampled_from(["accepted", "activated", "rolled_back", "dropped", "tried"]), names),
    max_size=30,
)


def taken(registry: Registry, step: str, name: str) -> Registry:
    if step == "accepted":
        return registry.accepted(Slot(name, f"hash of {name}"))
    if step == "tried":
        return registry.tried(name, 0.5)
    if step == "rolled_back":
        return registry.rolled_back()
    return registry.activated(name) if step == "activated" else registry.dropped(name)


@given(steps)
def test_any_steps_leave_one_live_model_and_no_version_twice(steps: list[tuple[str, str]]) -> None:
    """At most three versions, each in one role; the live one was accepted or shipped."""
    registry, accepted = Registry(), {SHIPPED_VERSION}
    for step, name in steps:
        before = registry
        try:
            registry = taken(registry, step, name)
        except NotPossible:
            assert registry == before
            continue
        accepted |= {name} if step == "accepted" else set()
        kept = [slot.version for slot in registry.kept()]
        assert len(kept) == len(set(kept)) <= 3
        assert registry.pending is not None or not registry.trial_share
        if registry.pending != before.pending:
            assert not registry.trial_share, "another model begins with no share"
        assert set(kept) <= accepted
        if step in ("activated", "rolled_back"):
            assert registry.previous == before.live
            assert registry.live != before.live
            assert registry.rolled_back().live == before.live
        else:
            assert registry.live == before.live
        assert all(slot.sha256 for slot in registry.kept() if slot.version != SHIPPED_VERSION)


@given(steps)
def test_shipped_model_can_always_be_activated(steps: list[tuple[str, str]]) -> None:
    """From any state one step returns to the model of the deployment."""
    registry = Registry()
    for step, name in steps:
        try:
            registry = taken(registry, step, name)
        except NotPossible:
            continue
    if registry.live.version != SHIPPED_VERSION:
        assert registry.activated(SHIPPED_VERSION).live == Slot(SHIPPED_VERSION)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_never_accepted(name: str) -> None:
    """The product's own forecasts are scored under them."""
    with pytest.raises(NotPossible, match="already reserved"):
        Registry(live=Slot("x", "y")).accepted(Slot(name, "z"))


@pytest.mark.parametrize("text", ["", ".hidden", "a/b", "..", "a b", "x" * 65, "ä"])
def test_version_is_one_step_of_a_path(text: str) -> None:
    """A version becomes part of keys in the bucket."""
    assert not is_version(text)
