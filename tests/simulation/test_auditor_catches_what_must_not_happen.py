"""Each invariant is broken on purpose once, and the auditor names it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.account.account import FunctionFailed
from simulator.account.callers import Caller
from simulator.demo import demo
from simulator.invariants import InvariantViolated
from simulator.ledger_view import LedgerView
from simulator.markets import builtin_market
from simulator.simulation import Simulation, silent
from spot_optimizer.aws.ledger.codec import wire_value
from spot_optimizer.aws.ledger.keys import stack_key, switch_key, workload_key

PRODUCT = Caller("states", "SwitchInstance", "us-east-1")


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """The demo after twenty minutes: web-shop and reports are being switched."""
    with Simulation(demo(), builtin_market(1, None, 1), seed=1, observer=silent()) as running:
        running.pass_time(timedelta(minutes=16))
        yield running


def call(simulation: Simulation, service: str, operation: str, **parameters: Any) -> None:
    """An AWS call in the name of the product."""
    simulation.world.handle(service, operation, parameters, PRODUCT)


def set_on(simulation: Simulation, key: dict[str, Any], **values: Any) -> None:
    """Change a ledger item behind the product's back."""
    table = simulation.account.stack.physical_ids["Ledger"]
    names = {f"#{name}": name for name in values}
    boto3.client("dynamodb").update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={f":{name}": wire_value(v) for name, v in values.items()},
    )


def moving(simulation: Simulation) -> Any:
    """A switch in progress."""
    return LedgerView(simulation.account).switches()[0]


def put_twin(
    simulation: Simulation, name: str, order: dict[str, Any] | None = None, **values: Any
) -> None:
    """A second record next to a switch in progress, with some attributes changed."""
    switch, table = moving(simulation), simulation.account.stack.physical_ids["Ledger"]
    dynamodb = boto3.client("dynamodb")
    key = switch_key(switch.workload_id, switch.switch_id)
    item: dict[str, Any] = dynamodb.get_item(TableName=table, Key=key)["Item"]
    given = {attribute: wire_value(value) for attribute, value in values.items()}
    item.update({"switch_id": {"S": name}, **switch_key(switch.workload_id, name), **given})
    item["order"]["M"].update({part: wire_value(value) for part, value in (order or {}).items()})
    dynamodb.put_item(TableName=table, Item=item)


def assert_violates(simulation: Simulation, number: int) -> None:
    with pytest.raises(InvariantViolated, match=f"invariant {number} "):
        simulation.auditor.check()


def test_auditor_catches_1_original_terminated_before_the_commit(simulation: Simulation) -> None:
    """The record is not committed yet."""
    original = moving(simulation).order.original.instance_id
    with pytest.raises(InvariantViolated, match="invariant 1 "):
        call(simulation, "ec2", "TerminateInstances", InstanceIds=[original])


def test_auditor_catches_1_sweep_terminating_a_recorded_replacement(simulation: Simulation) -> None:
    """It may terminate only instances that were launched for a switch that is not on the ledger."""
    launched = next(s for s in LedgerView(simulation.account).switches() if s.replacement_id)
    with pytest.raises(InvariantViolated, match="invariant 1 "):
        simulation.world.handle(
            "ec2", "TerminateInstances", {"InstanceIds": [launched.replacement_id]},
            Caller("lambda", "Sweep", "us-east-1"),
        )  # fmt: skip


def test_auditor_catches_1_failover_committed_before_its_replacement_runs(
    simulation: Simulation,
) -> None:
    """A committed failover without a replacement."""
    put_twin(
        simulation,
        "failover",
        {"kind": "EVACUATE", "decision_id": "failover"},
        phase="DONE",
        committed_at=moving(simulation).claimed_at,
        replacement_id=None,
    )
    assert_violates(simulation, 1)


def test_auditor_catches_2_two_live_switches_of_one_workload(simulation: Simulation) -> None:
    """A second record in a live phase."""
    put_twin(simulation, "twin", {"decision_id": "twin"})
    assert_violates(simulation, 2)


