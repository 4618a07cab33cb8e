"""A launch that only time can cure needs no person: the next cycles do what is missing."""

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.stage import SEED, Stage, open_stage

WORKLOADS = ("a", "b", "c")


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A deployed product that acts, with nothing to manage yet."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        yield opened


def test_a_deleted_launch_template_is_made_anew(stage: Stage) -> None:
    """The refusal promises that the next cycle makes it: the next switch succeeds."""
    stage.launch(lifecycle="on-demand", InstanceInitiatedShutdownBehavior="terminate")
    stage.take_in()
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
    """Three workloads that EC2 has no time for wait and try again; nobody has to reset anything."""
    for workload in WORKLOADS:
        stage.launch(workload)
    stage.take_in()
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
