"""An update keeps the ledger: an older one is migrated, a newer one is refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.account import FunctionFailed
from simulator.stage import SEED, Stage, open_stage
from spot_optimizer.aws.ledger.table import SCHEMA_VERSION

STATE = {"pk": {"S": "STACK"}, "sk": {"S": "STATE"}}


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A workload that EC2 has interrupted twice, in two pools."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        opened.launch()
        opened.adopt()
        opened.cycle()
        for _ in range(2):
            opened.account.run_for(timedelta(hours=1))
            opened.world.interrupt(opened.workload()["instance_id"])
            opened.finish()
            opened.cycle()
        yield opened


def _interruptions(stage: Stage) -> list[dict[str, Any]]:
    rows = [row for row in stage.items() if row["pk"] == "POOLS"]
    return sorted((row for row in rows if "INTERRUPTED" in row["sk"]), key=lambda row: row["sk"])


def _make_version_one(stage: Stage) -> None:
    """Remove what the first version did not write."""
    ledger = boto3.client("dynamodb")
    for row in _interruptions(stage):
        key = {name: {"S": row[name]} for name in ("pk", "sk")}
        ledger.delete_item(TableName=stage.account.outputs["LedgerTable"], Key=key)
    _set_version(stage, None)


def _set_version(stage: Stage, version: int | None) -> None:
    given: dict[str, Any] = {"UpdateExpression": "REMOVE schema_version"}
    if version is not None:
        given = {
            "UpdateExpression": "SET schema_version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(version)}},
        }
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"], Key=STATE, **given
    )


def test_a_new_ledger_has_the_version() -> None:
    """From its first cycle on."""
    with open_stage() as stage:
        stage.adopt()
        assert stage.item("STACK", "STATE")["schema_version"] == SCHEMA_VERSION


def test_interruptions_of_the_first_version_count_again(stage: Stage) -> None:
    """They were stored only with workload and pool; the next cycle lists them as if always listed."""
    before = _interruptions(stage)
    assert len({row["pool"] for row in before}) == 2
    _make_version_one(stage)
    stage.cycle()
    assert _interruptions(stage) == before
    assert stage.item("STACK", "STATE")["schema_version"] == SCHEMA_VERSION


def test_an_interrupted_migration_starts_again(stage: Stage) -> None:
    """The version is written last."""
    before = _interruptions(stage)
    _make_version_one(stage)
    table, put = stage.account.outputs["LedgerTable"], boto3.client("dynamodb").put_item
    put(TableName=table, Item={"pk": {"S": "POOLS"}, **_wire(before[0])})
    stage.cycle()
    assert _interruptions(stage) == before


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"N": str(value)} if name == "expires_at_s" else {"S": str(value)}
        for name, value in row.items()
    }


def test_everything_else_survives_the_migration(stage: Stage) -> None:
    """Workloads, plans, switches, commands: no item is lost or rewritten."""
    before = {(row["pk"], row["sk"]): row for row in stage.items()}
    _make_version_one(stage)
    stage.account.invoke("Decide", {"trigger": "schedule"})
    after = {(row["pk"], row["sk"]): row for row in stage.items()}
    assert set(before) <= set(after)
    same = [key for key in before if key[1].startswith(("SWITCH#", "SIGNAL#", "POINTER"))]
    assert len(same) > 4
    assert all(after[key] == before[key] for key in same)


def test_a_newer_ledger_is_refused(stage: Stage) -> None:
    """An older product version on a newer ledger says what to do and starts nothing."""
    _set_version(stage, SCHEMA_VERSION + 1)
    before = {(row["pk"], row["sk"]): row for row in stage.items() if "STACK" not in row["pk"]}
    for function, request in (
        ("Decide", {"trigger": "schedule"}),
        ("Sweep", {"trigger": "schedule"}),
        ("Command", {"command": "reset-breaker", "asked_by": "ann"}),
    ):
        with pytest.raises(FunctionFailed, match="deploy the newer one again") as refused:
            stage.account.invoke(function, request)
        assert refused.value.error_type == "LedgerTooNew"
    after = {(row["pk"], row["sk"]): row for row in stage.items() if "STACK" not in row["pk"]}
    assert after == before


def test_additions_of_a_newer_version_to_a_plan_are_ignored(stage: Stage) -> None:
    """During an update both versions read and write the same items, nested values included."""
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"],
        Key={"pk": {"S": "PLANS"}, "sk": {"S": "web"}},
        UpdateExpression="SET added = :new, launch_template.added = :new, terms.guard.added = :new",
        ExpressionAttributeValues={":new": {"S": "later"}},
    )
    stage.world.interrupt(stage.workload()["instance_id"])
    assert stage.finish().status == "SUCCEEDED"
    assert stage.alive() == {stage.workload()["instance_id"]}
