"""Switches and failovers that one version began end well, whichever version serves by then."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import boto3
import pytest

from simulator.deployed import ZONES
from simulator.stage import WORKLOADS_MAX, Stage
from tests.compatibility.both_versions import (
    STATE_MACHINES,
    BothVersions,
    Version,
    both_versions,
    failures,
)

STEPS = ("UpdateLedger", "LaunchReplacement", "InspectReplacement", "HandOver")
WORKLOADS = ("late", "early", "interrupted", "running")
"""Stopped after the commit; stopped before it; taken by EC2; just under way: as the version changes."""

CHANGES = [("old", "new"), ("new", "old")]
"""An update, and a rollback."""


class Left(NamedTuple):
    """What is there when all has been swept."""

    stage: Stage
    versions: BothVersions
    ran_before: int
    originals: dict[str, str]
    found: list[list[dict[str, str]]]
    templates_written: int
    summary: dict[str, Any]


@contextmanager
def _changed(before: Version, after: Version) -> Iterator[Left]:
    """A switch in each state, begun by ``before``; then ``after`` serves, sweeps and runs a cycle."""
    with both_versions(StackBreakerWorkloads=WORKLOADS_MAX, MovesIntoOnePoolFraction=1) as opened:
        stage, versions = opened
        versions.serve(before)
        originals = {name: stage.launch(name) for name in ("early", "interrupted")}
        for name in ("late", "running"):
            group = stage.world.create_target_group(name)
            address = name == "running"
            originals[name] = stage.launch(name, target_group_arn=group, address=address)
        stage.adopt()
        stage.cycle()
        _stopped_in(stage, "late", "COMMITTED")
        _stopped_in(stage, "early", "LAUNCHED")
        stage.world.interrupt(originals["interrupted"])
        _run_until(stage, "interrupted", "LAUNCHED")
        stage.force("running", "m5a.large", ZONES[1])
        _run_until(stage, "running", "LAUNCHED")
        ran_before = len(versions.ran)
        stage.api.clear()
        versions.serve(after)
        stage.finish()
        found = []
        for _ in range(3):
            stage.account.run_for(timedelta(minutes=10))
            found.append(stage.sweep())
            stage.finish()
        written = len(stage.calls_of("CreateLaunchTemplate", "CreateLaunchTemplateVersion"))
        summary = stage.cycle()
        yield Left(stage, versions, ran_before, originals, found, written, summary)


def _stopped_in(stage: Stage, workload: str, phase: str) -> None:
    """A forced switch whose execution is stopped as its record comes to a phase."""
    stage.force(workload, "m5a.large", ZONES[1])
    _run_until(stage, workload, phase)
    for execution in stage.account.executions():
        if execution.input["workload_id"] == workload:
            boto3.client("stepfunctions").stop_execution(executionArn=execution.arn)


def _run_until(stage: Stage, workload: str, phase: str) -> None:
    while [switch["phase"] for switch in stage.switches(workload)] != [phase]:
        due = stage.account.clock.next_deadline()
        assert due is not None, f"{workload} never comes to {phase}"
        stage.account.run_until(due)


@pytest.fixture(scope="module", params=CHANGES, ids=["update", "rollback"])
def left(request: pytest.FixtureRequest) -> Iterator[Left]:
    """One stage for each direction."""
    with _changed(*request.param) as changed:
        yield changed


def test_an_execution_under_way_keeps_its_version(left: Left) -> None:
    """Its definition names versions of its functions, so both run on in what the other one serves."""
    stage, versions = left.stage, left.versions
    later = versions.ran[left.ran_before :]
    assert {version for version, name, _ in later if name in STEPS} == {"old", "new"}
    assert len({version for version, name, _ in later if name in ("Decide", "Sweep")}) == 1
    assert {e.state_machine for e in stage.account.executions()} == set(STATE_MACHINES)


def test_a_running_or_resumed_switch_ends_as_it_should(left: Left) -> None:
    """Before the commit a stopped switch is undone, after it it goes forward; the others end well."""
    phases = {name: [s["phase"] for s in left.stage.switches(name)] for name in WORKLOADS}
    assert phases == {
        "late": ["DONE"],
        "early": ["FAILED"],
        "interrupted": ["DONE"],
        "running": ["DONE"],
    }
    assert failures(left.stage) == []


def test_each_workload_runs_once_where_its_record_says(left: Left) -> None:
    """Nothing is lost, nothing runs twice, no claim is left."""
    items = {name: left.stage.workload(name) for name in WORKLOADS}
    assert {item["instance_id"] for item in items.values()} == left.stage.alive()
    assert {item["status"] for item in items.values()} == {"managed"}
    assert not any("claim_switch_id" in item for item in items.values())
    assert items["early"]["instance_id"] == left.originals["early"]
    assert left.stage.address_holder() == items["running"]["instance_id"]


def test_the_sweep_finds_each_once_and_then_nothing(left: Left) -> None:
    """Both stopped switches are resumed by the version that did not begin them, from its own input."""
    found = [(row["action"], row["workload_id"]) for row in left.found[0]]
    assert sorted(found) == [("resume", "early"), ("resume", "late")]
    assert left.found[-1] == []
    resumed = [e.input for e in left.stage.account.executions() if "resume" in e.input]
    assert sorted(order["workload_id"] for order in resumed) == ["early", "late"]


def test_the_next_cycle_takes_all_as_they_are(left: Left) -> None:
    """It refuses none, has nothing to start, and rewrites no launch template."""
    assert (left.summary["workloads"], left.summary["refused"]) == (len(WORKLOADS), 0)
    written = left.stage.calls_of("CreateLaunchTemplate", "CreateLaunchTemplateVersion")
    assert len(written) == left.templates_written
