"""One cycle: what it records, what it starts, what it leaves alone, and when it gives way."""

import json
from datetime import datetime, timedelta

import boto3
import pytest

from simulator.account.account import FunctionFailed
from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage
from spot_optimizer.aws.ledger.codec import wire_value
from spot_optimizer.aws.ledger.keys import plan_key


def test_an_on_demand_workload_comes_back_to_spot(stage: Stage) -> None:
    """A scheduled cycle moves it to a safe pool, and the record says what it saves."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    assert list(stage.cycle()["started"]) == ["web"]
    assert stage.finish().status == "SUCCEEDED"
    assert stage.switches()[0]["outcome"]["saving_usd_per_hour"] == pytest.approx(0.096 - 0.03)


def test_only_changes_of_decision_are_recorded_and_announced(stage: Stage) -> None:
    """Three cycles that say the same leave one item and one event; each is in the bucket."""
    stage.launch()
    stage.adopt()
    stage.account.run_for(timedelta(minutes=5))
    before = len(stage.history("web", "DECISION"))
    stage.api.clear()
    for _ in range(3):
        stage.cycle()
        stage.account.run_for(timedelta(minutes=5))
    assert len(stage.history("web", "DECISION")) == before + 1
    events = [e for call in stage.calls_of("PutEvents") for e in call.params["Entries"]]
    assert len(events) == 1
    assert len(stage.objects("decisions/")) == 4


def test_a_cycles_decisions_are_readable_json_lines(stage: Stage) -> None:
    """Each line of the object is one workload's decision with its reason and the rejected pools."""
    stage.launch("a")
    stage.launch("b", lifecycle="on-demand")
    stage.adopt()
    stage.cycle()
    newest = stage.objects("decisions/").popitem()[1]
    rows = {row["workload_id"]: row for row in map(json.loads, newest.decode().splitlines())}
    assert {w: row["kind"] for w, row in rows.items()} == {"a": "STAY", "b": "SWITCH"}
    assert all(row["reason"] for row in rows.values())


def test_the_failover_plan_is_left_on_the_ledger(stage: Stage) -> None:
    """Ranked safe pools with their subnets stand beside the launch template."""
    stage.launch()
    stage.adopt()
    stage.cycle()
    plan = stage.item("PLANS", "web")
    assert len(plan["pools"]) > 3
    assert all(pool.split("/")[2].startswith("subnet-") for pool in plan["pools"])


def test_the_failover_plan_is_written_when_its_pools_change(stage: Stage) -> None:
    """The same pools in another order are not worth a write; a pool that drops out is."""
    stage.launch(tags={"spot-optimizer:engine": "forecast"})  # which bars what is interrupted often
    stage.adopt()
    stage.cycle()
    pools = stage.item("PLANS", "web")["pools"]
    boto3.client("dynamodb").update_item(
        TableName=stage.account.stack.physical_ids["Ledger"],
        Key=plan_key("web"),
        UpdateExpression="SET pools = :pools",
        ExpressionAttributeValues={":pools": wire_value(pools[::-1])},
    )
    stage.cycle()
    assert stage.item("PLANS", "web")["pools"] == pools[::-1]
    stage.world.advisor.set(pools[0].split("/")[0], 4)
    stage.account.invoke("RefreshMarket", {"task": "reference"})
    stage.cycle()
    assert pools[0] not in stage.item("PLANS", "web")["pools"]


def test_moves_are_started_before_the_others_are_recorded(stage: Stage) -> None:
    """Thousands of recordings must not keep a workload waiting that has to move."""
    for workload in ("a", "b", "c"):
        stage.launch(workload)
    stage.launch("z", lifecycle="on-demand")
    stage.adopt()
    stage.api.clear()
    stage.cycle()
    order = [(c.operation, str(c.params)) for c in stage.api if c.caller == "Decide"]
    started = next(n for n, (operation, _) in enumerate(order) if operation == "StartExecution")
    recorded = [
        (n, params) for n, (operation, params) in enumerate(order)
        if operation == "PutItem" and "DECISION#" in params
    ]  # fmt: skip
    assert [("WORKLOAD#z" in params) == (n < started) for n, params in recorded] == [True] * 4


def test_a_switch_that_cannot_be_started_stops_no_other(stage: Stage) -> None:
    """Step Functions refuses one start: the other switch runs, the next cycle starts the first."""
    stage.launch("a", lifecycle="on-demand")
    stage.launch("b", lifecycle="on-demand")
    stage.adopt()
    stage.faults.append(
        Fault(
            "StartExecution",
            caller="Decide",
            when=lambda params: params["name"].startswith("a-"),
            times=1,
        )
    )
    assert list(stage.cycle()["started"]) == ["b"]
    stage.account.run_for(timedelta(minutes=5))
    assert list(stage.cycle()["started"]) == ["a"]


