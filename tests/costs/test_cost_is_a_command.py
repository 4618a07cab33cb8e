"""`cost` prints a bill by service, or the same as JSON, and refuses what it cannot count."""

import pytest
from typer.testing import CliRunner, Result

import cli.cost
from cli.main import app
from simulator.costs.month import Lived
from tests.cli.printed import document_of


@pytest.fixture
def counted(part: Lived, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has the command print what was lived through already; the sizes asked for."""
    asked: list[int] = []

    def lived(workloads: int, *_: object, **__: object) -> Lived:
        asked.append(workloads)
        return part

    monkeypatch.setattr(cli.cost, "_lived", lived)
    return asked


def cost(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cost", *arguments], env={"TERMINAL_WIDTH": "120"})


def test_bill_names_services_total_and_fixed_part(counted: list[int]) -> None:
    """Every service with its sum, the total, the fixed part, and on what it rests."""
    result = cost("--workloads", "7")
    assert result.exit_code == 0, result.output
    assert counted == [7]
    for word in ("CloudWatch", "DynamoDB", "Lambda", "S3", "dashboards", "total", "fixed"):
        assert word in result.output
    for note in ("without the free tier", "2026-11", "interrupts one in ten"):
        assert note in result.output


def test_json_says_the_same_with_sources(counted: list[int]) -> None:
    """The lines add up to the total; each has price, page and who used it."""
    document = document_of(cost("--workloads", "7", "--json"))
    lines = document["lines"]
    assert sum(line["usd"] for line in lines) == pytest.approx(document["usd_per_month"], abs=1e-3)
    assert document["fixed_usd_per_month"] < document["usd_per_month"]
    assert all(line["source"] and line["seen"] and line["by"] for line in lines)
    assert counted == [7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workloads", "0"], "0: allowed is 1 or more"),
        (["--workloads", "many"], "many: allowed is a whole number"),
        (["--workloads", "5", "--days", "0"], "0: allowed is 0.25 or more"),
        ([], "--workloads"),
    ],
)
def test_bad_options_are_refused_with_what_is_allowed(arguments: list[str], message: str) -> None:
    """Exit code 2, the option and its range."""
    result = cost(*arguments)
    assert result.exit_code == 2
    assert message in result.output