def test_auditor_catches_3_launch_without_our_tags(simulation: Simulation) -> None:
    """No search could find that instance again."""
    template = next(iter(LedgerView(simulation.account).plans().values()))["launch_template"]
    with pytest.raises(InvariantViolated, match="invariant 3 "):
        call(
            simulation, "ec2", "RunInstances",
            LaunchTemplate={
                "LaunchTemplateId": template["template_id"],
                "Version": str(template["version"]),
            },
            InstanceType="m5.large", MinCount=1, MaxCount=1, ClientToken="loose",
        )  # fmt: skip


def test_auditor_catches_5_decision_with_two_switches(simulation: Simulation) -> None:
    """Two records of one decision, both ended."""
    for name in ("one", "two"):
        put_twin(simulation, name, phase="FAILED")
    assert_violates(simulation, 5)


def test_auditor_catches_6_phase_that_goes_back(simulation: Simulation) -> None:
    """From LAUNCHED to CLAIMED."""
    switch = next(
        s for s in LedgerView(simulation.account).switches() if s.replacement_id is not None
    )
    set_on(simulation, switch_key(switch.workload_id, switch.switch_id), phase="CLAIMED")
    assert_violates(simulation, 6)


def test_auditor_catches_7_token_newer_than_the_fence(simulation: Simulation) -> None:
    """A write ignored the claim."""
    switch = moving(simulation)
    set_on(simulation, switch_key(switch.workload_id, switch.switch_id), fence=99)
    assert_violates(simulation, 7)


@pytest.mark.parametrize("whose", ["stack", "workload"])
def test_auditor_catches_8_claim_under_an_open_breaker(simulation: Simulation, whose: str) -> None:
    """The breaker opened before the switch was claimed."""
    switch = moving(simulation)
    key = stack_key() if whose == "stack" else workload_key(switch.workload_id)
    set_on(simulation, key, breaker_open_since=switch.claimed_at - timedelta(minutes=1))
    assert_violates(simulation, 8)


def test_auditor_catches_9_change_of_a_foreign_instance(simulation: Simulation) -> None:
    """An instance without our tag is registered with a target group."""
    stranger = simulation.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "other"})
    group = simulation.world.create_target_group("others")
    with pytest.raises(InvariantViolated, match="invariant 9 "):
        call(
            simulation, "elbv2", "RegisterTargets",
            TargetGroupArn=group, Targets=[{"Id": stranger, "Port": 80}],
        )  # fmt: skip


def test_auditor_catches_10_claim_without_a_holder(simulation: Simulation) -> None:
    """Everything is quiet and a workload is still claimed."""
    simulation.account.run_until_quiet()
    set_on(simulation, workload_key("search"), claim_switch_id="ghost")
    with pytest.raises(InvariantViolated, match="invariant 10 "):
        simulation.auditor.check_quiet()


def test_auditor_catches_11_switch_without_trusted_prices(simulation: Simulation) -> None:
    """Row 0 means that there is no basis for a decision, and nobody forced it."""
    switch = moving(simulation)
    boto3.client("dynamodb").update_item(
        TableName=simulation.account.stack.physical_ids["Ledger"],
        Key=switch_key(switch.workload_id, switch.switch_id),
        UpdateExpression="SET #order.#row = :zero",
        ExpressionAttributeNames={"#order": "order", "#row": "row"},
        ExpressionAttributeValues={":zero": {"N": "0"}},
    )
    assert_violates(simulation, 11)


def test_auditor_catches_12_more_instances_than_workloads(simulation: Simulation) -> None:
    """Copies that have our tag and that of a switch."""
    simulation.account.run_until_quiet()
    tags = {
        "spot-optimizer:managed": "spot-optimizer",
        "spot-optimizer:workload": "search",
        "spot-optimizer:switch": "gone",
    }
    for _ in range(2):
        simulation.world.launch_instance("c5.xlarge", "us-east-1a", tags=tags)
    assert_violates(simulation, 12)


def test_function_failing_by_a_defect_ends_the_run(simulation: Simulation) -> None:
    """Only errors that callers handle may leave a function."""
    with pytest.raises(FunctionFailed, match="InvalidRequest"):
        simulation.account.invoke("UpdateLedger", {"action": "claim", "order": 1})
    simulation.auditor.check()
    bucket = simulation.account.stack.physical_ids["DataBucket"]
    boto3.client("s3").put_object(Bucket=bucket, Key="market/snapshot.npz", Body=b"rubbish")
    with pytest.raises(InvariantViolated, match="DamagedState"):
        simulation.pass_time(timedelta(minutes=5))
