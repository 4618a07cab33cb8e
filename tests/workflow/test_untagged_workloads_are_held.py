"""Without the tag ``state`` nothing of a workload is moved, whoever asks for it."""

import json
from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.account import FunctionFailed
from simulator.deployed import HOME, STACK, ZONES
from simulator.stage import Stage, open_stage
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.services.explain.explanation import explain_decision
from tests.workflow.test_signals_are_answered_once import signal

TO_WRITE = "spot-optimizer:state = stateless"


def untagged(stage: Stage, workload: str, lifecycle: str) -> str:
    """Launch an instance whose user has only written ``managed`` and ``workload``; its id."""
    ours = {"spot-optimizer:managed": STACK, "spot-optimizer:workload": workload}
    instance_id: str = stage.world.launch_instance(HOME, ZONES[0], tags=ours, lifecycle=lifecycle)
    return instance_id


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[Stage, str, str]]:
    """A stage with two held workloads and their instances: on-demand ``web``, and ``api`` on spot.

    Its parameter RequireStateTag concerns only what was adopted before the tag was demanded.
    """
    with open_stage(RequireStateTag="true") as stage:
        web, api = untagged(stage, "web", "on-demand"), untagged(stage, "api", "spot")
        stage.launch("tagged")
        stage.adopt()
        stage.cycle()
        yield stage, web, api


Held = tuple[Stage, str, str]


def test_a_held_workload_is_decided_and_recorded(held: Held) -> None:
    """It is managed; its item and its decision say which tag to write, and no switch begins."""
    stage, web, _ = held
    item = stage.workload("web")
    assert (item["status"], item["instance_id"]) == ("managed", web)
    (decision,) = [d for d in stage.history("web", "DECISION") if d["kind"] == "SWITCH"]
    for text in (item["status_reason"], decision["held_by"]):
        assert text.startswith("held: ")
        assert TO_WRITE in text
    assert not stage.switches("web")


def test_a_held_workload_has_no_standing_plan(held: Held) -> None:
    """A signal that older code answers finds nothing to launch."""
    stage, _, _ = held
    for workload in ("web", "api"):
        plan = stage.item("PLANS", workload)
        assert (plan.get("terms"), plan.get("pools") or []) == (None, [])
    assert stage.item("PLANS", "tagged")["terms"]


def test_the_explanation_of_a_held_workload_says_what_holds_it(held: Held) -> None:
    """The decision can be made again from what was kept, with the same outcome."""
    stage, _, _ = held
    ledger = Ledger(stage.account.outputs["LedgerTable"])
    now = stage.account.clock.now()
    answer = explain_decision(DataBucket(stage.bucket), ledger, "web", until=now)
    assert answer.remark == ""
    assert answer.explanation is not None
    assert answer.explanation.decision.held_by.startswith("held: ")
    assert TO_WRITE in answer.explanation.decision.held_by


def test_a_forced_decision_about_a_held_workload_is_refused(held: Held) -> None:
    """The answer says which tag to write."""
    stage, _, _ = held
    with pytest.raises(FunctionFailed, match=f"workload = 'web' is held: .*{TO_WRITE}"):
        stage.force("web")
    assert not stage.switches("web")


def test_an_interruption_of_a_held_workload_raises_an_alert(held: Held) -> None:
    """Nothing is launched, also not from a plan and an order that older code left behind."""
    stage, _, api = held
    terms = stage.item("PLANS", "tagged")
    table = boto3.resource("dynamodb").Table(stage.account.outputs["LedgerTable"])
    table.update_item(
        Key={"pk": "PLANS", "sk": "api"},
        UpdateExpression="SET terms = :t, pools = :p",
        ExpressionAttributeValues={":t": terms["terms"], ":p": terms["pools"]},
    )
    stage.api.clear()
    assert signal(stage, api)["effect"] == "RECORDED"
    (alert,) = stage.calls_of("Publish")
    assert "not replaced" in alert.params["Message"]
    assert TO_WRITE in alert.params["Message"]

    order = stage.order("api", ("m5a.large", ZONES[1], "spot"))
    stage.start(order)
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=stage.account.stack.physical_ids["FailOver"],
        name="by-older-code",
        input=json.dumps({**order, "kind": "EVACUATE", "switch_id": "by-older-code"}),
    )
    stage.finish()
    assert len(stage.account.executions()) == 2
    assert not stage.switches("api")
    assert not stage.calls_of("RunInstances", "CreateFleet", "TerminateInstances")


def test_a_held_workload_is_moved_when_it_is_tagged(held: Held) -> None:
    """From the next cycle on."""
    stage, web, _ = held
    boto3.client("ec2").create_tags(
        Resources=[web], Tags=[{"Key": "spot-optimizer:state", "Value": "stateless"}]
    )
    stage.account.run_for(timedelta(minutes=1))
    assert list(stage.cycle()["started"]) == ["web"]
    stage.finish()
    assert stage.switches("web")[0]["phase"] == "DONE"
    assert TO_WRITE not in stage.workload("web")["status_reason"]


def test_a_parameter_ends_the_rule_of_workloads_adopted_before(held: Held) -> None:
    """With RequireStateTag they are held as well."""
    stage, _, _ = held
    demanded = stage.item("STACK", "STATE")["state_demanded_since"]
    table = boto3.resource("dynamodb").Table(stage.account.outputs["LedgerTable"])
    table.update_item(
        Key={"pk": "WORKLOADS", "sk": "api"},
        UpdateExpression="SET adopted_at = :t, state_rule = :r",
        ExpressionAttributeValues={":t": demanded.replace("2026", "2025"), ":r": "kept"},
    )
    stage.cycle()
    assert stage.workload("api")["state_rule"] == "held"
