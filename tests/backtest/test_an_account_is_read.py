"""``spot-optimizer backtest --region``: the account's own prices, workloads and tags, read only."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
)
from typer.testing import CliRunner

from cli.main import app
from simulator.deployed import REGION
from simulator.stage import Stage, open_stage
from tests.cli.printed import document_of
from tests.workflow.market_stage import moving_market

ASK = ("backtest", "--region", REGION, "--hazard", "5%", "--forecast", "last-price", "--engine",
       "expected_cost", "--runs", "2", "--days", "3")  # fmt: skip
READS = {
    "DescribeInstances", "DescribeInstanceTypes", "DescribeInstanceTypeOfferings",
    "DescribeSpotPriceHistory", "GetProducts",
}  # fmt: skip


def _client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "DescribeInstances")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A deployed product in a market of 95 days."""
    with open_stage(market=moving_market(95)) as opened:
        yield opened


@pytest.mark.usefixtures("stage")
def test_without_a_workload_it_says_how_to_name_one() -> None:
    """The stack's name, the tag, and the way out."""
    result = CliRunner().invoke(app, [*ASK])
    assert result.exit_code == 2, result.output
    assert "spot-optimizer:managed = spot-optimizer" in result.output
    assert "--instance-type" in result.output


def test_workloads_are_replayed_with_their_own_tags(stage: Stage) -> None:
    """Two of three: one may use its own type alone, one has a tag that cannot be obeyed. Nothing is
    written."""
    stage.launch("free")
    stage.launch("bound", tags={"spot-optimizer:types": "m5.large"})
    broken = stage.launch("broken", tags={"spot-optimizer:types": "???!"})
    called: list[str] = []
    real = BaseClient._make_api_call  # type: ignore[attr-defined]

    def note(self: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        called.append(operation)
        return real(self, operation, params)

    with mock.patch.object(BaseClient, "_make_api_call", note):
        result = CliRunner().invoke(app, [*ASK, "--json"])
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert sorted(document["workloads"]) == ["bound", "free"]
    assert len(document["remarks"]) == 1
    assert broken in document["remarks"][0]
    assert document["results"][0]["interruption_hours"] is None
    assert set(called) == READS


@pytest.mark.usefixtures("stage")
def test_a_type_can_be_asked_for_without_any_workload() -> None:
    """Ninety days of prices are there, and hold when the period begins."""
    result = CliRunner().invoke(app, [*ASK, "--instance-type", "m5.large", "--flexible", "--json"])
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert document["workloads"] == ["m5.large"]
    assert document["types"] > 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "there are no usable AWS credentials"),
        (EndpointConnectionError(endpoint_url="https://x"), "AWS cannot be reached there"),
        (ConnectTimeoutError(endpoint_url="https://x"), "AWS cannot be reached there"),
        (InvalidRegionError(region_name="eu west"), "this is no region"),
        (_client_error("ExpiredToken"), "AWS does not accept the credentials (ExpiredToken)"),
        (
            _client_error("UnauthorizedOperation"),
            "the credentials do not allow the call DescribeInstances (UnauthorizedOperation)",
        ),
        (_client_error("InternalError"), "AWS refused the call DescribeInstances (InternalError)"),
        (BotoCoreError(), "the account cannot be read"),
    ],
)
def test_an_account_that_cannot_be_read_is_refused_in_plain_words(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, one line with the region."""

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("backtest.account.read_instance_types", fails)
    result = CliRunner().invoke(app, [*ASK])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"--region {REGION}: {said}")
