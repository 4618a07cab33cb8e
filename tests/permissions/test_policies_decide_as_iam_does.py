"""The evaluator against the rules of the IAM User Guide ("Policy evaluation logic", "Condition
operators", "Condition operators for multivalued context keys")."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.permissions.conditions import PolicyError
from simulator.permissions.demand import Demand, demand
from simulator.permissions.policies import Role, managed_statements, read_statements

ROLE_ARN = "arn:aws:iam::123456789012:role/tester"
INSTANCE = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
TAG = "aws:ResourceTag/team"


def _role(*rows: dict[str, Any]) -> Role:
    statements = read_statements({"Statement": list(rows)}, "Tested")
    return Role("Tester", ROLE_ARN, tuple(statements))


def _allow(action: Any = "ec2:StopInstances", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def _asked(**context: tuple[str, ...]) -> Demand:
    """To stop an instance; ``team`` is its tag, ``keys`` are the tag keys of the request."""
    names = {"team": TAG, "keys": "aws:TagKeys", "region": "aws:RequestedRegion"}
    return demand("ec2:StopInstances", INSTANCE, {names[k]: v for k, v in context.items()})


def _allows(condition: dict[str, Any], asked: Demand) -> bool:
    return _role(_allow(Condition=condition)).decides(asked).allowed


def test_action_that_no_statement_allows_is_denied() -> None:
    """The default is deny."""
    assert not _role().decides(_asked()).allowed
    assert not _role(_allow("ec2:StartInstances")).decides(_asked()).allowed


def test_deny_wins_over_every_allow() -> None:
    """Whatever the order, and the verdict names the statement that denied."""
    deny = {"Sid": "Never", "Effect": "Deny", "Action": "ec2:*", "Resource": "*"}
    for rows in ([deny, _allow("*")], [_allow("*"), deny]):
        verdict = _role(*rows).decides(_asked())
        assert not verdict.allowed
        assert verdict.by
        assert verdict.by.sid == "Never"


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("ec2:StopInstances", True),
        ("EC2:stopinstances", True),
        ("ec2:Stop*", True),
        ("ec2:?topInstances", True),
        ("*", True),
        ("ec2:Start*", False),
        ("s3:*", False),
        ("ec2:StopInstance", False),
    ],
)
def test_actions_have_wildcards_and_no_case(action: str, allowed: bool) -> None:
    """``*`` is any run of characters, ``?`` is one."""
    assert _role(_allow(action)).decides(_asked()).allowed is allowed


@pytest.mark.parametrize(
    ("resource", "allowed"),
    [
        ("*", True),
        (INSTANCE, True),
        ("arn:aws:ec2:us-east-1:123456789012:instance/*", True),
        ("arn:aws:ec2:*:*:*/*", True),
        ("arn:aws:ec2:us-east-1:123456789012:instance/i-2", False),
        ("arn:aws:ec2:us-east-1:123456789012:volume/*", False),
        ("arn:aws:ec2:eu-west-1:123456789012:instance/*", False),
        ("arn:aws:ec2:us-east-1:999999999999:instance/*", False),
        ("arn:aws:ec2:us-east-1:123456789012:Instance/*", False),
        ("arn:aws:*:instance/i-1:x:y:z", False),
    ],
)
def test_wildcard_of_a_resource_stays_in_its_part_of_the_arn(resource: str, allowed: bool) -> None:
    """Every part of an ARN is matched by itself, in its case."""
    assert _role(_allow(resource=resource)).decides(_asked()).allowed is allowed


def test_action_without_resource_level_needs_a_star() -> None:
    """An action without a resource level, granted on an ARN, is not granted."""
    describe = demand("ec2:DescribeInstances")
    assert not _role(_allow("ec2:*", INSTANCE)).decides(describe).allowed
    assert _role(_allow("ec2:*")).decides(describe).allowed


def test_not_action_and_not_resource_allow_everything_else() -> None:
    """What they name is what they are not about."""
    others = {"Effect": "Allow", "NotAction": "ec2:Start*", "Resource": "*"}
    assert _role(others).decides(_asked()).allowed
    assert not _role({**others, "NotAction": "ec2:Stop*"}).decides(_asked()).allowed
    elsewhere = {"Effect": "Allow", "Action": "*", "NotResource": INSTANCE}
    assert not _role(elsewhere).decides(_asked()).allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "has", "lacks"),
    [
        ("StringEquals", "web", True, False),
        ("StringEquals", "Web", False, False),
        ("StringEqualsIgnoreCase", "WEB", True, False),
        ("StringLike", "w*", True, False),
        ("StringNotEquals", "web", False, True),
        ("StringNotLike", "w*", False, True),
        ("StringNotEquals", "db", True, True),
        ("StringEqualsIfExists", "db", False, True),
        ("Null", "true", False, True),
        ("Null", "false", True, False),
    ],
)
def test_conditions_compare_tags(operator: str, wanted: str, has: bool, lacks: bool) -> None:
    """With the tag team = web, and without it: only negated and lenient operators hold then."""
    condition = {operator: {TAG: wanted}}
    assert _allows(condition, _asked(team=("web",))) is has
    assert _allows(condition, _asked()) is lacks


def test_condition_keys_have_no_case() -> None:
    """``aws:resourcetag/Team`` is the same key."""
    assert _allows({"StringEquals": {"aws:resourcetag/Team": "web"}}, _asked(team=("web",)))


def test_all_keys_must_hold_and_one_value_of_each_is_enough() -> None:
    """Keys and operators are joined by and, values by or."""
    both = {"StringEquals": {TAG: ["db", "web"]}, "StringLike": {"aws:RequestedRegion": "us-*"}}
    assert _allows(both, _asked(team=("web",), region=("us-east-1",)))
    assert not _allows(both, _asked(team=("web",), region=("eu-west-1",)))
    assert not _allows(both, _asked(team=("web",)))


@given(
    asked=st.sets(st.sampled_from("abcd"), max_size=4),
    wanted=st.sets(st.sampled_from("abcd"), min_size=1),
)
def test_set_operators_are_subset_and_intersection(asked: set[str], wanted: set[str]) -> None:
    """ForAllValues: all of the request's are wanted (none is all of them too); ForAnyValue: one is."""
    request = _asked(keys=tuple(sorted(asked))) if asked else _asked()
    for operator, expected in (
        ("ForAllValues", asked <= wanted),
        ("ForAnyValue", bool(asked & wanted)),
    ):
        condition = {f"{operator}:StringEquals": {"aws:TagKeys": sorted(wanted)}}
        assert _allows(condition, request) is expected


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (_allow(Condition={"StringEquals": {"aws:Unheard": "x"}}), "'aws:unheard'"),
        (_allow(Condition={"DateLessThan": {TAG: "2026"}}), "'DateLessThan'"),
        (_allow(Condition={"StringEquals": {"aws:TagKeys": "x"}}), "ForAllValues"),
        (_allow(Condition={"StringEquals": {TAG: "${aws:username}"}}), "policy variable"),
        (_allow(resource="arn:aws:s3:bucket"), "six parts"),
        (_allow(Principal="*"), "Principal"),
        ({**_allow(), "Effect": "allow"}, "Allow or Deny"),
    ],
)
def test_policy_that_cannot_be_evaluated_is_refused(row: dict[str, Any], says: str) -> None:
    """A policy is never half understood: the message names policy, statement and fault."""
    with pytest.raises(PolicyError, match=f"policy Tested, statement Tested\\[0\\].*{says}"):
        _role(row)


def test_policies_of_aws_are_known_by_name_or_refused() -> None:
    """The execution role's policy allows to write logs; an unknown one is not taken for empty."""
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    role = Role("Tester", ROLE_ARN, tuple(managed_statements([arn])))
    assert role.decides(demand("logs:PutLogEvents", "arn:aws:logs:a:b:log-group:c")).allowed
    assert not role.decides(demand("logs:DeleteLogGroup", "arn:aws:logs:a:b:log-group:c")).allowed
    with pytest.raises(PolicyError, match="NoSuchPolicy"):
        list(managed_statements(["arn:aws:iam::aws:policy/NoSuchPolicy"]))
