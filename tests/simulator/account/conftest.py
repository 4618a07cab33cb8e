"""A small stack in an embedded account, and a stub of the world around it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.account import Caller, EmbeddedAccount
from simulator.permissions.demand import Demand
from simulator.permissions.policies import Role, read_statements

START = datetime(2025, 3, 1, tzinfo=UTC)
STACK = Path(__file__).parent / "stack" / "template.yaml"
OWN_ROLE_ARN = "arn:aws:iam::123456789012:role/own"
"""Role of state machines that are not of the stack; it may do everything."""


class StubWorld:
    """Records its calls; launches unless ``full``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any], Caller]] = []
        self.full = False

    def handle(
        self, service: str, operation: str, params: dict[str, Any], caller: Caller
    ) -> tuple[int, dict[str, Any]]:
        self.asked.append((service, operation, params, caller))
        if operation == "RunInstances" and self.full:
            error = {"Code": "InsufficientInstanceCapacity", "Message": "none left"}
            return 400, {"Error": error}
        if operation == "RunInstances":
            instance = {"InstanceId": "i-1", "LaunchTime": datetime.now(UTC)}
            return 200, {"Instances": [instance]}
        if operation == "DescribeInstances":
            return 200, {"Reservations": [{"Instances": []}]}
        return 200, {}

    def demands(self, operation: str, _params: dict[str, Any]) -> tuple[Demand, ...]:
        return (Demand(f"ec2:{operation}"),)

    def override_demands(self, _params: dict[str, Any]) -> tuple[()]:
        return ()

    def http(self, url: str, _asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, b'{"url": "%s"}' % url.encode()


@pytest.fixture
def start() -> datetime:
    """The first moment of every account."""
    return START


@pytest.fixture
def stack() -> Path:
    """The small stack's template."""
    return STACK


@pytest.fixture
def world() -> StubWorld:
    """The world around the account."""
    return StubWorld()


@pytest.fixture
def account(world: StubWorld) -> Iterator[EmbeddedAccount]:
    """An account with the small stack in it."""
    with EmbeddedAccount(start=START, world=world, seed=7) as opened:
        opened.deploy(STACK, "small")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        statements = read_statements({"Statement": everything}, "own")
        opened.permissions.know([Role("own", OWN_ROLE_ARN, tuple(statements))])
        yield opened


@pytest.fixture
def variant(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a template: ``variant(text)`` is its path."""

    def write(text: str) -> Path:
        path = tmp_path / "template.yaml"
        path.write_text("Transform: AWS::Serverless-2016-10-31\n" + text)
        return path

    return write