def test_stale_prices_move_nobody(stage: Stage) -> None:
    """Half an hour without prices: everything stays, and the reason says why."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    stage.command(command="set-threshold", name="snapshot_age_minutes_max", value=30)
    stage.account.run_for(timedelta(minutes=31))
    summary = stage.account.invoke("Decide", {"trigger": "schedule"})
    assert summary["decisions"] == {"STAY": 1}
    newest = json.loads(stage.objects("decisions/").popitem()[1])
    assert "old" in newest["reason"]


def test_without_a_catalogue_a_cycle_does_nothing(stage: Stage) -> None:
    """Before the first reference data nothing is adopted and nobody is refused."""
    stage.launch()
    boto3.client("s3").delete_object(Bucket=stage.bucket, Key="market/catalog.json.gz")
    assert "skipped" in stage.account.invoke("Decide", {"trigger": "schedule"})
    assert not stage.items()


def _hold_lease(stage: Stage, until: timedelta) -> None:
    expires = stage.account.clock.now() + until
    boto3.client("dynamodb").put_item(
        TableName=stage.account.outputs["LedgerTable"],
        Item={
            "pk": {"S": "STACK"},
            "sk": {"S": "LEASE#decide"},
            "holder": {"S": "another run"},
            "expires_at": {"S": f"{expires:%Y-%m-%dT%H:%M:%S}.000Z"},
        },
    )


def test_overlapping_cycles_give_way(stage: Stage) -> None:
    """While another run holds the lease, a scheduled cycle does nothing and a forced one, in the end,
    says so: by an answer, so that no update is taken back for it."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    _hold_lease(stage, timedelta(minutes=4))
    assert stage.cycle() == {"skipped": "another cycle is running"}
    with pytest.raises(FunctionFailed, match="a decision cycle is running"):
        stage.force()
    assert not stage.account.executions()
    assert not [i for i in stage.account.trace if i.function == "Decide" and i.error]


def test_a_forced_decision_waits_for_a_running_cycle(stage: Stage) -> None:
    """It is made when the other has ended, by the time that it is then."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    _hold_lease(stage, timedelta(minutes=1))
    began = stage.account.clock.now()
    assert stage.force()["started"]
    (execution,) = stage.account.executions()
    decided_at = datetime.fromisoformat(execution.input["decided_at"])
    assert decided_at - began >= timedelta(minutes=1)


def test_the_lease_of_a_dead_run_expires(stage: Stage) -> None:
    """A run that died holds the next ones up only until its lease ends; the lease is given back."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    _hold_lease(stage, timedelta(seconds=-1))
    assert stage.cycle()["started"]
    assert not stage.item("STACK", "LEASE#decide")


def test_a_failed_cycle_gives_its_lease_back(stage: Stage) -> None:
    """A cycle that ends in an error does not hold up the next one."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    stage.faults.append(Fault("DescribeInstances", caller="Decide", times=1))
    with pytest.raises(FunctionFailed):
        stage.cycle()
    assert stage.cycle()["started"]


@pytest.mark.parametrize("by", ["tag", "command"])
def test_manual_mode_decides_but_does_not_act(stage: Stage, by: str) -> None:
    """The decision is recorded with what holds it; a forced one is carried out."""
    tags = {"spot-optimizer:mode": "manual"} if by == "tag" else {}
    stage.launch(lifecycle="on-demand", tags=tags)
    stage.adopt()
    if by == "command":
        stage.command(command="set-mode", workload="web", mode="manual")
    (made,) = stage.cycle()["made"]
    assert (made["kind"], made["held_by"][:11]) == ("SWITCH", "manual mode")
    assert not stage.account.executions()
    assert stage.force()["started"]


def test_mode_off_looks_away(stage: Stage) -> None:
    """An on-demand workload with mode off is not moved, whatever the market offers."""
    stage.launch(lifecycle="on-demand", tags={"spot-optimizer:mode": "off"})
    stage.adopt()
    summary = stage.cycle()
    assert summary["started"] == {}
    assert summary["decisions"].get("SWITCH", 0) == 0


def test_commanded_mode_is_stronger_than_the_tag_until_taken_back(stage: Stage) -> None:
    """auto by command over manual by tag acts; null gives the tag its word back."""
    stage.launch("a", lifecycle="on-demand", tags={"spot-optimizer:mode": "manual"})
    stage.adopt()
    stage.command(command="set-mode", workload="a", mode="auto")
    stage.command(command="set-mode", workload="a", mode=None)
    assert stage.cycle()["started"] == {}
    stage.command(command="set-mode", workload="a", mode="auto")
    assert list(stage.cycle()["started"]) == ["a"]


def test_the_global_stop_holds_everything_until_it_is_lifted(stage: Stage) -> None:
    """Planned and forced switches are recorded as held; after resume they start."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    stage.command(command="stop")
    for summary in (stage.cycle(), stage.force(zone=ZONES[2])):
        (made,) = summary["made"]
        assert "global stop" in made["held_by"]
    assert not stage.account.executions()
    stage.command(command="resume")
    assert stage.cycle()["started"]
