"""A hand-over that fails for good costs no running replacement: it is owed, and the sweep has it paid."""

from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.deployed import ZONES, client
from simulator.stage import Stage
from tests.workflow.faults import step
from tests.workflow.test_hand_over_after_the_original_ended import GONE, served_stage

BETWEEN_SWEEPS = timedelta(minutes=10)


def _refuse(stage: Stage, operation: str, caller: str = "HandOver", **more: object) -> Fault:
    fault = Fault(operation, code="AccessDenied", caller=caller, **more)  # type: ignore[arg-type]
    stage.faults.append(fault)
    return fault


def _fail_over(stage: Stage, instance_id: str) -> str:
    """Interrupt the instance and let its failover end; the workload's instance."""
    stage.world.interrupt(instance_id)
    stage.finish()
    replacement: str = stage.workload()["instance_id"]
    return replacement


def _debts(stage: Stage) -> list[dict[str, object]]:
    return [item for item in stage.items() if item["pk"] == "DEBTS"]


def _sweep(stage: Stage) -> list[str]:
    stage.account.run_for(BETWEEN_SWEEPS)
    found = [each["action"] for each in stage.sweep()]
    stage.finish()
    return found


def _alerts(stage: Stage) -> list[str]:
    return [call.params["Message"] for call in stage.calls_of("Publish")]


@pytest.mark.parametrize("refused", ["RegisterTargets", "DescribeTargetHealth", "AssociateAddress"])
def test_refused_hand_over_is_paid_when_it_is_allowed_again(refused: str) -> None:
    """The replacement is kept, what it lacks is reported, and the sweep has it handed over."""
    with served_stage() as (stage, original, group):
        right = _refuse(stage, refused)
        replacement = _fail_over(stage, original)
        assert replacement != original
        assert stage.alive() == {replacement}
        (debt,) = _debts(stage)
        assert debt["original_id"] == original
        (alert,) = _alerts(stage)
        assert group in alert
        assert "AccessDenied" in alert
        assert "its hand-over is owed" in stage.switches()[-1]["outcome"]["summary"]
        assert stage.switches()[-1]["outcome"]["downtime_s"] is None
        assert _sweep(stage) == ["pay"]
        assert len(_debts(stage)) == 1
        stage.faults.remove(right)
        stage.account.run_for(timedelta(hours=1))
        assert _sweep(stage) == ["pay"]
        assert _debts(stage) == []
        stage.account.run_for(timedelta(minutes=2))
        assert stage.targets(group) == {replacement: "healthy"}
        assert stage.address_holder() == replacement
        assert len(_alerts(stage)) == 2
        assert _sweep(stage) == []


def test_refused_address_does_not_keep_the_targets_back() -> None:
    """What may be handed over is handed over at once."""
    with served_stage() as (stage, original, group):
        _refuse(stage, "AssociateAddress")
        replacement = _fail_over(stage, original)
        assert replacement in stage.targets(group)
        assert stage.address_holder() != replacement


def test_deleted_target_group_does_not_keep_the_others_back() -> None:
    """It is deleted while the replacement becomes healthy in the other one."""
    with served_stage() as (stage, original, group):
        other = stage.world.create_target_group("admin")
        client("elbv2").register_targets(TargetGroupArn=other, Targets=[{"Id": original}])
        stage.world.interrupt(original)
        stage.account.run_for(timedelta(seconds=5))
        stage.run_until_entered("WaitForTargets")
        stage.world.delete_target_group(other)
        stage.finish()
        replacement = stage.workload()["instance_id"]
        assert replacement != original
        assert stage.targets(group)[replacement] == "healthy"
        assert _debts(stage) == []


def test_planned_switch_waits_for_a_debt_but_a_forced_one_does_not() -> None:
    """The forced switch leaves the debt to the next instance, which gets everything."""
    with served_stage() as (stage, original, group):
        right = _refuse(stage, "RegisterTargets")
        owed = _fail_over(stage, original)
        stage.cycle()
        record = stage.item("WORKLOADS", "web")
        assert record["instance_id"] == owed
        stage.faults.remove(right)
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        assert replacement != owed
        assert len(_debts(stage)) == 1
        assert _sweep(stage) == ["pay"]
        assert stage.targets(group).get(replacement) is not None
        assert _debts(stage) == []


def test_failover_of_an_owing_workload_leaves_the_debt_to_the_next_instance() -> None:
    """The second interruption comes before the debt is paid."""
    with served_stage() as (stage, original, group):
        right = _refuse(stage, "RegisterTargets")
        first = _fail_over(stage, original)
        stage.cycle()
        second = _fail_over(stage, first)
        assert second not in (original, first)
        stage.faults.remove(right)
        stage.account.run_for(timedelta(hours=1))
        _sweep(stage)
        _sweep(stage)
        assert _debts(stage) == []
        assert second in stage.targets(group)
        assert stage.address_holder() == second


