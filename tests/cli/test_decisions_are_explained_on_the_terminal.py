"""``explain``, ``judge`` and ``recommend``: of a simulated run, a file, the built-in market."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.cli.printed import document_of

RUN = CliRunner()
STORY = """
schema: 1
shows: one workload that stays
hours: 0.5
parameters: {DryRun: true}
workloads:
  - name: shop
    type: m5.large
    lifecycle: on-demand
    cpu_vcpu: 1.2
    tags: {state: stateless, types: "m5.*"}
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A short scenario of one workload."""
    path = tmp_path_factory.mktemp("story") / "shop.yaml"
    path.write_text(STORY)
    return str(path)


def test_a_run_is_explained_to_the_reader(story: str) -> None:
    """Verdict, reason, guards, thresholds with their source, rivals, rejections, what if."""
    result = RUN.invoke(app, ["explain", "shop", "--scenario", story])
    assert result.exit_code == 0, result.output
    for part in (
        "SWITCH to m5.large/",
        "Held by",
        "dry run: recorded only",
        "expected_stay_hours",
        "parameter ExpectedStayHours (default)",
        "interruptions",
        "an interruption costs",
        "the best",
        "not in the allowed types",
        "What would have changed it",
    ):
        assert part in result.output, part
    assert "Note" not in result.output


def test_a_moment_is_explained_as_one_json_document(story: str) -> None:
    """The last decision up to that time of day, with the record beside the one made again."""
    arguments = ["explain", "shop", "--scenario", story, "--at", "00:12", "--json"]
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert document["recorded"]["at"].startswith("2026-03-02T00:10")
    assert document["explanation"]["decision"]["kind"] == document["recorded"]["kind"]
    assert document["remark"] == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "shop"], "one of --stack and --scenario"),
        (["explain", "shop", "--scenario", "STORY", "--at", "07:00"], "outside the run"),
        (
            ["explain", "shop", "--scenario", "STORY", "--at", "00:10", "--decision", "x"],
            "--at is not allowed with --decision",
        ),
        (["explain", "other", "--scenario", "STORY"], "known are shop"),
        (["judge", "m5.huge", "us-east-1a"], "m5.huge"),
        (["judge", "m5.large", "use1-az1"], 'ZONE = "use1-az1"'),
        (
            ["judge", "m5.large", "us-east-1a", "--engine", "best"],
            "--engine best: there is no such",
        ),
        (["judge", "m5.large", "us-east-1a", "--at", "2026-03-02"], "--prices"),
        (
            ["judge", "m5.large", "us-east-1a", "--stack", "s", "--at", "2026-03-02"],
            "a market of its own",
        ),
        (["recommend", "--vcpu", "4000", "--memory", "1"], "vcpu"),
        (["recommend", "--vcpu", "2", "--memory", "8", "--types", "y*"], "y*"),
        (["recommend", "--vcpu", "2", "--memory", "8", "--architecture", "mips"], "architecture"),
    ],
)
def test_an_invalid_question_is_refused_by_name(
    arguments: list[str], said: str, story: str
) -> None:
    """Exit code 2, one message, no traceback."""
    result = RUN.invoke(app, [story if a == "STORY" else a for a in arguments])
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


HISTORY = [
    {
        "InstanceType": name,
        "AvailabilityZone": zone,
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": price,
        "Timestamp": f"2026-03-{day:02}T00:00:00Z",
    }
    for name, zone, prices in (
        ("m5.large", "us-east-1a", ("0.0400", "0.0401", "0.0402")),
        ("m5a.large", "us-east-1b", ("0.0300", "0.0299", "0.0300")),
    )
    for day, price in zip((1, 9, 10), prices, strict=True)
]


@pytest.fixture
def prices(tmp_path: Path) -> str:
    """What `aws ec2 describe-spot-price-history` prints, of two pools."""
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"SpotPriceHistory": HISTORY}))
    return str(path)


def test_a_pool_of_a_file_is_judged_at_a_moment(prices: str) -> None:
    """At the end of the file, or when it is asked for: the price of that time counts."""
    result = RUN.invoke(app, ["judge", "m5.large", "us-east-1a", "--prices", prices, "--json"])
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert (document["decision"], document["target"]) == ("SWITCH", "m5a.large/us-east-1b spot")
    assert document["price_usd_per_hour"] == 0.0402
    arguments = ["judge", "m5.large", "us-east-1a", "--prices", prices, "--at", "2026-03-09T12:00"]
    shown = RUN.invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "0.0401 now, 0.0401 forecast, on-demand 0.0960" in shown.output
    beyond = RUN.invoke(app, [*arguments[:-1], "2027-01-01"])
    assert (beyond.exit_code, "outside the file" in beyond.output) == (2, True)


def test_pools_of_a_file_are_recommended_with_its_advisor(prices: str, tmp_path: Path) -> None:
    """A plan over both, less what the advisor shuts out; a file that is none is refused."""
    arguments = ["recommend", "--vcpu", "2", "--memory", "8", "--count", "2", "--prices", prices]
    document = document_of(RUN.invoke(app, [*arguments, "--json"]))
    assert [p["instance_type"] for p in document["plan"]] == ["m5a.large", "m5.large"]
    advisor = tmp_path / "advisor.json"
    ranges = [{"index": i, "max": m} for i, m in enumerate((5, 11, 16, 22, 100))]
    entries = {"m5a.large": {"r": 4, "s": 60}, "m5.large": {"r": 0, "s": 60}}
    regions = {"us-east-1": {"Linux": entries}}
    advisor.write_text(json.dumps({"ranges": ranges, "spot_advisor": regions}))
    shown = RUN.invoke(app, [*arguments, "--advisor", str(advisor)])
    assert shown.exit_code == 0, shown.output
    assert "1 pools rejected: advisor > 20 %" in shown.output
    assert "on-demand: the limits leave no pool" in shown.output
    advisor.write_text("{}")
    assert RUN.invoke(app, [*arguments, "--advisor", str(advisor)]).exit_code == 2


def test_the_built_in_market_is_asked_without_a_file() -> None:
    """Pools with the drawn Spot Advisor; the source is said."""
    result = RUN.invoke(app, ["recommend", "--vcpu", "2", "--memory", "8", "--count", "12"])
    assert result.exit_code == 0, result.output
    assert "4 in one pool, 4 in one family" in result.output
    assert "built-in market, seed 1" in result.output
