"""A cycle asks for what its decision needs, and writes what has changed, once."""

import gzip
import json
from datetime import timedelta
from itertools import product
from typing import Any

import boto3
import pytest

from simulator.account.account import FunctionFailed
from simulator.call_log import ApiCall
from simulator.deployed import ZONES
from simulator.stage import TYPES, Stage


def _asked_instances(calls: list[ApiCall]) -> set[str]:
    """What filters of DescribeInstances name, beside our tag and the states."""
    return {
        value
        for call in calls
        for each in call.params.get("Filters", [])
        if each["Name"] in ("tag:spot-optimizer:workload", "instance-id")
        for value in each["Values"]
    }


def _plans_written(calls: list[ApiCall]) -> list[str]:
    return [
        call.params["Item"]["sk"]["S"]
        for call in calls
        if call.params["Item"]["pk"]["S"] == "PLANS"
    ]


def test_forced_decision_reads_only_the_workload_that_is_asked_for(stage: Stage) -> None:
    """Every DescribeInstances names it, and no other workload's plan is read."""
    asked, other = stage.launch("asked"), stage.launch("other")
    stage.adopt()
    stage.refresh()
    stage.api.clear()
    (made,) = stage.command(command="decide", workload="asked")["made"]
    assert made["workload_id"] == "asked"

    reads = stage.calls_of("DescribeInstances")
    assert reads
    assert all(call.params.get("Filters") for call in reads)
    assert _asked_instances(reads) <= {"asked", asked}
    assert not [c for c in stage.calls_of("Query") if "PLANS" in json.dumps(c.params)]
    assert other not in json.dumps([call.params for call in reads])


def test_forced_decision_keeps_the_usage_of_other_workloads(stage: Stage) -> None:
    """What was read of others stays in the usage book although this run did not see them."""
    stage.launch("asked")
    stage.launch("other")
    stage.adopt()

    def known() -> set[str]:
        return set(json.loads(gzip.decompress(stage.object("usage/usage.json.gz")))["workloads"])

    before = known()
    assert before == {"asked", "other"}
    second = stage.launch("asked-later")
    stage.cycle()
    stage.command(command="decide", workload="asked-later")
    assert known() == {*before, "asked-later"}, second


def test_cycle_writes_each_standing_plan_once(stage: Stage) -> None:
    """A first reading, its launch template, pools and terms are one write."""
    stage.launch("web")
    stage.refresh()
    stage.api.clear()
    stage.cycle()
    assert _plans_written(stage.calls_of("PutItem")) == ["web"]
    plan: dict[str, Any] = stage.item("PLANS", "web")
    assert plan["launch_template"]["version"] == 1
    assert plan["terms"]["mode"] == "auto"


def test_cycle_that_fails_keeps_the_templates_that_it_wrote(stage: Stage) -> None:
    """The market snapshot cannot be read: the plan still names the launch template in EC2."""
    stage.launch("web")
    stage.refresh()
    snapshot = stage.object("market/snapshot.npz")
    boto3.client("s3").put_object(Bucket=stage.bucket, Key="market/snapshot.npz", Body=b"damaged")
    with pytest.raises(FunctionFailed):
        stage.account.invoke("Decide", {"trigger": "schedule"})
    assert stage.item("PLANS", "web")["launch_template"]["version"] == 1
    boto3.client("s3").put_object(Bucket=stage.bucket, Key="market/snapshot.npz", Body=snapshot)
    stage.cycle()
    assert stage.item("PLANS", "web")["launch_template"]["version"] == 1


def test_decision_that_is_acted_upon_has_a_record_each_time(stage: Stage) -> None:
    """The same decision again, after its first switch found no capacity, is recorded again."""
    stage.launch(lifecycle="on-demand")
    stage.adopt()
    for instance_type, zone in product(TYPES, ZONES):
        stage.world.close_capacity(instance_type, zone)
    for _ in range(2):
        stage.cycle()
        stage.finish()
        stage.account.run_for(timedelta(hours=7))
        stage.refresh()
    recorded = {row["decision_id"] for row in stage.history("web", "DECISION")}
    ordered = [switch["order"]["decision_id"] for switch in stage.switches()]
    assert len(ordered) >= 2
    assert set(ordered) <= recorded
