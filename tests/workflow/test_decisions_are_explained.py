"""Every kept decision can be made again; questions about the market are answered and recorded."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from cli.main import app
from simulator.account.account import FunctionFailed
from simulator.deployed import ZONES
from simulator.stage import Stage, open_stage
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.services.explain.explanation import Explained, explain_decision
from tests.cli.printed import document_of

CHEAP = {("m5a.large", ZONES[1]): 0.02975}
"""A switch there would not pay for itself within the stay that is expected."""


@pytest.fixture(scope="module")
def decided() -> Iterator[Stage]:
    """A workload with two decisions, a threshold by tag and one by command."""
    with open_stage(prices=CHEAP) as stage:
        stage.launch(tags={"spot-optimizer:expected-stay-hours": "20"})
        stage.launch("refused", tags={"spot-optimizer:mode": "automatic"})
        stage.adopt()
        stage.command(command="set-threshold", name="cooldown_minutes", value=20)
        stage.cycle()
        stage.account.run_for(timedelta(minutes=5))
        stage.cycle()
        yield stage


def explained(stage: Stage, workload: str = "web", **which: Any) -> Explained:
    """The last decision, or the requested one."""
    which.setdefault("until", stage.account.clock.now())
    ledger = Ledger(stage.account.outputs["LedgerTable"])
    return explain_decision(DataBucket(stage.bucket), ledger, workload, **which)


def test_last_decision_made_again_is_the_recorded_one(decided: Stage) -> None:
    """Both agree; every threshold has its source."""
    answer = explained(decided)
    assert answer.remark == ""
    assert answer.explanation is not None
    assert answer.recorded["reason"] == answer.explanation.decision.reason
    sources = {used.name: used.source for used in answer.explanation.settings}
    assert sources["expected_stay_hours"] == "tag spot-optimizer:expected-stay-hours"
    assert sources["cooldown_minutes"] == "command for the stack"
    assert sources["dry_run"] == "parameter DryRun"
    needed = [
        change.needed
        for each in answer.explanation.would_have_changed
        for change in each.changes
        if change.what == "expected_stay_hours"
    ]
    assert needed == ["27"]  # (10/60 x 0.03 + 1/60 x 0.096) / (0.03 - 0.02975) is 26.4 h


def test_earlier_decision_is_found_by_time_and_by_id(decided: Stage) -> None:
    """The one of five minutes ago has its own record, although it has the same result."""
    last, before = (
        explained(decided),
        explained(decided, until=decided.account.clock.now() - timedelta(minutes=2)),
    )
    assert last.recorded["decision_id"] != before.recorded["decision_id"]
    again = explained(decided, decision_id=before.recorded["decision_id"])
    assert again.recorded == before.recorded
    assert again.remark == ""


@pytest.mark.parametrize(
    ("workload", "which", "said"),
    [
        ("other", {}, "workload = 'other' is unknown; known are refused, web"),
        ("refused", {}, "workload = 'refused' is refused: .*automatic"),
        ("web", {"decision_id": "by-hand"}, "'by-hand' is not the id of a decision"),
        ("web", {"decision_id": "web-20200101T000000Z-abcdef"}, "no decision .* is kept"),
    ],
)
def test_unknown_workload_or_decision_is_refused(
    decided: Stage, workload: str, which: dict[str, Any], said: str
) -> None:
    """Unknown and refused workloads, invalid ids, and ids that are not kept any more."""
    with pytest.raises(InvalidRequest, match=said):
        explained(decided, workload, **which)


def test_forced_decision_of_the_same_second_keeps_its_own_inputs(decided: Stage) -> None:
    """Neither overwrites the other."""
    cycle = explained(decided)
    decided.command(command="decide", workload="web")
    forced = explained(decided, decision_id=decided.history("web", "DECISION")[-1]["decision_id"])
    assert forced.recorded["forced_by"] == "ann"
    assert forced.remark == ""
    assert explained(decided, decision_id=cycle.recorded["decision_id"]).recorded == cycle.recorded


@contextmanager
def without(stage: Stage, *prefixes: str) -> Iterator[None]:
    """The objects with these key prefixes are missing for a while."""
    s3 = boto3.client("s3")
    keys = [key for prefix in prefixes for key in stage.objects(prefix)]
    bodies = {key: stage.object(key) for key in keys}
    for key in keys:
        s3.delete_object(Bucket=stage.bucket, Key=key)
    yield
    for key, body in bodies.items():
        s3.put_object(Bucket=stage.bucket, Key=key, Body=body)


@contextmanager
def rewritten(stage: Stage, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """The last cycle's decision line of the workload is changed for a while."""
    key = list(stage.objects("decisions/"))[-1]
    body = stage.object(key)
    rows = [json.loads(line) for line in gzip.decompress(body).decode().splitlines()]
    change(next(row for row in rows if row["workload_id"] == "web"))
    lines = "\n".join(map(json.dumps, rows))
    s3 = boto3.client("s3")
    s3.put_object(Bucket=stage.bucket, Key=key, Body=gzip.compress(lines.encode()))
    yield
    s3.put_object(Bucket=stage.bucket, Key=key, Body=body)


