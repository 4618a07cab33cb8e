"""Adoption: which instances become workloads, are refused or are gone; none stops another."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.call_log import Fault
from simulator.deployed import STACK, ZONES
from simulator.stage import Stage, open_stage


def _template(stage: Stage, workload: str) -> dict[str, Any]:
    reference: dict[str, Any] = stage.item("PLANS", workload)["launch_template"]
    return reference


def test_a_tagged_instance_becomes_a_workload_named_after_it(stage: Stage) -> None:
    """Without a workload tag the instance id is the name: written as tag, ledger item and pointer."""
    instance = stage.launch(None)
    stage.adopt()
    assert stage.world.tags_of(instance)["spot-optimizer:workload"] == instance
    workload = stage.workload(instance)
    assert (workload["status"], workload["instance_id"]) == ("managed", instance)
    assert workload["home_type"] == "m5.large"
    assert stage.item(f"INSTANCE#{instance}", "POINTER")["workload_id"] == instance


def test_a_launch_template_is_written_once_and_again_when_the_instance_changed(
    stage: Stage,
) -> None:
    """Cycles that see the same instance make no new template version; a changed tag makes one."""
    instance = stage.launch(tags={"team": "checkout"})
    stage.adopt()
    first = _template(stage, "web")
    stage.cycle()
    assert _template(stage, "web") == first
    assert len(stage.calls_of("GetLaunchTemplateData")) == 1

    # EC2 does not find for seconds what it has just made.
    stage.account.run_for(timedelta(minutes=1))
    boto3.client("ec2").create_tags(
        Resources=[instance], Tags=[{"Key": "team", "Value": "billing"}]
    )
    stage.cycle()
    second = _template(stage, "web")
    assert second["template_id"] == first["template_id"]
    assert (first["version"], second["version"]) == (1, 2)
    stage.force()
    stage.finish()
    replacement = stage.workload()["instance_id"]
    assert stage.world.tags_of(replacement)["team"] == "billing"


def test_a_switch_of_ours_makes_no_new_template(stage: Stage) -> None:
    """The replacement is read once and found to be what the template says: the version stays."""
    stage.launch(tags={"team": "checkout"}, user_data=b"#!/bin/sh")
    stage.adopt()
    before = _template(stage, "web")
    stage.force()
    stage.finish()
    stage.cycle()
    assert _template(stage, "web") == before


def test_a_type_that_the_user_chose_is_the_new_home(stage: Stage) -> None:
    """An instance that was resized by hand is measured by its new type from the next cycle on."""
    instance = stage.launch()
    stage.adopt()
    running = stage.world.instances[instance]
    running.spec = replace(running.spec, instance_type="m6i.large")
    stage.cycle()
    workload = stage.workload()
    assert (workload["instance_type"], workload["home_type"]) == ("m6i.large", "m6i.large")


def test_a_type_that_we_chose_is_no_new_home(stage: Stage) -> None:
    """After a switch to a larger type the workload is still measured by its home type."""
    stage.launch()
    stage.adopt()
    stage.force(instance_type="c6i.xlarge")
    stage.finish()
    stage.cycle()
    workload = stage.workload()
    assert (workload["instance_type"], workload["home_type"]) == ("c6i.xlarge", "m5.large")


def test_refused_instances_are_on_the_ledger_and_stop_no_other(stage: Stage) -> None:
    """Duplicates, group members, wrong tags and protected instances are refused with their reason,
    and the valid workload beside them is switched."""
    stage.launch("twin")
    stage.launch("twin")
    stage.launch("typo", tags={"spot-optimizer:mode": "automatic"})
    protected = stage.launch("protected", lifecycle="on-demand")
    stage.world.protect(protected)
    stage.launch("sound", lifecycle="on-demand")
    stage.adopt()
    summary = stage.cycle()
    stage.finish()

    assert summary["refused"] == 4
    assert list(summary["started"]) == ["sound"]
    assert stage.switches("sound")[0]["phase"] == "DONE"
    reasons = {
        "twin": "a workload has one instance",
        "typo": "spot-optimizer:mode = 'automatic': allowed is auto, manual or off",
        "protected": "termination protection is on",
    }
    for workload, reason in reasons.items():
        item = stage.workload(workload)
        assert item["status"] == "refused"
        assert reason in item["status_reason"]


def test_a_refused_instance_is_adopted_when_its_reason_is_gone(stage: Stage) -> None:
    """After the second instance with the same id has ended, the first is managed."""
    stage.launch("twin")
    second = stage.launch("twin")
    stage.adopt()
    assert stage.workload("twin")["status"] == "refused"
    stage.world.terminate_instance(second)
    stage.cycle()
    stage.cycle()
    assert stage.workload("twin")["status"] == "managed"


def test_a_workload_that_vanished_is_gone_and_may_come_back(stage: Stage) -> None:
    """Its item says so and keeps what was set; a new instance with the id takes it up again."""
    instance = stage.launch()
    stage.launch("other")
    stage.adopt()
    stage.command(command="set-mode", workload="web", mode="manual")
    stage.world.terminate_instance(instance)
    stage.account.run_for(timedelta(minutes=1))
    summary = stage.cycle()
    assert summary["workloads"] == 1
    assert stage.workload()["status"] == "gone"
    assert instance in stage.workload()["status_reason"]

    successor = stage.launch()
    stage.cycle()
    workload = stage.workload()
    assert (workload["status"], workload["instance_id"]) == ("managed", successor)
    assert workload["mode"] == "manual"


@pytest.mark.parametrize(
    "operation",
    ["GetLaunchTemplateData", "CreateLaunchTemplate", "CreateTags"],
)
def test_an_instance_that_cannot_be_read_or_named_stops_no_other(
    stage: Stage, operation: str
) -> None:
    """AWS refuses one call about one instance: it is skipped, the other is adopted."""
    bad, good = stage.launch(None), stage.launch("good", lifecycle="on-demand")
    stage.faults.append(
        Fault(
            operation,
            code="UnauthorizedOperation",
            caller="Decide",
            when=lambda params: bad in str(params),
        )
    )
    stage.adopt()
    stage.cycle()
    assert stage.faults[0].met
    assert stage.workload("good")["instance_id"] == good
    assert len(stage.account.executions()) == 1


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("CreateLaunchTemplate", "its launch template cannot be written"),
        ("CreateTags", "its workload tag cannot be written"),
        ("GetLaunchTemplateData", "it could not be read"),
    ],
)
def test_an_instance_that_cannot_be_read_or_written_is_refused_until_it_can(
    stage: Stage, operation: str, reason: str
) -> None:
    """The refusal is written to the ledger once, and the workload is adopted when AWS allows it."""
    instance = stage.launch(None)
    stage.faults.append(Fault(operation, code="UnauthorizedOperation", caller="Decide"))
    stage.adopt()
    assert reason in stage.workload(instance)["status_reason"]
    stage.api.clear()
    assert stage.cycle()["refused"] == 1
    tables = [c for c in stage.calls_of("PutItem", "UpdateItem") if instance in str(c.params)]
    assert not tables
    stage.faults.clear()
    stage.cycle()
    assert stage.workload(instance)["status"] == "managed"


def test_other_stacks_instances_are_not_looked_at(stage: Stage) -> None:
    """An instance that names another stack, or none, is neither adopted nor refused."""
    stage.world.launch_instance("m5.large", ZONES[0], tags={"spot-optimizer:managed": "other"})
    stage.world.launch_instance("m5.large", ZONES[0], tags={"Name": STACK})
    stage.adopt()
    assert not [item for item in stage.items() if item["pk"] == "WORKLOADS"]


def test_a_dry_run_writes_ledger_and_bucket_only() -> None:
    """It decides and records; EC2 and Step Functions are only read."""
    with open_stage(DryRun="true") as stage:
        instance = stage.launch(None, lifecycle="on-demand")
        stage.adopt()
        summary = stage.cycle()
        assert (summary["decisions"], summary["held"]) == ({"SWITCH": 1}, 1)
        assert summary["started"] == {}
        (decision,) = [d for d in stage.history(instance, "DECISION") if d["kind"] == "SWITCH"]
        assert "dry run" in decision["held_by"]
        writes = {
            (call.service, call.operation)
            for call in stage.account.calls
            if call.caller_kind != "driver"
            and not call.operation.startswith(("Describe", "Get", "List", "Query"))
        }
        assert {service for service, _ in writes} <= {"dynamodb", "s3", "events"}
        assert "spot-optimizer:workload" not in stage.world.tags_of(instance)
        assert stage.workload(instance)["status"] == "managed"
        assert stage.objects("decisions/")
