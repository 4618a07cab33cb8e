"""Interruptions without an event, rescues that failed or broke off: the sweep sees to them."""

from datetime import timedelta

import boto3
import pytest

from tests.workflow.faults import ApiCall, Fault, step
from tests.workflow.scenarios_of_left_overs import BETWEEN_SWEEPS, sweep_until_quiet
from tests.workflow.scenarios_of_rescues import ready_stage
from tests.workflow.stage import Stage, open_stage

GONE = timedelta(minutes=4)
"""From a warning until EC2 has ended the instance."""


def _interrupt_unheard(stage: Stage, instance_id: str, action: str = "terminate") -> None:
    stage.stop_rules_of("HandleSignal")
    stage.world.interrupt(instance_id, action)
    stage.account.run_for(GONE)


def test_an_interruption_without_an_event_is_rescued() -> None:
    """The sweep starts the rescue that no event started; the next sweeps find nothing."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert (found["action"], found["workload_id"]) == ("rescue", "web")
        assert "EC2 has interrupted it" in found["reason"]
        assert stage.finish().status == "SUCCEEDED"
        assert stage.alive() == {stage.workload()["instance_id"]}
        assert stage.sweep() == []
        assert not stage.calls_of("Publish")


def test_what_has_lost_its_tags_is_rescued_as_well() -> None:
    """EC2 takes tags off what has ended; a cycle has taken the workload for gone before the sweep."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        stage.account.run_for(timedelta(minutes=15))
        assert not stage.describe(originals["web"]).get("Tags")
        stage.cycle()
        assert stage.workload()["status"] == "gone"
        (found,) = stage.sweep()
        assert (found["action"], found["workload_id"]) == ("rescue", "web")
        assert stage.finish().status == "SUCCEEDED"
        stage.cycle()
        assert stage.workload()["status"] == "managed"
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_what_is_gone_for_good_is_not_asked_for_for_ever() -> None:
    """Once EC2 shows an ended machine no more, no sweep asks for it."""
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


def test_two_sweeps_start_one_rescue() -> None:
    """The second comes before the first one's rescue has claimed the workload."""
    with ready_stage() as (stage, originals):
        _interrupt_unheard(stage, originals["web"])
        stage.sweep()
        stage.sweep()
        stage.finish()
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_what_a_user_ended_is_not_rescued() -> None:
    """The end of a machine may be meant."""
    with ready_stage() as (stage, originals):
        stage.stop_rules_of("HandleSignal")
        stage.world.terminate_instance(originals["web"])
        stage.account.run_for(GONE)
        assert stage.sweep() == []


@pytest.mark.parametrize("hours", [0.3, 3], ids=["soon", "when EC2 has forgotten the original"])
def test_a_rescue_that_found_no_capacity_is_tried_again(hours: float) -> None:
    """After the back-off a sweep starts another one; what EC2 shows no longer, the ledger knows."""
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
        assert {each["action"] for each in found} == {"rescue"}
        assert stage.alive() == {stage.workload()["instance_id"]}
        assert stage.workload()["status"] == "managed"


@pytest.mark.parametrize("mode", ["manual", "off"])
def test_what_may_not_be_rescued_is_told_once(mode: str) -> None:
    """A person hears of it, and the next sweep says nothing."""
    with ready_stage() as (stage, originals):
        stage.command(command="set-mode", workload="web", mode=mode)
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert found["action"] == "tell"
        (alert,) = stage.calls_of("Publish")
        assert "Workload web has not been rescued" in alert.params["Message"]
        assert f"mode {mode}" in alert.params["Message"]
        assert stage.workload()["status"] == "gone"
        assert stage.sweep() == []
        stage.cycle()
        assert "EC2 has interrupted it" in stage.workload()["status_reason"]


def test_the_global_stop_holds_rescues_of_the_sweep() -> None:
    """It is told instead, and rescued when the stop is lifted."""
    with ready_stage() as (stage, originals):
        stage.command(command="stop")
        _interrupt_unheard(stage, originals["web"])
        (found,) = stage.sweep()
        assert found["action"] == "tell"
        assert "global stop" in found["reason"]
        stage.command(command="resume")
        (found,) = stage.sweep()
        assert found["action"] == "rescue"
        stage.finish()
        assert stage.alive() == {stage.workload()["instance_id"]}


@pytest.mark.parametrize(
    "state", ["LaunchReplacement", "WaitUntilRunning", "WaitForTargets", "WaitForTermination"]
)
@pytest.mark.parametrize("action", ["terminate", "stop"])
def test_a_rescue_that_is_stopped_by_hand_is_brought_to_an_end(state: str, action: str) -> None:
    """Wherever it broke off, and whether or not its original is gone: one machine is left, and the
    workload runs on it."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop") if state == "WaitForTargets" else None
        original = stage.launch(target_group_arn=group, persistent=action == "stop")
        stage.take_in()
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


def test_a_machine_of_a_broken_rescue_is_gone_on_with() -> None:
    """The original is gone and the rescue was stopped while its replacement booted: a cycle does not
    take that for the workload, the sweep's rescue does, and the fleet's tag on it is known as ours."""
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
