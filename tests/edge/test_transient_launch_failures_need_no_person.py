"""Launches that fail for a transient reason need no person: later cycles repair what is missing."""

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.stage import SEED, Stage, open_stage

WORKLOADS = ("a", "b", "c")


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A deployed product that acts, without workloads."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        yield opened


def test_a_deleted_launch_template_is_created_again(stage: Stage) -> None:
    """The next cycle creates the template, as the refusal says, and the next switch succeeds."""
    stage.launch(lifecycle="on-demand", InstanceInitiatedShutdownBehavior="terminate")
    stage.adopt()
    before = stage.item("PLANS", "web")["launch_template"]
    # EC2 does not find for seconds what it has just made.
    stage.account.run_for(timedelta(minutes=1))
    boto3.client("ec2").delete_launch_template(LaunchTemplateId=before["template_id"])
    stage.force()
    assert stage.finish().status == "FAILED"
    stage.account.run_for(timedelta(hours=1))
    stage.cycle()
    after = stage.item("PLANS", "web")["launch_template"]
    assert after["template_id"] not in ("", before["template_id"])
    assert after["shutdown_behavior"] == before["shutdown_behavior"] == "terminate"
    assert stage.finish().status == "SUCCEEDED"


def test_a_throttled_account_opens_no_breaker(stage: Stage) -> None:
    """Three workloads whose launches EC2 throttles wait and try again; no breaker opens."""
    for workload in WORKLOADS:
        stage.launch(workload)
    stage.adopt()
    busy = Fault("RunInstances", code="RequestLimitExceeded", caller="LaunchReplacement")
    stage.faults.append(busy)
    for workload in WORKLOADS:
        stage.force(workload)
    stage.finish()
    assert busy.met
    assert "breaker_open_since" not in stage.item("STACK", "STATE")
    for workload in WORKLOADS:
        assert stage.workload(workload)["failures"] == 0
        assert stage.workload(workload)["backoff_until"]
