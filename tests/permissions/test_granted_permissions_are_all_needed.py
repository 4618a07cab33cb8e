"""Some call of the product needs every action, resource and listed value of every role."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pytest

from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import REGION
from simulator.permissions.demand import Demand
from simulator.permissions.policies import Role
from simulator.permissions.services import KeysOfTransactions, Place, service_demands
from simulator.permissions.usage import Part, needed_parts, parts_of
from simulator.stage import SEED, Stage
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
    transactions: Mapping[KeysOfTransactions, frozenset[tuple[Role, Demand]]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Everything that three lives of a stack demanded of its roles."""
    print(f"seed {SEED}")
    granted: set[Part] = set()
    needed: set[Part] = set()
    denied: list[tuple[str, Demand]] = []
    transactions: dict[KeysOfTransactions, set[tuple[Role, Demand]]] = defaultdict(set)
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
            for meaning in KeysOfTransactions:
                transactions[meaning] |= set(_transactions(stage, allowed, meaning))
    kept = {meaning: frozenset(demands) for meaning, demands in transactions.items()}
    return Seen(frozenset(granted), frozenset(needed), tuple(denied), kept)


def _transactions(
    stage: Stage, roles: Iterable[Role], meaning: KeysOfTransactions
) -> Iterator[tuple[Role, Demand]]:
    """What the stack's transactions demand if ``dynamodb:LeadingKeys`` has this meaning."""
    by_name = {role.name.removesuffix("Role"): role for role in roles}
    place = Place(ACCOUNT_ID, REGION, lambda _bucket, _key: True, meaning)
    for call in stage.calls_of("TransactWriteItems"):
        for asked in service_demands("dynamodb", call.operation, call.params, place):
            yield by_name[call.caller], asked


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


@pytest.mark.parametrize(
    "meaning", [KeysOfTransactions.OF_EACH_PART, KeysOfTransactions.OF_ALL_PARTS]
)
def test_transactions_are_allowed_whatever_their_keys_mean(
    seen: Seen, meaning: KeysOfTransactions
) -> None:
    """AWS does not document whether a part has its own partition key or all of the transaction's."""
    asked = seen.transactions[meaning]
    assert {role.name for role, _ in asked} >= {"SweepRole", "UpdateLedgerRole"}
    assert [(r.name, each) for r, each in asked if not r.decides(each).allowed] == []


def test_transactions_without_a_key_are_denied(seen: Seen) -> None:
    """A request whose partitions IAM does not see writes nothing, and deletes nothing."""
    asked = seen.transactions[KeysOfTransactions.MISSING]
    assert {each.action.partition(":")[2] for _, each in asked} >= {"DeleteItem", "UpdateItem"}
    assert all(each.values("dynamodb:leadingkeys") is None for _, each in asked)
    assert [(r.name, each) for r, each in asked if r.decides(each).allowed] == []


def test_exceptions_are_still_needed(seen: Seen) -> None:
    """A statement that is used, or gone, needs no exception."""
    never = {part.sid for part in seen.granted - seen.needed}
    assert never >= set(NOT_SEEN_HERE)
