"""The roles of the product's stack, as the template makes them."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from simulator.account import EmbeddedAccount
from simulator.account.roles import roles_of
from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import REGION, STACK, START, TEMPLATE
from simulator.permissions.policies import Role

INSTANCE_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/web-server"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LICENSE = f"arn:aws:license-manager:{REGION}:210987654321:license-configuration:lic-0123"
"""One that another account of the organization shares."""


class Deployed(NamedTuple):
    """The stack's roles by the logical id of what has them, and its physical ids."""

    roles: Mapping[str, Role]
    ids: Mapping[str, str]


def deployed_with(**given: str) -> Deployed:
    """Roles of functions and state machines after a deployment with these parameters."""
    with EmbeddedAccount(start=START, region=REGION) as account:
        stack = account.deploy(TEMPLATE, STACK, given)
        roles = {role.name.removesuffix("Role"): role for role in roles_of(stack, ACCOUNT_ID)}
    return Deployed(roles, stack.physical_ids)


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """The stack with an instance role and a key."""
    return deployed_with(InstanceRoleArns=INSTANCE_ROLE, KmsKeyArns=KEY)
