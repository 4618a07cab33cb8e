"""Workloads without the tag ``state``, while old and new code run in turn."""

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.stage import Stage
from tests.compatibility.both_versions import BothVersions, both_versions
from tests.workflow.test_untagged_workloads_are_held import TO_WRITE, untagged

Mixed = tuple[Stage, BothVersions]


@pytest.fixture(scope="module")
def mixed() -> Iterator[Mixed]:
    """The old version adopts ``before``; after a cycle of the new one it adopts ``during``."""
    with both_versions() as (stage, versions):
        versions.serve("old")
        untagged(stage, "before", "spot")
        stage.adopt()
        stage.account.run_for(timedelta(minutes=10))
        versions.serve("new")
        stage.cycle()
        versions.serve("old", state_machines="new")
        untagged(stage, "during", "on-demand")
        stage.adopt()
        stage.cycle()
        stage.finish()
        yield stage, versions


def _alerts(stage: Stage) -> list[str]:
    texts = [str(call.params["Message"]) for call in stage.calls_of("Publish")]
    return [text for text in texts if "nobody has said" in text]


def test_a_workload_of_the_old_version_keeps_the_old_rule(mixed: Mixed) -> None:
    """The new version finds out by the time of its adoption, and the old one keeps the mark."""
    stage, _ = mixed
    item = stage.workload("before")
    assert item["state_rule"] == "kept"
    assert stage.item("PLANS", "before")["terms"]


def test_a_workload_that_old_code_adopts_during_the_update_is_not_switched(mixed: Mixed) -> None:
    """Old code ordered its switch; today's claim refuses it, and the next new cycle holds it."""
    stage, versions = mixed
    ordered = [e for e in stage.account.executions() if e.input["workload_id"] == "during"]
    assert ordered
    assert not stage.switches("during")
    versions.serve("new")
    stage.cycle()
    assert stage.workload("during")["state_rule"] == "held"


def test_workloads_by_the_old_rule_are_reported_once_a_week(mixed: Mixed) -> None:
    """With the tag to write and the parameter that ends it."""
    stage, versions = mixed
    versions.serve("new")
    stage.cycle()
    (alert,) = _alerts(stage)
    for part in ("before", TO_WRITE, "RequireStateTag"):
        assert part in alert
    assert "during" not in alert
    table = boto3.resource("dynamodb").Table(stage.account.outputs["LedgerTable"])
    for age, alerts in ((timedelta(days=6), 1), (timedelta(days=7), 2)):
        table.update_item(
            Key={"pk": "STACK", "sk": "STATE"},
            UpdateExpression="SET state_alerted_at = :at",
            ExpressionAttributeValues={":at": (stage.account.clock.now() - age).isoformat()},
        )
        stage.cycle()
        assert len(_alerts(stage)) == alerts


def test_a_held_workload_survives_a_plan_of_the_old_version(mixed: Mixed) -> None:
    """Old code writes it a plan, and its HandleSignal orders a failover: today's claim refuses it."""
    stage, versions = mixed
    versions.serve("new")
    stage.cycle()
    versions.serve("old", state_machines="new")
    stage.cycle()
    assert stage.item("PLANS", "during")["terms"]
    assert stage.workload("during")["state_rule"] == "held"
    assert stage.workload("before")["state_rule"] == "kept"
    stage.finish()
    assert not stage.switches("during")
    stage.world.interrupt(stage.workload("before")["instance_id"])
    stage.finish()
    assert [s["phase"] for s in stage.switches("before")] == ["DONE"]
