"""Signals come twice, late, out of order or about other instances: each is answered once at most."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.call_log import Fault
from simulator.stage import Stage, open_stage
from tests.workflow.scenarios_of_failovers import ready_stage

WARNING = "EC2 Spot Instance Interruption Warning"
REBALANCE = "EC2 Instance Rebalance Recommendation"
STATE = "EC2 Instance State-change Notification"


@pytest.fixture
def ready() -> Iterator[tuple[Stage, str]]:
    """A stage with one workload that has a standing plan, and its instance."""
    with ready_stage() as (stage, originals):
        yield stage, originals["web"]


def signal(
    stage: Stage,
    instance_id: str,
    detail_type: str = WARNING,
    age: timedelta = timedelta(),
    event_id: str = "first",
    **detail: str,
) -> dict[str, Any]:
    """Send one event to the function; returns its answer."""
    if detail_type == WARNING:
        detail = {"instance-action": "terminate", **detail}
    answer: dict[str, Any] = stage.account.invoke(
        "HandleSignal",
        {
            "id": event_id,
            "source": "aws.ec2",
            "detail-type": detail_type,
            "time": (stage.account.clock.now() - age).isoformat(),
            "detail": {"instance-id": instance_id, **detail},
        },
    )
    return answer


def test_a_warning_that_comes_twice_starts_one_failover(ready: tuple[Stage, str]) -> None:
    """The same event again, or another event with the same content, before and after the end."""
    stage, original = ready
    answers = [signal(stage, original), signal(stage, original)]
    answers.append(signal(stage, original, event_id="second"))
    stage.world.interrupt(original, warned=False)
    stage.finish()
    answers.append(signal(stage, original, event_id="third"))
    assert [a["effect"] for a in answers] == ["EVACUATE", "EVACUATE", "NONE", "NONE"]
    assert len(stage.account.executions()) == 1
    assert len(stage.calls_of("CreateFleet")) == 1
    assert len(stage.history("web", "SIGNAL")) == 1


def test_a_failed_start_is_repeated_by_the_retry(ready: tuple[Stage, str]) -> None:
    """A second delivery of an event is no duplicate: it starts what the first could not start."""
    stage, original = ready
    stage.faults.append(Fault("StartExecution", code="ThrottlingException", caller="HandleSignal"))
    stage.faults[0].times = 1
    stage.world.interrupt(original)
    stage.finish()
    assert stage.faults[0].met == 1
    assert [e.status for e in stage.account.executions()] == ["SUCCEEDED"]


def test_an_end_without_a_warning_starts_a_failover(ready: tuple[Stage, str]) -> None:
    """No warning came; the state change says that EC2 ended the instance."""
    stage, original = ready
    stage.world.interrupt(original, warning=timedelta(), warned=False)
    stage.account.clock.call_later(timedelta(minutes=2), stage.world.advance)
    stage.world.advance()
    execution = stage.finish()
    assert (execution.state_machine, execution.status) == ("FailOver", "SUCCEEDED")
    assert stage.workload()["instance_id"] in stage.alive()


def test_an_end_by_its_user_is_recorded_only(ready: tuple[Stage, str]) -> None:
    """The team terminated its own instance: nothing is launched in its place."""
    stage, original = ready
    stage.world.terminate_instance(original)
    stage.account.run_until_quiet()
    (noted,) = stage.history("web", "SIGNAL")
    assert noted["effect"] == "RECORDED"
    assert "Client.UserInitiatedShutdown" in noted["reason"]
    assert not stage.account.executions()


@pytest.mark.parametrize(
    ("action", "begins", "ends"),
    [("terminate", "shutting-down", "terminated"), ("stop", "stopping", "stopped")],
)
def test_the_beginning_of_an_end_is_answered_at_once(
    ready: tuple[Stage, str], action: str, begins: str, ends: str
) -> None:
    """The end may be reported minutes later, and starts no second failover."""
    stage, original = ready
    stage.stop_rules_of("HandleSignal")
    stage.world.close_capacity()
    stage.world.interrupt(original, action, timedelta(), warned=False)
    stage.world.advance()
    assert stage.world.state_of(original) == begins
    first = signal(stage, original, STATE, state=begins)
    stage.finish()
    assert first["effect"] == "EVACUATE"
    last = signal(stage, original, STATE, event_id="second", state=ends)
    assert (last["effect"], len(stage.account.executions())) == ("NONE", 1)
    assert "duplicate" in last["reason"]


def test_a_warning_after_the_end_starts_no_second_failover(ready: tuple[Stage, str]) -> None:
    """Out of order: the state change came first, and its failover is running."""
    stage, original = ready
    stage.world.interrupt(original, warning=timedelta(), warned=False)
    stage.account.run_for(timedelta(minutes=2))
    first = signal(stage, original, STATE, state="terminated")
    stage.account.run_for(timedelta(seconds=1))
    second = signal(stage, original, event_id="late", age=timedelta(minutes=3))
    assert (first["effect"], second["effect"]) == ("EVACUATE", "NONE")
    assert "is running" in second["reason"]
    stage.finish()
    assert len(stage.account.executions()) == 1


def test_a_late_warning_counts_and_a_day_old_one_does_not(ready: tuple[Stage, str]) -> None:
    """EventBridge may deliver after hours; an event of the day before has no effect."""
    stage, original = ready
    old = signal(stage, original, age=timedelta(days=1, seconds=1))
    assert old["effect"] == "NONE"
    assert "old" in old["reason"]
    assert signal(stage, original, age=timedelta(hours=3))["effect"] == "EVACUATE"


def test_another_instance_costs_one_read(ready: tuple[Stage, str]) -> None:
    """For an instance that is not ours, the ledger is read once and not written."""
    stage, _ = ready
    stranger = stage.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "other"})
    before = stage.items()
    stage.world.interrupt(stranger)
    stage.account.run_for(timedelta(seconds=1))
    assert [c.operation for c in stage.api if c.caller == "HandleSignal"] == ["GetItem"]
    assert stage.items() == before


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"detail-type": "EC2 Fleet Instance Change", "detail": {}},
        {"detail-type": WARNING, "id": "x", "source": "aws.ec2", "time": "yesterday", "detail": {}},
        {
            "detail-type": WARNING,
            "id": "x",
            "source": "my.app",
            "time": "2026-03-02T00:00:00Z",
            "detail": {"instance-id": "i-0123456789abcdef0", "instance-action": "terminate"},
        },
    ],
    ids=["empty", "unknown type", "no time", "foreign source"],
)
def test_a_malformed_event_has_no_effect(ready: tuple[Stage, str], event: dict[str, Any]) -> None:
    """The answer says what is wrong. An error would be retried."""
    stage, _ = ready
    before = stage.items()
    answer = stage.account.invoke("HandleSignal", event)
    assert answer["effect"] == "NONE"
    assert answer["reason"].startswith("not understood: ")
    assert stage.items() == before


def test_an_unknown_action_counts_as_terminate(ready: tuple[Stage, str]) -> None:
    """A new or missing instance-action starts the failover all the same; an alert says which it was."""
    stage, original = ready
    detail: dict[str, Any] = {"instance-action": "explode"}
    assert signal(stage, original, **detail)["effect"] == "EVACUATE"
    (entry,) = stage.history("web", "SIGNAL")
    assert (entry["kind"], entry["action"]) == ("interruption", "terminate")
    (alerted,) = stage.calls_of("Publish")
    assert "instance-action = 'explode'; known are terminate" in alerted.params["Message"]


@pytest.mark.parametrize("lifecycle", ["spot", "on-demand"])
def test_an_end_for_a_reason_of_ec2_is_replaced_and_no_interruption(lifecycle: str) -> None:
    """Failed hardware or a scheduled stop: nothing is flagged or counted against the pool."""
    tags = {"spot-optimizer:not-before": "2027-01-01T00:00:00Z"}  # holds planned switches only
    with ready_stage(launch={"lifecycle": lifecycle, "tags": tags}) as (stage, originals):
        if lifecycle == "spot":
            stage.world.fail_hardware(originals["web"])
        else:
            soon = timedelta(seconds=1)
            stage.world.schedule_event(originals["web"], "instance-stop", soon, published=False)
            for minute in (1, 2, 3):
                stage.account.clock.call_later(timedelta(minutes=minute), stage.world.advance)
        execution = stage.finish()
        assert (execution.state_machine, execution.status) == ("FailOver", "SUCCEEDED")
        (noted,) = stage.history("web", "SIGNAL")
        assert (noted["kind"], noted["effect"]) == ("state", "EVACUATE")
        code = "Server.InternalError" if lifecycle == "spot" else "Server.ScheduledStop"
        assert code in noted["reason"]
        assert not stage.workload().get("signals")
        assert not [row for row in stage.items() if row["pk"] == "POOLS"]


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_every_kind_of_interruption_is_answered(ready: tuple[Stage, str], action: str) -> None:
    """Terminate, stop and hibernate all start a failover."""
    stage, original = ready
    detail: dict[str, Any] = {"instance-action": action}
    assert signal(stage, original, **detail)["effect"] == "EVACUATE"
    assert "m5.large/us-east-1a" in stage.workload()["signals"]
    assert not stage.calls_of("Publish")


def test_dry_run_records_only() -> None:
    """Nothing is started; the signal is on the ledger."""
    with ready_stage(DryRun="true") as (stage, originals):
        answer = signal(stage, originals["web"])
        assert answer["effect"] == "RECORDED"
        assert "dry run" in answer["reason"]
        assert len(stage.history("web", "SIGNAL")) == 1
        assert not stage.account.executions()


@pytest.mark.parametrize("how", ["tag", "command"])
def test_manual_mode_records_only(how: str) -> None:
    """Set by tag, which is in the standing plan, or by command, which applies at once."""
    tags = {"spot-optimizer:mode": "manual"} if how == "tag" else {}
    with ready_stage(launch={"tags": tags}) as (stage, originals):
        if how == "command":
            stage.command(command="set-mode", workload="web", mode="manual")
        answer = signal(stage, originals["web"])
        assert (answer["effect"], "mode manual" in answer["reason"]) == ("RECORDED", True)
        assert not stage.account.executions()


def test_a_workload_without_a_plan_is_reported() -> None:
    """It was interrupted before its first cycle: an alert is sent."""
    with open_stage() as stage:
        original = stage.launch()
        stage.account.invoke("Decide", {"trigger": "schedule"})
        boto3.client("dynamodb").update_item(
            TableName=stage.account.outputs["LedgerTable"],
            Key={"pk": {"S": "PLANS"}, "sk": {"S": "web"}},
            UpdateExpression="REMOVE terms",
        )
        assert signal(stage, original)["effect"] == "RECORDED"
        (call,) = stage.calls_of("Publish")
        assert "no standing plan" in call.params["Message"]


# --- rebalance recommendations -------------------------------------------------------------------


def test_a_rebalance_without_much_risk_is_recorded_only(ready: tuple[Stage, str]) -> None:
    """An old instance of a seldom interrupted type without history stays, and its pool is not flagged."""
    stage, original = ready
    answer = signal(stage, original, REBALANCE)
    assert answer["effect"] == "RECORDED"
    assert "signals" not in stage.workload()
    assert len(stage.history("web", "SIGNAL")) == 1
    assert not stage.cycle()["started"]


def test_a_pool_with_a_bad_history_is_left(ready: tuple[Stage, str]) -> None:
    """Interruptions of other workloads in the pool make the recommendation count."""
    stage, original = ready
    _bad_history(stage, "m5.large/us-east-1a")
    stage.world.recommend_rebalance(original)
    execution = stage.finish()
    assert (execution.state_machine, execution.status) == ("SwitchInstance", "SUCCEEDED")
    assert original not in stage.alive()
    (decision,) = [d for d in stage.history("web", "DECISION") if d["row"] == 6]
    assert "flagged for rebalance" in decision["reason"]


def test_a_signal_that_meets_another_is_recorded(ready: tuple[Stage, str]) -> None:
    """The hot item changed between its read and its write: it is read again."""
    stage, original = ready
    _bad_history(stage, "m5.large/us-east-1a")
    met: list[object] = []

    def another_signal() -> None:
        if not met:
            met.append(
                boto3.client("dynamodb").update_item(
                    TableName=stage.account.outputs["LedgerTable"],
                    Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": "web"}},
                    UpdateExpression="SET signals = :signals",
                    ExpressionAttributeValues={
                        ":signals": {
                            "M": {"m5.large/us-east-1b": {"S": "2026-03-02T00:00:00.000Z"}}
                        }
                    },
                )
            )

    calls = []

    def second_update() -> None:
        calls.append(1)
        if len(calls) == 2:  # the first notes that the event was seen
            another_signal()

    stage.before_call["UpdateItem"] = second_update
    answer = signal(stage, original, REBALANCE)
    assert met
    assert answer["effect"] == "DRAIN"
    assert set(stage.workload()["signals"]) == {"m5.large/us-east-1a", "m5.large/us-east-1b"}


def test_a_rebalance_right_after_a_launch_begins_no_loop(ready: tuple[Stage, str]) -> None:
    """A rebalance recommendation minutes after the launch is recorded only."""
    stage, original = ready
    stage.world.interrupt(original)
    stage.finish()
    replacement = stage.workload()["instance_id"]
    _bad_history(stage, f"{stage.workload()['instance_type']}/{_zone(stage)}")
    answer = signal(stage, replacement, REBALANCE)
    assert answer["effect"] == "RECORDED"
    assert "loop" in answer["reason"]
    assert not stage.cycle()["started"]


def test_a_rebalance_counts_again_after_half_an_hour(ready: tuple[Stage, str]) -> None:
    """Within it the second is a duplicate."""
    stage, original = ready
    answers = [signal(stage, original, REBALANCE)]
    for number in range(2):
        stage.account.clock.run_until(stage.account.clock.now() + timedelta(minutes=16))
        answers.append(signal(stage, original, REBALANCE, event_id=f"again {number}"))
    assert [a["effect"] for a in answers] == ["RECORDED", "NONE", "RECORDED"]


def _zone(stage: Stage) -> str:
    return str(stage.workload()["availability_zone"])


def _bad_history(stage: Stage, pool: str) -> None:
    """Write ten interruptions of other workloads in the pool."""
    for number in range(10):
        at = f"2026-03-01T{number:02}:00:00.000Z"
        boto3.client("dynamodb").put_item(
            TableName=stage.account.outputs["LedgerTable"],
            Item={
                "pk": {"S": f"POOL#{pool}"},
                "sk": {"S": f"SIGNAL#{at}#interruption#i-{number}"},
                "kind": {"S": "interruption"},
                "at": {"S": at},
            },
        )


def test_the_same_recommendation_twice_keeps_the_first_decision(ready: tuple[Stage, str]) -> None:
    """One event delivered twice asks for two decisions at one time. The record is of the first, which
    started the switch, not of the second, which was held by it."""
    stage, original = ready
    _bad_history(stage, "m5.large/us-east-1a")
    stage.account.run_for(timedelta(minutes=5))
    before = len(stage.history("web", "DECISION"))
    for _ in range(2):
        signal(stage, original, REBALANCE)
    stage.finish()
    made = stage.history("web", "DECISION")[before:]
    assert [(d["kind"], d["held_by"]) for d in made] == [("SWITCH", "")]
    assert len(stage.account.executions()) == 1
