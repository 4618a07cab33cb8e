"""No role of the stack may do more than its statements say, and they say as little as AWS offers.

What AWS offers (which actions have a resource level, which condition keys a resource has) is read
from cfn-lint's copy of the Service Authorization Reference.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cfnlint
import pytest

from tests.house.translated import properties_of, reference

ROLES = properties_of("AWS::IAM::Role")
WILDCARD_ACTIONS = {"kms:ReEncrypt*": "EC2 asks for ReEncryptFrom and ReEncryptTo (EBS user guide)"}
MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": "writes the function's log",
    "AWSXrayWriteOnlyAccess": "sends the function's traces",
    "AWSXRayDaemonWriteAccess": "sends the state machine's traces",
}
"""AWS managed policies that SAM attaches, and their purpose."""
STARRED = {"cloudwatch:DescribeAlarms": "as in every AWS managed policy for CodeDeploy"}
"""Actions with resource-level permissions that are granted on all resources, and why."""
KEYS_OF_ACTIONS = {
    "ec2:createaction",
    "iam:passedtoservice",
    "kms:grantisforawsresource",
    "kms:viaservice",
}
"""Condition keys that belong to actions or to the service, not to a resource."""
NOT_IN_THE_COPY = {("RunInstances", "spot-instances-request")}
"""EC2 user guide, "Tag Spot Instance requests": "for Resource, specify spot-instances-request"."""


class Grant(NamedTuple):
    """One action on one resource under the conditions of a statement."""

    role: str
    sid: str
    action: str
    resource: Any
    keys: frozenset[str]

    def __str__(self) -> str:
        return f"{self.role}/{self.sid}: {self.action}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _grants() -> Iterator[Grant]:
    for role, name, row in _rows():
        keys = frozenset(k.lower() for keys in row.get("Condition", {}).values() for k in keys)
        for action in _listed(row["Action"]):
            for resource in _listed(row["Resource"]):
                yield Grant(role, row.get("Sid", name), action, resource, keys)


def _rows() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every statement of every role, in the role or in a policy of its own: role, policy, statement."""
    attached = list(properties_of("AWS::IAM::Policy").values())
    for role, properties in ROLES.items():
        own = [each for each in attached if role in map(reference, each["Roles"])]
        for policy in [*properties.get("Policies", []), *own]:
            for row in policy["PolicyDocument"]["Statement"]:
                if "Condition" in row:
                    row = {**row, "Condition": _strict(row["Condition"])}
                yield role, policy["PolicyName"], row


def _strict(condition: dict[str, Any]) -> dict[str, Any]:
    """A condition as it is without parameters that loosen it: of ``Fn::If`` the first branch."""
    return {
        operator: keys["Fn::If"][1] if "Fn::If" in keys else keys
        for operator, keys in condition.items()
    }


GRANTS = tuple(_grants())


@cache
def _reference() -> dict[str, Any]:
    file = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return known


def _resource_types(action: str) -> list[str]:
    """Resource types of an action; empty if only ``*`` is possible."""
    service, name = action.split(":")
    actions = _reference()[service]["Actions"]
    assert name.lower() in actions, f"{action} is no action of AWS"
    types: list[str] = actions[name.lower()].get("Resources", [])
    return types


def _kind(resource: Any) -> str | None:
    """``instance`` of an ARN ``arn:...:ec2:...:instance/*`` in a Sub; a license configuration is
    among EC2's resources too."""
    text = resource.get("Fn::Sub") if isinstance(resource, dict) else None
    pattern = r"arn:\$\{AWS::Partition\}:(?:ec2|license-manager):.*:([a-z-]+)[/:]\*"
    found = re.fullmatch(pattern, str(text))
    return found[1] if found else None