def test_debt_of_a_workload_that_is_gone_is_forgotten() -> None:
    """Its user has terminated the instance: nobody is left to be paid."""
    with served_stage() as (stage, original, _group):
        _refuse(stage, "RegisterTargets")
        replacement = _fail_over(stage, original)
        stage.world.terminate_instance(replacement)
        stage.account.run_for(GONE)
        stage.cycle()
        assert stage.workload()["status"] == "gone"
        assert _sweep(stage) == ["forget"]
        assert _debts(stage) == []


def test_dry_run_pays_nothing() -> None:
    """A debt is left as it is."""
    with served_stage() as (stage, original, _group):
        _refuse(stage, "RegisterTargets")
        _fail_over(stage, original)
        stage.command(command="set-threshold", name="dry_run", value=True)
        executions = len(stage.account.executions())
        assert _sweep(stage) == ["pay"]
        assert len(stage.account.executions()) == executions


def test_payment_is_not_recorded_while_a_switch_replaces_the_instance() -> None:
    """That switch may have looked at the targets before: the debt stays for its replacement."""
    with served_stage() as (stage, original, group):
        right = _refuse(stage, "RegisterTargets")
        _fail_over(stage, original)
        stage.faults.remove(right)
        stage.account.run_for(BETWEEN_SWEEPS)
        stage.sweep()
        stage.run_until_entered("PayDebt")
        stage.force()
        stage.finish()
        assert [e.error for e in stage.account.executions() if "owed" in e.name] == ["Unpaid"]
        assert len(_debts(stage)) == 1
        _sweep(stage)
        assert _debts(stage) == []
        assert stage.workload()["instance_id"] in stage.targets(group)


def test_long_standing_debt_is_reported_once_a_day() -> None:
    """The alert says what is owed, since when, and which execution tried last."""
    with served_stage() as (stage, original, group):
        _refuse(stage, "Invoke", caller="FailOver", when=step("HandOver", "pay"))
        _refuse(stage, "RegisterTargets")
        _fail_over(stage, original)
        assert len(_alerts(stage)) == 1
        for _ in range(2):
            stage.account.run_for(timedelta(hours=12, minutes=5))
            _sweep(stage)
        still = [text for text in _alerts(stage) if "since 2026-" in text]
        assert len(still) == 1
        assert group in still[0]
        assert "-owed-1 of FailOver" in still[0]


def test_persistent_request_of_a_stopped_original_is_kept() -> None:
    """Cancelling it would terminate the instance, which its user has stopped."""
    with served_stage() as (stage, _, _group):
        kept = stage.launch("db", persistent=True)
        stage.adopt()
        stage.cycle()
        stage.world.interrupt(kept, warned=True)
        stage.account.run_for(timedelta(seconds=5))
        client("ec2").stop_instances(InstanceIds=[kept])
        stage.run_until_entered("WaitForTermination")
        assert stage.world.state_of(kept) in ("stopping", "stopped")
        assert not stage.calls_of("CancelSpotInstanceRequests")
        stage.finish()
        assert len(stage.calls_of("CancelSpotInstanceRequests")) == 1


def test_request_of_an_instance_that_the_workload_has_left_is_kept() -> None:
    """EC2 keeps it stopped. The replacement is interrupted in turn, before it was read: the plan still
    has the request of the first instance, which the second failover must not cancel."""
    with served_stage() as (stage, _, _group):
        kept = stage.launch("db", persistent=True)
        stage.adopt()
        stage.cycle()
        stage.world.interrupt(kept, "stop")
        stage.account.run_for(timedelta(minutes=4))
        assert stage.world.state_of(kept) == "stopped"
        replacement = stage.workload("db")["instance_id"]
        assert replacement != kept
        stage.world.interrupt(replacement)
        stage.finish()
        assert stage.workload("db")["instance_id"] not in (kept, replacement)
        assert not stage.calls_of("CancelSpotInstanceRequests")
        assert stage.world.state_of(kept) == "stopped"


def test_cancelling_a_request_terminates_its_stopped_instance() -> None:
    """As EC2 does; a running instance stays."""
    with served_stage() as (stage, _, _group):
        instances = [stage.launch(name, persistent=True) for name in ("stopped", "running")]
        client("ec2").stop_instances(InstanceIds=instances[:1])
        stage.account.run_for(timedelta(minutes=2))
        rows = boto3.client("ec2").describe_spot_instance_requests()["SpotInstanceRequests"]
        ids = [r["SpotInstanceRequestId"] for r in rows if r.get("InstanceId") in instances]
        client("ec2").cancel_spot_instance_requests(SpotInstanceRequestIds=ids)
        stage.account.run_for(timedelta(minutes=2))
        states = [stage.world.state_of(each) for each in instances]
        assert states == ["terminated", "running"]
        assert stage.world.instances[instances[1]].availability_zone in ZONES