def _as_older_version(row: dict[str, Any]) -> None:
    del row["home_type_after"]
    row["evidence"].popitem()


def test_record_of_an_older_version_agrees_in_the_keys_that_it_has(decided: Stage) -> None:
    """A key that the record does not have is no difference; a different value is."""
    with rewritten(decided, _as_older_version):
        assert explained(decided).remark == ""
    with rewritten(decided, lambda row: row.update(reason="another", evidence={"unknown": 1.0})):
        assert explained(decided).remark.startswith("made again it differs in reason, evidence:")


def test_current_market_replaces_its_missing_copy(decided: Stage) -> None:
    """If it has the same ETag."""
    with without(decided, "inputs/snapshots/"):
        assert explained(decided).remark == ""


@pytest.mark.parametrize(
    ("prefixes", "remark"),
    [
        (("inputs/snapshots/", "market/snapshot.npz"), "its market snapshot is not kept any more"),
        (("inputs/catalogs/", "market/catalog.json.gz"), "its catalog is not kept any more"),
        (("inputs/cycles/",), "the inputs of its cycle are not kept any more"),
    ],
    ids=["market", "catalog", "inputs"],
)
def test_decision_without_its_inputs_is_explained_from_its_record(
    decided: Stage, prefixes: tuple[str, ...], remark: str
) -> None:
    """Another market or catalog would give another decision, so none is used."""
    with without(decided, *prefixes):
        answer = explained(decided)
        assert answer.explanation is None
        assert remark in answer.remark
        assert answer.recorded["kind"] == "STAY"


def test_new_catalog_leaves_the_old_one_readable(decided: Stage) -> None:
    """A decision is made again with the reference data of its time."""
    decided.account.invoke("RefreshMarket", {"task": "reference"})
    decided.cycle()
    with without(decided, "market/catalog.json.gz"):
        answer = explained(decided)
        assert answer.remark == ""
        assert answer.explanation is not None