def test_roles_and_statements_are_found() -> None:
    """Twelve roles with their statements."""
    assert len(ROLES) == 12
    assert len(GRANTS) > 100


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_assumed_only_by_its_service(role: str) -> None:
    """Lambda's roles by Lambda, state machines' by Step Functions, the deployment role by CodeDeploy."""
    (trust,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
    services = {f"{name}Role": "lambda" for name in properties_of("AWS::Lambda::Function")} | {
        f"{name}Role": "states" for name in properties_of("AWS::StepFunctions::StateMachine")
    }
    service = services.get(role, "codedeploy")
    assert service != "codedeploy" or role == "GradualDeploymentRole"
    assert _listed(trust["Principal"]["Service"]) == [f"{service}.amazonaws.com"]
    assert _listed(trust["Action"]) == ["sts:AssumeRole"]


@pytest.mark.parametrize("role", ROLES)
def test_managed_policies_are_those_of_logs_and_traces(role: str) -> None:
    """All other permissions are in the template."""
    arns = [json.dumps(arn) for arn in ROLES[role].get("ManagedPolicyArns", [])]
    assert all(any(f'/{name}"' in arn for name in MANAGED_POLICIES) for arn in arns), arns


def test_statements_allow_by_name_only() -> None:
    """No NotAction, NotResource or Principal; no action with a wildcard that has no reason here."""
    for role, _, row in _rows():
        assert set(row) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, (role, row)
    assert {g.action for g in GRANTS if "*" in g.action or "?" in g.action} == set(WILDCARD_ACTIONS)


@pytest.mark.parametrize("grant", [g for g in GRANTS if g.resource == "*"], ids=str)
def test_a_star_is_granted_only_without_resource_level_permissions(grant: Grant) -> None:
    """Whatever can be narrowed to a resource is narrowed, or has a reason."""
    assert _resource_types(grant.action) == [] or grant.action in STARRED


@pytest.mark.parametrize("grant", [g for g in GRANTS if _kind(g.resource)], ids=str)
def test_a_grant_names_a_resource_type_of_its_action(grant: Grant) -> None:
    """A grant on a type that the action is never evaluated on grants nothing."""
    kind = str(_kind(grant.resource))
    assert kind in _resource_types(grant.action) or (grant.action[4:], kind) in NOT_IN_THE_COPY


@pytest.mark.parametrize("grant", [g for g in GRANTS if g.keys and _kind(g.resource)], ids=str)
def test_a_condition_names_a_key_that_the_resource_has(grant: Grant) -> None:
    """A key that the resource does not have never matches, so the call would be denied."""
    offered = _reference()["ec2"]["Resources"][str(_kind(grant.resource))]["ConditionKeys"]
    names = [key.lower().replace("${tagkey}", "") for key in offered]
    for key in grant.keys - KEYS_OF_ACTIONS:
        assert any(
            key == name or (name.endswith("/") and key.startswith(name)) for name in names
        ), key


def test_a_condition_on_all_values_demands_the_key() -> None:
    """ForAllValues holds for a request without the key, so Null demands the key (IAM user guide, "Set
    operators for multivalued context keys"): DeleteTags without tags, for one, removes all of them."""
    seen = 0
    for role, policy, row in _rows():
        condition = row.get("Condition", {})
        for operator, keys in condition.items():
            if operator.startswith("ForAllValues:"):
                seen += 1
                demanded = condition.get("Null", {})
                assert keys.keys() <= demanded.keys(), (role, row.get("Sid", policy))
                assert all(demanded[key] is False for key in keys), (role, row.get("Sid", policy))
    assert seen > 25


def test_changes_in_ec2_have_a_condition_or_a_reason() -> None:
    """Every permission to change something in EC2 that no condition narrows is listed here."""
    reasons = {
        "ec2:AssociateAddress": "addresses and interfaces do not have our tag",
        "ec2:CancelSpotInstanceRequests": "a user's own spot request does not have our tag",
        "ec2:CreateFleet": "a fleet and its subnets; its instances are conditioned",
        "ec2:RunInstances": "request tags apply only to what a launch creates, which is conditioned",
    }
    free = {
        g.action for g in GRANTS if g.action.startswith("ec2:") and not g.keys and g.resource != "*"
    }
    assert free == set(reasons)
