"""A part of a policy is needed if a call would be denied without it."""

from typing import Any

from simulator.permissions.demand import Demand, demand
from simulator.permissions.policies import Role, read_statements
from simulator.permissions.usage import needed_parts, parts_of

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger"
GET, PUT = Demand("dynamodb:GetItem", TABLE), Demand("dynamodb:PutItem", TABLE)


def _role(*rows: dict[str, Any]) -> Role:
    full = [{"Effect": "Allow", "Sid": f"S{n}", **row} for n, row in enumerate(rows)]
    return Role("Tester", "arn", tuple(read_statements({"Statement": full}, "Tested")))


def _superfluous(role: Role, *asked: Demand) -> set[tuple[str, str, str]]:
    assert all(role.decides(each).allowed for each in asked)
    return {part[1:] for part in set(parts_of(role)) - set(needed_parts(role, asked))}


def test_action_that_nothing_calls_is_superfluous() -> None:
    """It is found beside one that is called."""
    role = _role({"Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": TABLE})
    assert _superfluous(role, GET) == {("S0", "Action", "dynamodb:PutItem")}
    assert _superfluous(role, GET, PUT) == set()


def test_resource_that_nothing_touches_is_superfluous() -> None:
    """A second table is named by its number in the list."""
    role = _role({"Action": "dynamodb:GetItem", "Resource": [TABLE, f"{TABLE}-old"]})
    assert _superfluous(role, GET) == {("S0", "Resource", "2 of 2")}


def test_action_that_another_statement_allows_too_is_superfluous() -> None:
    """Either of the two could go, so neither is needed."""
    narrow = {"Action": "dynamodb:GetItem", "Resource": TABLE}
    role = _role(narrow, {"Action": "dynamodb:*", "Resource": TABLE})
    assert {sid for sid, _, _ in _superfluous(role, GET)} == {"S0", "S1"}
    assert {sid for sid, _, _ in _superfluous(role, GET, PUT)} == {"S0"}


def test_condition_value_that_never_occurs_is_superfluous() -> None:
    """A single value is part of the statement; of several values each must occur."""
    condition = {"StringEquals": {"ec2:CreateAction": ["RunInstances", "CreateFleet"]}}
    role = _role({"Action": "ec2:CreateTags", "Resource": "*", "Condition": condition})
    run = demand(
        "ec2:CreateTags", "arn:aws:ec2:r:a:volume/*", {"ec2:CreateAction": ("RunInstances",)}
    )
    assert _superfluous(role, run) == {("S0", "ec2:createaction", "CreateFleet")}