def test_pool_is_evaluated_and_the_request_recorded(decided: Stage) -> None:
    """The answer has decision, reason, instability, hazard and EC2's signal; the ledger has who asked."""
    table = decided.account.outputs["LedgerTable"]
    at = (decided.account.clock.now() - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    boto3.client("dynamodb").put_item(
        TableName=table,
        Item={
            "pk": {"S": "POOL#m6i.large/us-east-1c"},
            "sk": {"S": f"SIGNAL#{at}#interruption#i-1"},
            "kind": {"S": "interruption"},
            "at": {"S": at},
        },
    )
    place = {"instance_type": "m5.large", "availability_zone": ZONES[0]}
    calm = decided.command(command="evaluate", **place)
    assert (calm["decision"], calm["signal"], calm["instability_probability"]) == (
        "STAY",
        "none",
        0.5,
    )
    assert 0 < calm["hazard_per_hour"] < 0.001
    assert calm["market"]["stale"] is False
    place = {"instance_type": "m6i.large", "availability_zone": ZONES[2]}
    left = decided.command(command="evaluate", engine="expected_cost", **place)
    assert (left["decision"], left["signal"], left["engine"]) == (
        "SWITCH",
        "interruption",
        "expected_cost",
    )
    asked = [i for i in decided.items() if i["pk"] == "STACK" and i["sk"].startswith("COMMAND#")]
    assert {(i["command"], i["asked_by"]) for i in asked} >= {("evaluate", "ann")}


def test_pools_are_recommended_from_the_collected_types(decided: Stage) -> None:
    """Ranked pools, a plan over them and the saving."""
    answer = decided.command(
        command="recommend", vcpu=2, memory_gib=8, count=6, architecture="x86_64"
    )
    assert (answer["pools"][0]["instance_type"], answer["pools"][0]["availability_zone"]) == (
        "m5a.large",
        ZONES[1],
    )
    assert [placed["count"] for placed in answer["plan"]] == [2, 2, 2]
    assert answer["saving_usd_per_month"] == pytest.approx(730 * answer["saving_usd_per_hour"])
    json.dumps(answer)


BAD_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"command": "evaluate", "instance_type": "m5.huge", "availability_zone": ZONES[0]},
        "instance_type = 'm5.huge' is unknown",
    ),
    (
        {"command": "evaluate", "instance_type": "m5.large", "availability_zone": "use1-az1"},
        "availability_zone",
    ),
    (
        {
            "command": "evaluate",
            "instance_type": "m5.large",
            "availability_zone": ZONES[0],
            "engine": "best",
        },
        "engine = best: there is no such engine; allowed are",
    ),
    (
        {"command": "recommend", "vcpu": 0, "memory_gib": 8, "count": 1, "architecture": "x86_64"},
        "vcpu",
    ),
    (
        {"command": "recommend", "vcpu": 2, "memory_gib": 8, "count": 0, "architecture": "x86_64"},
        "count",
    ),
    (
        {"command": "recommend", "vcpu": 2, "memory_gib": 8, "count": 1, "architecture": "i386"},
        "architecture",
    ),
    (
        {
            "command": "recommend",
            "vcpu": 2,
            "memory_gib": 8,
            "count": 1,
            "architecture": "x86_64",
            "types": ["z*"],
        },
        "a name like z*",
    ),
]


def test_invalid_questions_name_field_and_value(decided: Stage) -> None:
    """And what is allowed."""
    for request, complaint in BAD_QUESTIONS:
        with pytest.raises(FunctionFailed) as refused:
            decided.command(**request)
        assert refused.value.error_type == "InvalidRequest", request
        assert complaint in str(refused.value), request


def test_question_without_a_market_is_refused(decided: Stage) -> None:
    """Before the first prices, the answer says when to ask again."""
    with (
        without(decided, "market/snapshot.npz"),
        pytest.raises(FunctionFailed, match="there is no market data yet"),
    ):
        decided.command(command="evaluate", instance_type="m5.large", availability_zone=ZONES[0])


def test_command_line_asks_a_deployed_stack(decided: Stage) -> None:
    """With the stack's outputs and the caller's credentials; the answers are those of the account."""
    of_stack = ["--stack", "spot-optimizer", "--region", "us-east-1"]
    run = CliRunner()
    shown = run.invoke(app, ["explain", "web", *of_stack, "--json"])
    assert shown.exit_code == 0, shown.output
    recorded = explained(decided).recorded
    at = recorded["at"].replace(" ", "T")
    assert document_of(shown)["recorded"] == {**recorded, "at": at}
    judged = run.invoke(app, ["judge", "m5.large", ZONES[0], *of_stack])
    assert judged.exit_code == 0, judged.output
    assert "minutes old" in judged.output
    wanted = ["recommend", "--vcpu", "2", "--memory", "8", "--count", "3", *of_stack]
    recommended = run.invoke(app, [*wanted, "--json"])
    assert recommended.exit_code == 0, recommended.output
    assert document_of(recommended)["pools_that_do"] > 3
    for arguments, said in (
        (["explain", "web", "--stack", "other", "--region", "us-east-1"], "--stack other"),
        (["judge", "m5.huge", ZONES[0], *of_stack], "m5.huge"),
    ):
        refused = run.invoke(app, arguments)
        assert (refused.exit_code, said in refused.output) == (2, True), refused.output
