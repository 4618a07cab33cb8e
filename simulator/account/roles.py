"""The roles of a deployed stack, with everything that its policies say."""

from collections.abc import Iterator, Mapping
from typing import Any

from simulator.account.deploy import Stack
from simulator.permissions.policies import Role, Statement, managed_statements, read_statements

__all__ = ["roles_of"]

_POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


def roles_of(stack: Stack, account_id: str) -> Iterator[Role]:
    """Every role of the stack, by its logical id.

    Raises:
        PolicyError: a policy cannot be evaluated; the message says which and why.
    """
    for logical_id, kind in stack.types.items():
        if kind == "AWS::IAM::Role":
            properties = stack.properties[logical_id]
            name = stack.physical_ids[logical_id]
            path = str(properties.get("Path", "/"))
            yield Role(
                logical_id,
                f"arn:aws:iam::{account_id}:role{path}{name}",
                (*_own(logical_id, properties), *_attached(stack, name)),
            )


def _own(logical_id: str, properties: Mapping[str, Any]) -> Iterator[Statement]:
    for policy in properties.get("Policies", []):
        yield from read_statements(policy["PolicyDocument"], f"{logical_id}/{policy['PolicyName']}")
    yield from managed_statements(properties.get("ManagedPolicyArns", []))


def _attached(stack: Stack, role_name: str) -> Iterator[Statement]:
    for logical_id, kind in stack.types.items():
        properties = stack.properties[logical_id]
        if kind in _POLICIES and role_name in properties.get("Roles", []):
            yield from read_statements(properties["PolicyDocument"], logical_id)
