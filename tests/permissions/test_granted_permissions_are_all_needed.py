"""Some call of the product needs every action, resource and listed value of every role."""

from typing import NamedTuple

import pytest

from simulator.permissions.demand import Demand
from simulator.permissions.policies import Role
from simulator.permissions.usage import Part, needed_parts, parts_of
from simulator.stage import SEED
from tests.permissions.lives import everyday, life, models, trouble

NOT_SEEN_HERE = {
    "DeliverLogs": "Step Functions itself delivers a state machine's log; there is no such delivery here"
}
"""Statements whose calls the embedded account does not see, by Sid."""


class Seen(NamedTuple):
    """The calls made with the roles, and the roles."""

    granted: frozenset[Part]
    needed: frozenset[Part]
    denied: tuple[tuple[str, Demand], ...]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Everything that three lives of a stack demanded of its roles."""
    print(f"seed {SEED}")
    granted: set[Part] = set()
    needed: set[Part] = set()
    denied: list[tuple[str, Demand]] = []
    for each in (everyday, trouble, models):
        with life(each) as stage:
            allowed: dict[Role, list[Demand]] = {}
            for (role, asked), verdict in stage.account.permissions.verdicts.items():
                if verdict.allowed:
                    allowed.setdefault(role, []).append(asked)
                else:
                    denied.append((role.name, asked))
            for role, demands in allowed.items():
                granted |= set(parts_of(role))
                needed |= set(needed_parts(role, demands))
    return Seen(frozenset(granted), frozenset(needed), tuple(denied))


def test_roles_miss_no_permission(seen: Seen) -> None:
    """No call was denied: all failures in these lives are injected."""
    assert seen.denied == ()


def test_every_role_is_at_work(seen: Seen) -> None:
    """Every function and state machine made calls."""
    assert len({part.role for part in seen.granted}) == 11
    assert {part.role for part in seen.needed} == {part.role for part in seen.granted}


def test_roles_have_no_unused_permission(seen: Seen) -> None:
    """Without any one part of any policy, a call would have been denied."""
    never = {part for part in seen.granted - seen.needed if part.sid not in NOT_SEEN_HERE}
    assert sorted(never) == []


def test_exceptions_are_still_needed(seen: Seen) -> None:
    """A statement that is used, or gone, needs no exception."""
    never = {part.sid for part in seen.granted - seen.needed}
    assert never >= set(NOT_SEEN_HERE)
