"""Functions of one version start executions of the other: aliases of functions and of state machines
move at different times, and a rollback moves them back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import boto3
import pytest

from simulator.deployed import ZONES
from simulator.stage import WORKLOADS_MAX, Stage
from tests.compatibility.both_versions import BothVersions, Version, both_versions, failures

STEPS = ("UpdateLedger", "LaunchReplacement", "InspectReplacement", "HandOver")
STARTING = ("Decide", "HandleSignal", "Sweep")
WORKLOADS = ("chosen", "forced", "interrupted", "stopped")
"""By the way that each comes to its execution; the last one's is started by the sweep."""

PRICES = {("m5.large", ZONES[1]): 0.06}
"""Where ``chosen`` runs: every other pool is worth a switch."""

MIXES = [("new", "old"), ("old", "new")]


class Done(NamedTuple):
    """A stage on which functions of one version have started executions of the other."""

    stage: Stage
    versions: BothVersions
    functions: Version
    state_machines: Version
    summary: dict[str, Any]


@pytest.fixture(scope="module", params=MIXES, ids=["rollback", "update"])
def done(request: pytest.FixtureRequest) -> Iterator[Done]:
    """One execution of each kind: planned, forced, resumed, failover."""
    functions, state_machines = request.param
    with both_versions(PRICES, StackBreakerWorkloads=WORKLOADS_MAX) as (stage, versions):
        versions.serve(functions, state_machines)
        group = stage.world.create_target_group("shop")
        stage.launch("chosen", zone=ZONES[1], target_group_arn=group)
        originals = {name: stage.launch(name) for name in WORKLOADS[1:]}
        stage.adopt()
        stage.cycle()
        stage.finish()
        stage.force("forced")
        stage.finish()
        stage.force("stopped")
        newest = stage.account.executions()[-1]
        while not any(switch["phase"] == "LAUNCHED" for switch in stage.switches("stopped")):
            due = stage.account.clock.next_deadline()
            assert due is not None
            stage.account.run_until(due)
        boto3.client("stepfunctions").stop_execution(executionArn=newest.arn)
        stage.world.interrupt(originals["interrupted"])
        stage.finish()
        stage.account.run_for(timedelta(minutes=10))
        stage.sweep()
        stage.finish()
        yield Done(stage, versions, functions, state_machines, stage.cycle())


def test_each_part_ran_in_its_version(done: Done) -> None:
    """What decides was of one version, all steps of the other."""
    for name in STARTING:
        assert done.versions.versions_of(name) == {done.functions}, name
    for name in STEPS:
        assert done.versions.versions_of(name) == {done.state_machines}, name


def test_every_order_is_accepted_and_carried_out(done: Done) -> None:
    """No step refuses its input; what was not stopped by hand is done, what was is undone."""
    assert failures(done.stage) == []
    phases = {name: [s["phase"] for s in done.stage.switches(name)] for name in WORKLOADS}
    assert phases.pop("stopped") == ["FAILED"]
    assert {phase for each in phases.values() for phase in each} == {"DONE"}
    assert {name for name, each in phases.items() if each} == {"chosen", "forced", "interrupted"}
    resumed = [e.input for e in done.stage.account.executions() if "resume" in e.input]
    assert [order["workload_id"] for order in resumed] == ["stopped"]


def test_a_completed_order_is_accepted_by_the_version_that_made_it(done: Done) -> None:
    """The next cycle finds every workload where its record says, and refuses none."""
    assert (done.summary["workloads"], done.summary["refused"]) == (len(WORKLOADS), 0)
    items = [done.stage.workload(name) for name in WORKLOADS]
    assert {item["instance_id"] for item in items} == done.stage.alive()
    assert not any("claim_switch_id" in item for item in items)
