"""The sweep handles interruptions without an event, and failovers that failed or were interrupted."""

from datetime import timedelta

import boto3
import pytest

from simulator.call_log import ApiCall, Fault
from simulator.stage import Stage, open_stage
from tests.workflow.faults import step
from tests.workflow.scenarios_of_failovers import ready_stage
from tests.workflow.scenarios_of_leftovers import BETWEEN_SWEEPS, sweep_until_quiet

GONE = timedelta(minutes=4)
"""From a warning until EC2 has ended the instance."""


def _interrupt_unheard(stage: Stage, instance_id: str, action: str = "terminate") -> None:
    stage.stop_rules_of("HandleSignal")
    stage.world.interrupt(instance_id, action)
    stage.account.run_for(GONE)


def test_an_interruption_without_an_event_starts_a_failover() -> None:
    """The sweep starts the failover that no event started; later sweeps find nothing."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert (found["action"], found["workload_id"]) == ("fail-over", "web")
        assert "EC2 has interrupted it" in found["reason"]
        assert stage.finish().status == "SUCCEEDED"
        assert stage.alive() == {stage.workload()["instance_id"]}
        assert stage.sweep() == []
        assert not stage.calls_of("Publish")


def test_an_instance_without_its_tags_starts_a_failover() -> None:
    """EC2 removes the tags of a terminated instance, and a cycle marked the workload as gone."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        stage.account.run_for(timedelta(minutes=15))
        assert not stage.describe(originals["web"]).get("Tags")
        stage.cycle()
        assert stage.workload()["status"] == "gone"
        (found,) = stage.sweep()
        assert (found["action"], found["workload_id"]) == ("fail-over", "web")
        assert stage.finish().status == "SUCCEEDED"
        stage.cycle()
        assert stage.workload()["status"] == "managed"
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_instances_that_ended_long_ago_are_not_read() -> None:
    """When EC2 no longer shows an ended instance, no sweep asks for it."""
    with ready_stage() as (stage, originals):
        stage.stop_rules_of("HandleSignal")
        stage.world.terminate_instance(originals["web"])
        stage.account.run_for(GONE)
        stage.cycle()
        stage.sweep()
        asked = len(_asked_for(stage, originals["web"]))
        assert asked
        stage.account.run_for(timedelta(hours=2))
        stage.sweep()
        assert len(_asked_for(stage, originals["web"])) == asked


def _asked_for(stage: Stage, instance_id: str) -> list[ApiCall]:
    return [
        call
        for call in stage.calls_of("DescribeInstances")
        if [instance_id] in [row["Values"] for row in call.params.get("Filters", ())]
    ]


def test_two_sweeps_start_one_failover() -> None:
    """The second comes before the failover of the first has claimed the workload."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        stage.sweep()
        stage.sweep()
        stage.finish()
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_an_instance_that_its_user_ended_starts_no_failover() -> None:
    """A user may end an instance on purpose."""
    with ready_stage() as (stage, originals):
        stage.stop_rules_of("HandleSignal")
        stage.world.terminate_instance(originals["web"])
        stage.account.run_for(GONE)
        assert stage.sweep() == []


@pytest.mark.parametrize("hours", [0.3, 3], ids=["soon", "when EC2 has forgotten the original"])
def test_a_failover_without_capacity_is_retried(hours: float) -> None:
    """After the back-off a sweep starts another one, also if EC2 no longer shows the instance."""
    with ready_stage() as (stage, originals):
        until = stage.account.clock.now() + timedelta(hours=hours)
        stage.world.close_capacity(end=until)
        stage.world.interrupt(originals["web"])
        stage.finish()
        stage.account.run_for(GONE)
        assert stage.alive() == set()
        assert stage.sweep() == []  # the back-off holds
        found = []
        # Longer than the longest back-off.
        while stage.account.clock.now() < until + timedelta(minutes=70):
            stage.account.run_for(BETWEEN_SWEEPS)
            found += stage.sweep()
            stage.finish()
        assert {each["action"] for each in found} == {"fail-over"}
        assert stage.alive() == {stage.workload()["instance_id"]}
        assert stage.workload()["status"] == "managed"


@pytest.mark.parametrize("mode", ["manual", "off"])
def test_an_interruption_without_a_failover_is_reported_once(mode: str) -> None:
    """One alert is sent, and the next sweep sends none."""
    with ready_stage() as (stage, originals):
        stage.command(command="set-mode", workload="web", mode=mode)
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert found["action"] == "report"
        (alert,) = stage.calls_of("Publish")
        assert "No failover for workload web" in alert.params["Message"]
        assert f"mode {mode}" in alert.params["Message"]
        assert stage.workload()["status"] == "gone"
        assert stage.sweep() == []
        stage.cycle()
        assert "EC2 has interrupted it" in stage.workload()["status_reason"]


def test_the_global_stop_holds_failovers_of_the_sweep() -> None:
    """The interruption is reported; the failover starts when the stop is lifted."""
    with ready_stage() as (stage, originals):
        stage.command(command="stop")
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert found["action"] == "report"
        assert "global stop" in found["reason"]
        stage.command(command="resume")
        (found,) = stage.sweep()
        assert found["action"] == "fail-over"
        stage.finish()
        assert stage.alive() == {stage.workload()["instance_id"]}


@pytest.mark.parametrize(
    "state", ["LaunchReplacement", "WaitUntilRunning", "WaitForTargets", "WaitForTermination"]
)
@pytest.mark.parametrize("action", ["terminate", "stop"])
def test_a_failover_that_is_stopped_by_hand_is_finished(state: str, action: str) -> None:
    """Wherever it was stopped, and whether its original is gone or not: one instance is left, and the
    workload runs on it."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop") if state == "WaitForTargets" else None
        original = stage.launch(target_group_arn=group, persistent=action == "stop")
        stage.adopt()
        stage.cycle()
        launch = step("LaunchReplacement")
        stage.faults.append(
            Fault("Invoke", "ServiceException", "FailOver", when=launch, after_effect=True, times=2)
        )
        stage.world.interrupt(original, action)
        stage.run_until_entered(state)
        boto3.client("stepfunctions").stop_execution(
            executionArn=stage.account.executions()[-1].arn
        )
        stage.account.run_for(GONE)
        swept = sweep_until_quiet(stage, stage.account.clock.now())
        stage.cycle()
        stage.finish()
        assert swept["again"] == []
        item = stage.workload()
        running = {i for i in stage.alive() if stage.world.state_of(i) == "running"}
        assert running == {item["instance_id"]}
        assert item["status"] == "managed"
        assert "claim_switch_id" not in item


def test_a_replacement_of_an_interrupted_failover_is_used() -> None:
    """The original is gone, and the failover was stopped while its replacement booted. A cycle does not
    adopt the replacement. The sweep's failover does, and recognizes it by the tag of our EC2 Fleet."""
    with ready_stage() as (stage, originals):
        stage.world.interrupt(originals["web"])
        stage.run_until_entered("RecordLaunched")
        boto3.client("stepfunctions").stop_execution(
            executionArn=stage.account.executions()[-1].arn
        )
        stage.account.run_for(GONE)
        stage.account.run_for(BETWEEN_SWEEPS)
        stage.cycle()
        assert stage.workload()["instance_id"] == originals["web"]
        stage.sweep()
        stage.finish()
        stage.cycle()
        assert stage.workload()["instance_id"] != originals["web"]
        assert stage.workload()["status"] == "managed"
        assert stage.alive() == {stage.workload()["instance_id"]}
